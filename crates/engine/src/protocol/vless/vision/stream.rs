//! A VLESS stream with Vision: blocks first, then bare payload inside the layer or outside it, each direction on its own.

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
    direction_decoder::DirectionDecoder,
    io::Layers,
    layer::{Layer, Writer},
    traffic::{Side, Traffic, Verdict},
    wire::{BlockDecoder, Command, MOST_CONTENT, pad},
};
use crate::{
    Cause, Stream,
    hand_over::HandOverCounter,
    io::{
        first_write::{FirstWrite, ReaderTask},
        write_buffer::WriteBuffer,
    },
    served::ServedStream,
};

/// The most payload that is taken at once while it is padded.
const MOST_AT_ONCE: usize = 64 * 1024;

/// How far our direction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WritePhase {
    /// Payload is packed into blocks.
    Blocks,
    /// Payload goes into the layer as it is.
    Bare,
    /// The last block is on its way through the layer.
    Leaving,
    /// Payload goes to the socket as it is.
    Raw,
}

/// One VLESS stream with Vision.
pub(in super::super) struct VisionStream {
    layers: Layers,
    id: Uuid,
    /// What goes in front of the first block: the request, or the response header.
    header: Vec<u8>,
    first: FirstWrite,
    write_buffer: WriteBuffer,
    write_phase: WritePhase,
    /// Whether our side has ended. It is checked here, because the layer itself would still take bytes, and the other side would
    /// read them.
    ended: bool,
    decoder: DirectionDecoder,
    traffic: Traffic,
    hand_overs: Arc<HandOverCounter>,
}

impl VisionStream {
    /// A client's stream: puts `request` in front of everything written. Each direction that leaves the layer is counted in
    /// `hand_overs`.
    pub(in super::super) fn new(
        layer: Box<dyn Layer>,
        id: Uuid,
        request: Vec<u8>,
        hand_overs: Arc<HandOverCounter>,
    ) -> Self {
        Self {
            layers: Layers::Both(layer),
            id,
            header: request,
            first: FirstWrite::new(),
            write_buffer: WriteBuffer::default(),
            write_phase: WritePhase::Blocks,
            ended: false,
            decoder: DirectionDecoder::Version,
            traffic: Traffic::new(Side::Client),
            hand_overs,
        }
    }

    /// A server's stream after the request was read: puts `header` in front of the answer, once the request is granted.
    pub(in super::super) fn answering(layer: Box<dyn Layer>, id: Uuid, header: Vec<u8>) -> Self {
        Self {
            first: FirstWrite::held(),
            decoder: DirectionDecoder::Blocks(BlockDecoder::new(id)),
            traffic: Traffic::new(Side::Server),
            ..Self::new(layer, id, header, Arc::default())
        }
    }

    /// Packs payload into blocks in the write buffer, and returns how much of it was taken.
    fn pack(&mut self, payload: &[u8]) -> usize {
        let payload = payload.get(..payload.len().min(MOST_AT_ONCE)).unwrap_or_default();
        let verdict = if payload.is_empty() { Verdict::Pad } else { self.traffic.see_written(payload) };
        let (last, payload) = match verdict {
            Verdict::Pad => (Command::Continue, payload),
            Verdict::Stop => (Command::End, payload),
            Verdict::Release(end) => (Command::Direct, payload.get(..end).unwrap_or(payload)),
        };
        let mut random = rand::rng();
        let mut header = std::mem::take(&mut self.header);
        let mut id = (!header.is_empty()).then_some(&self.id);
        // A header without payload gets long padding, too, to hide its length.
        let long = payload.is_empty() || self.traffic.is_tls() && verdict == Verdict::Pad;
        let wire = self.write_buffer.buffer();
        wire.append(&mut header);
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
        self.write_phase = match last {
            Command::Continue => WritePhase::Blocks,
            Command::End => WritePhase::Bare,
            Command::Direct => WritePhase::Leaving,
        };
        payload.len()
    }

    /// Writes the write buffer out; after the last block our direction leaves the layer.
    fn poll_blocks(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.layers.poll_drain(&mut self.write_buffer, cx))?;
        if self.write_phase == WritePhase::Leaving {
            ready!(self.layers.inside().poll_flush(cx))?;
            self.write_phase = WritePhase::Raw;
            self.hand_overs.count_sending();
            self.leave();
        }
        Poll::Ready(Ok(()))
    }

    /// Lets the layer go when both directions have left it.
    fn leave(&mut self) {
        if self.write_phase == WritePhase::Raw && matches!(self.decoder, DirectionDecoder::Raw) {
            self.layers.leave();
        }
    }

    /// The writer that our direction uses now. All blocks must have been written before.
    fn writer(&mut self) -> Writer<'_> {
        if self.write_phase == WritePhase::Raw { self.layers.outside() } else { self.layers.inside() }
    }

    /// Sends the header, or helps to send it, when the stream is read before it is written.
    fn reader_acts(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.first.reader_acts(cx) {
            ReaderTask::Nothing => return Ok(()),
            ReaderTask::Send => {
                self.pack(&[]);
            }
            ReaderTask::Drive => {}
        }
        if self.poll_blocks(cx)?.is_ready() {
            // The next call sees whether the flush has ended. While it is pending, it wakes this task.
            let _ = self.writer().poll_flush(cx)?;
        }
        Ok(())
    }

    fn poll_payload(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            match self.decoder {
                DirectionDecoder::Raw if buf.filled().len() > before => return Poll::Ready(Ok(())),
                DirectionDecoder::Raw => return self.layers.poll_read_raw(cx, buf),
                DirectionDecoder::Failed => return Poll::Ready(Err(Cause::Closed.into())),
                DirectionDecoder::Leaving(0) => {
                    self.decoder = DirectionDecoder::Raw;
                    self.hand_overs.count_receiving();
                    self.leave();
                    continue;
                }
                _ => {}
            }
            let given = buf.filled().len() > before;
            let chunk = match self.layers.poll_chunk(cx) {
                Poll::Ready(Ok(chunk)) if !chunk.is_empty() => chunk,
                // Payload that has been read is returned first. The next call meets the end or the failure again.
                _ if given => return Poll::Ready(Ok(())),
                other => {
                    ready!(other)?;
                    return Poll::Ready(self.decoder.at_end());
                }
            };
            let used = self.decoder.read(chunk, buf, self.id, &mut self.traffic)?;
            self.layers.consume(used);
            if buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
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

impl ServedStream for VisionStream {
    fn grant(&mut self) {
        self.first.release();
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
            this.decoder = DirectionDecoder::Failed;
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
        if this.write_phase != WritePhase::Blocks {
            return this.writer().poll_write(cx, buf);
        }
        if buf.is_empty() && !unsent {
            return Poll::Ready(Ok(0));
        }
        let taken = this.pack(buf);
        // The payload is queued now. A connection that is not ready takes it at the next call or flush.
        let _ = this.poll_blocks(cx)?;
        Poll::Ready(Ok(taken))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.write_phase == WritePhase::Raw {
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

    /// A direction that has left our TLS ends without `close_notify`, which nobody would read.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.writer_ends() {
            this.pack(&[]);
        }
        this.ended = true;
        ready!(this.poll_blocks(cx))?;
        this.writer().poll_shutdown(cx)
    }
}
