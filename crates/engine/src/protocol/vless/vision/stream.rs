//! The stream: blocks first, then bare payload inside the layer or outside it, each direction on its own.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use uuid::Uuid;

use super::{
    io::Layers,
    layer::{Layer, Writer},
    traffic::{Traffic, Verdict},
    wire::{Command, MOST_CONTENT, Step, Unpadding, pad},
};
use crate::{
    Cause, Stream,
    hand_over::HandOverCounter,
    io::{
        first_write::{FirstWrite, ReaderTask},
        write_buffer::WriteBuffer,
    },
};

/// The most payload that is taken at once while it is padded.
const MOST_AT_ONCE: usize = 64 * 1024;

/// How our direction is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    Blocks,
    Bare,
    /// The last block is on its way through the layer.
    Leaving,
    Raw,
}

/// How the server's direction is read.
#[derive(Debug)]
enum Reading {
    /// The answer's header: the version, the length of the addons, the addons.
    Version,
    AddonsLength,
    Addons(usize),
    Blocks(Unpadding),
    Bare,
    /// This much of the last record inside the layer is payload.
    Leaving(usize),
    Raw,
    Failed,
}

/// One VLESS stream with Vision.
pub(in super::super) struct VisionStream {
    layers: Layers,
    id: Uuid,
    request: Vec<u8>,
    first: FirstWrite,
    write_buffer: WriteBuffer,
    writing: Writing,
    /// Whether our side has ended: the layer itself would still take bytes, and the server would read them.
    ended: bool,
    reading: Reading,
    traffic: Traffic,
    hand_overs: Arc<HandOverCounter>,
}

impl VisionStream {
    /// Puts `request` in front of everything written; each direction that leaves the layer is counted in `hand_overs`.
    pub(in super::super) fn new(
        layer: Box<dyn Layer>,
        id: Uuid,
        request: Vec<u8>,
        hand_overs: Arc<HandOverCounter>,
    ) -> Self {
        Self {
            layers: Layers::Both(layer),
            id,
            request,
            first: FirstWrite::new(),
            write_buffer: WriteBuffer::default(),
            writing: Writing::Blocks,
            ended: false,
            reading: Reading::Version,
            traffic: Traffic::new(),
            hand_overs,
        }
    }

    /// Moves payload into blocks in the write_buffer. Returns how much.
    fn put(&mut self, payload: &[u8]) -> usize {
        let payload = payload.get(..payload.len().min(MOST_AT_ONCE)).unwrap_or_default();
        let verdict = if payload.is_empty() { Verdict::Pad } else { self.traffic.see_up(payload) };
        let (last, payload) = match verdict {
            Verdict::Pad => (Command::Continue, payload),
            Verdict::Stop => (Command::End, payload),
            Verdict::Release(end) => (Command::Direct, payload.get(..end).unwrap_or(payload)),
        };
        let mut random = rand::rng();
        let mut request = std::mem::take(&mut self.request);
        let mut id = (!request.is_empty()).then_some(&self.id);
        // A request without payload hides its length behind long padding too.
        let long = payload.is_empty() || self.traffic.is_tls() && verdict == Verdict::Pad;
        let wire = self.write_buffer.buffer();
        wire.append(&mut request);
        let mut rest = payload;
        loop {
            let (content, later) = rest.split_at(rest.len().min(MOST_CONTENT));
            let command = if later.is_empty() { last } else { Command::Continue };
            pad(wire, id.take(), command, content, long, &mut random);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        self.writing = match last {
            Command::Continue => Writing::Blocks,
            Command::End => Writing::Bare,
            Command::Direct => Writing::Leaving,
        };
        payload.len()
    }

    /// Writes the write_buffer out; after the last block our direction leaves the layer.
    fn poll_blocks(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.layers.poll_drain(&mut self.write_buffer, cx))?;
        if self.writing == Writing::Leaving {
            ready!(self.layers.inside().poll_flush(cx))?;
            self.writing = Writing::Raw;
            self.hand_overs.count_sending();
            self.leave();
        }
        Poll::Ready(Ok(()))
    }

    fn leave(&mut self) {
        if self.writing == Writing::Raw && matches!(self.reading, Reading::Raw) {
            self.layers.leave();
        }
    }

    /// The writer that our direction uses now. Blocks must be out.
    fn writer(&mut self) -> Writer<'_> {
        if self.writing == Writing::Raw { self.layers.outside() } else { self.layers.inside() }
    }

    /// The reading half's share of the work on the request.
    fn reader_acts(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.first.reader_acts(cx) {
            ReaderTask::Nothing => return Ok(()),
            ReaderTask::Send => {
                self.put(&[]);
            }
            ReaderTask::Drive => {}
        }
        if self.poll_blocks(cx)?.is_ready() {
            // Whether the flush is over is seen at the next call; pending, it wakes this task.
            let _ = self.writer().poll_flush(cx)?;
        }
        Ok(())
    }

    fn poll_payload(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            match self.reading {
                Reading::Raw if buf.filled().len() > before => return Poll::Ready(Ok(())),
                Reading::Raw => return self.layers.poll_read_raw(cx, buf),
                Reading::Failed => return Poll::Ready(Err(Cause::Closed.into())),
                Reading::Leaving(0) => {
                    self.reading = Reading::Raw;
                    self.hand_overs.count_receiving();
                    self.leave();
                    continue;
                }
                _ => {}
            }
            let given = buf.filled().len() > before;
            let chunk = match self.layers.poll_chunk(cx) {
                Poll::Ready(Ok(chunk)) if !chunk.is_empty() => chunk,
                // What is there goes first; the end or the failure is met again.
                _ if given => return Poll::Ready(Ok(())),
                other => {
                    ready!(other)?;
                    return Poll::Ready(self.reading.at_end());
                }
            };
            let used = self.reading.digest(chunk, buf, self.id, &mut self.traffic)?;
            self.layers.consume(used);
            if buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl Reading {
    /// Takes what it can from the chunk: payload goes to `out`. Returns how many bytes are used up.
    fn digest(&mut self, chunk: &[u8], out: &mut ReadBuf<'_>, id: Uuid, traffic: &mut Traffic) -> Result<usize, Cause> {
        let mut used = 0;
        loop {
            let rest = chunk.get(used..).unwrap_or_default();
            match self {
                Self::Version | Self::AddonsLength | Self::Addons(1..) if rest.is_empty() => return Ok(used),
                Self::Version if rest.first() != Some(&0) => {
                    return Err(Cause::Protocol("the answer is not VLESS version 0"));
                }
                Self::Version => {
                    *self = Self::AddonsLength;
                    used += 1;
                }
                Self::AddonsLength => {
                    *self = Self::Addons(rest.first().map_or(0, |&length| usize::from(length)));
                    used += 1;
                }
                Self::Addons(0) => *self = Self::Blocks(Unpadding::new(id)),
                Self::Addons(left) => {
                    let length = rest.len().min(*left);
                    *left -= length;
                    used += length;
                }
                Self::Blocks(blocks) => match blocks.step(rest)? {
                    Step::More => return Ok(used),
                    Step::Skip(length) => used += length,
                    Step::Content(_) if out.remaining() == 0 => return Ok(used),
                    Step::Content(most) => {
                        let length = most.min(out.remaining());
                        let piece = rest.get(..length).unwrap_or_default();
                        traffic.see_down(piece);
                        out.put_slice(piece);
                        blocks.taken(length);
                        used += length;
                    }
                    Step::Over(Command::Direct) => *self = Self::Leaving(rest.len()),
                    Step::Over(_) => *self = Self::Bare,
                },
                Self::Bare | Self::Leaving(_) => {
                    let length = rest.len().min(out.remaining());
                    out.put_slice(rest.get(..length).unwrap_or_default());
                    if let Self::Leaving(left) = self {
                        *left = left.saturating_sub(length);
                    }
                    return Ok(used + length);
                }
                Self::Raw | Self::Failed => return Ok(used),
            }
        }
    }

    /// What the end of the stream means here.
    fn at_end(&self) -> io::Result<()> {
        match self {
            Self::Version | Self::AddonsLength | Self::Addons(_) => Err(Cause::Closed.into()),
            Self::Blocks(blocks) if !blocks.between() => Err(Cause::Closed.into()),
            _ => Ok(()),
        }
    }
}

/// Reads an answer in records of `piece` bytes. Gives the payload's length, if all is well.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_vision_answer(bytes: &[u8], piece: usize) -> Option<usize> {
    let (mut reading, mut traffic, mut length) = (Reading::Version, Traffic::new(), 0);
    for mut rest in bytes.chunks(piece.max(1)) {
        while !rest.is_empty() {
            if let Reading::Raw | Reading::Leaving(0) = reading {
                return Some(length);
            }
            let mut room = [0; 100];
            let mut room = ReadBuf::new(&mut room);
            let used = reading.digest(rest, &mut room, Uuid::nil(), &mut traffic).ok()?;
            length += room.filled().len();
            rest = rest.get(used..).unwrap_or_default();
        }
    }
    reading.at_end().ok().map(|()| length)
}

#[cfg(test)]
impl VisionStream {
    /// Whether the layer is gone.
    pub(super) const fn is_raw(&self) -> bool {
        matches!(self.layers, Layers::Bare { .. })
    }
}

impl Stream for VisionStream {
    fn socket(&self) -> Option<&TcpStream> {
        self.layers.socket()
    }
}

impl AsyncRead for VisionStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let result = match this.reader_acts(cx) {
            Ok(()) => ready!(this.poll_payload(cx, buf)),
            Err(error) => Err(error),
        };
        if result.is_err() {
            this.reading = Reading::Failed;
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for VisionStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let unsent = this.first.writer_acts();
        if !unsent {
            ready!(this.poll_blocks(cx))?;
        }
        if this.writing != Writing::Blocks {
            return this.writer().poll_write(cx, buf);
        }
        if buf.is_empty() && !unsent {
            return Poll::Ready(Ok(0));
        }
        let taken = this.put(buf);
        // The bytes are ours now: a connection that is not ready takes them at the next call or flush.
        let _ = this.poll_blocks(cx)?;
        Poll::Ready(Ok(taken))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.writing == Writing::Raw {
            return self.layers.outside().poll_write_vectored(cx, bufs);
        }
        let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
        self.poll_write(cx, first)
    }

    fn is_write_vectored(&self) -> bool {
        self.layers.outside_is_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_blocks(cx))?;
        this.writer().poll_flush(cx)
    }

    /// A direction that has left our TLS ends without `close_notify`: nobody would read it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.writer_acts() {
            this.put(&[]);
        }
        this.ended = true;
        ready!(this.poll_blocks(cx))?;
        this.writer().poll_shutdown(cx)
    }
}
