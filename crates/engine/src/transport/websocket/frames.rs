//! An open WebSocket: a stream of bytes in binary messages.
//!
//! **The end of one direction.** WebSocket has no such thing: a Close frame ends both directions, and programs built on gorilla
//! (v2ray, Xray) drop what they still had to send when they receive one. So a shutdown sends nothing at first, and the other side
//! continues to send. When it has been silent for [`QUIET`](super::QUIET), the Close frame is sent, so that a target that waits for our
//! end gets it. Servers that send after that (as sing-box does) are read until they close or are silent once more.
//!
//! A server does the same with a shorter silence, [`SERVER_QUIET`](super::SERVER_QUIET): a target that has ended rarely wants more, and the client
//! waits for the end. It takes a client's Close frame for the end of the client's direction alone, and answers it with its own
//! when the target has ended, too.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};
use tokio_util::io::poll_read_buf;

use super::{
    opening::Opened,
    quiet_time,
    wire::{self, Header, MOST_CONTROL, Opcode, Side, unmask},
};
use crate::Cause;

/// The longest payload in one frame we send, in bytes; bounds what one write buffers.
const MOST_PAYLOAD: usize = 64 * 1024;

/// The size of one read, in bytes.
const CHUNK: usize = 16 * 1024;

/// The most bytes of answers to pings that wait to be sent. Whoever pings without reading gets no more answers.
const MOST_WAITING: usize = MOST_PAYLOAD + 4096;

/// The status of an ordinary end (RFC 6455 §7.4.1).
const ORDINARY: [u8; 2] = 1000_u16.to_be_bytes();

/// What comes next from the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FramePhase {
    /// A frame's header comes next.
    Header,
    /// So many bytes of a data frame are still to come.
    Payload(u64),
    /// A control frame's payload comes next.
    Control(Opcode, usize),
    /// Nothing more.
    Ended,
}

/// An open WebSocket.
pub(super) struct Frames<S> {
    inner: S,
    side: Side,
    input: BytesMut,
    phase: FramePhase,
    /// What the rest of the frame that is under way is masked with.
    key: Option<[u8; 4]>,
    /// Whether a fragmented message has begun and not ended.
    in_message: bool,
    output: BytesMut,
    /// The waker of a pending write. It is woken when a read has sent the output.
    writer: Option<Waker>,
    /// The waker of a pending read. It is woken when our shutdown sets a time to it.
    reader: Option<Waker>,
    /// Set by our shutdown: runs out when the other side has been silent.
    quiet: Option<Pin<Box<Sleep>>>,
    close_sent: bool,
    close_seen: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    /// An open WebSocket on the stream that its handshake ran on.
    pub(super) fn new(opened: Opened<S>, side: Side) -> Self {
        Self {
            inner: opened.stream,
            side,
            input: opened.rest,
            phase: FramePhase::Header,
            key: None,
            in_message: false,
            output: BytesMut::new(),
            writer: None,
            reader: None,
            quiet: None,
            close_sent: false,
            close_seen: false,
        }
    }

    /// As the method of that name in tokio's traits.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            let took = self.take(buf)?;
            // Answers to pings and to the Close frame must leave even when nobody writes.
            self.drain_for_writer(cx)?;
            if took || self.phase == FramePhase::Ended {
                return Poll::Ready(Ok(()));
            }
            match self.poll_more(cx, buf) {
                Poll::Ready(Ok(true)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(false)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => ready!(self.poll_quiet(cx))?,
            }
        }
    }

    /// Decodes what is buffered. Returns whether the reader got anything.
    fn take(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<bool> {
        loop {
            match self.phase {
                FramePhase::Header => {
                    let decoded = wire::decode(&self.input, self.side);
                    let Some((header, size)) = decoded.map_err(|error| Cause::Protocol(error.text()))? else {
                        return Ok(false);
                    };
                    self.input.advance(size);
                    self.begin(header)?;
                }
                FramePhase::Payload(0) => self.phase = FramePhase::Header,
                FramePhase::Payload(left) => {
                    let most = usize::try_from(left).unwrap_or(usize::MAX);
                    let length = self.input.len().min(buf.remaining()).min(most);
                    if length == 0 {
                        return Ok(false);
                    }
                    unmask(&mut self.key, &mut self.input[..length]);
                    buf.put_slice(&self.input[..length]);
                    self.input.advance(length);
                    self.phase = FramePhase::Payload(left - length as u64);
                    return Ok(true);
                }
                FramePhase::Control(opcode, length) => {
                    if self.input.len() < length {
                        return Ok(false);
                    }
                    let mut payload = self.input.split_to(length);
                    unmask(&mut self.key, &mut payload);
                    self.phase = FramePhase::Header;
                    self.control(opcode, &payload);
                }
                FramePhase::Ended => return Ok(false),
            }
        }
    }

    fn begin(&mut self, header: Header) -> io::Result<()> {
        self.key = header.key;
        if header.opcode.is_control() {
            let length = usize::try_from(header.length).unwrap_or(MOST_CONTROL);
            self.phase = FramePhase::Control(header.opcode, length);
            return Ok(());
        }
        if (header.opcode == Opcode::Continuation) != self.in_message {
            return Err(Cause::Protocol("a WebSocket message is broken apart wrongly").into());
        }
        self.in_message = !header.last;
        self.phase = FramePhase::Payload(header.length);
        Ok(())
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) {
        match opcode {
            Opcode::Ping if self.output.len() < MOST_WAITING && !self.close_sent => {
                self.queue(Opcode::Pong, payload);
            }
            Opcode::Close => {
                self.close_seen = true;
                if self.side == Side::Server {
                    self.phase = FramePhase::Ended;
                } else if !self.close_sent {
                    // The server has closed the WebSocket, so both directions end. Its status code is sent back.
                    self.queue_close(payload.get(..2).unwrap_or_default());
                    self.phase = FramePhase::Ended;
                }
            }
            _ => {}
        }
    }

    /// Reads from the stream, straight into the reader's buffer when a long payload is under way. Whether that gave
    /// the reader anything.
    fn poll_more(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        if let FramePhase::Payload(left) = self.phase
            && left >= CHUNK as u64
            && buf.remaining() >= CHUNK
        {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buf.remaining());
            // This zeroes only bytes that the caller has never initialised.
            let room = buf.initialize_unfilled_to(most);
            let mut direct = ReadBuf::new(room);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut direct))?;
            let length = direct.filled().len();
            unmask(&mut self.key, direct.filled_mut());
            buf.advance(length);
            self.restart_quiet();
            if length == 0 {
                return Poll::Ready(self.ended().map(|()| false));
            }
            self.phase = FramePhase::Payload(left - length as u64);
            return Poll::Ready(Ok(true));
        }
        self.input.reserve(CHUNK);
        let Poll::Ready(length) = poll_read_buf(Pin::new(&mut self.inner), cx, &mut self.input) else {
            if self.input.is_empty() {
                // The connection is idle, so no buffer is kept for the next piece.
                self.input = BytesMut::new();
            }
            return Poll::Pending;
        };
        self.restart_quiet();
        if length? == 0 {
            self.ended()?;
        }
        Poll::Ready(Ok(false))
    }

    /// The stream ended: fine between frames, with or without a Close frame; a loss inside one.
    fn ended(&mut self) -> io::Result<()> {
        let whole = self.phase == FramePhase::Header && self.input.is_empty();
        self.phase = FramePhase::Ended;
        if whole { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn restart_quiet(&mut self) {
        if let Some(quiet) = &mut self.quiet {
            quiet.as_mut().reset(Instant::now() + quiet_time(self.side));
        }
    }

    /// After our shutdown: sends the Close frame when the other side has been silent, and ends when it is silent again.
    fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(quiet) = &mut self.quiet else {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        ready!(quiet.as_mut().poll(cx));
        quiet.as_mut().reset(Instant::now() + quiet_time(self.side));
        if self.close_sent {
            self.phase = FramePhase::Ended;
        } else {
            self.queue_close(&ORDINARY);
        }
        Poll::Ready(Ok(()))
    }

    fn queue_close(&mut self, status: &[u8]) {
        self.queue(Opcode::Close, status);
        self.close_sent = true;
    }

    fn queue(&mut self, opcode: Opcode, payload: &[u8]) {
        let key = (self.side == Side::Client).then(rand::random);
        wire::encode(&mut self.output, opcode, key, payload);
    }

    /// Writes what waits.
    fn drain(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        while !self.output.is_empty() {
            match Pin::new(&mut self.inner).poll_write(cx, &self.output) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(length)) => self.output.advance(length),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(Poll::Pending),
            }
        }
        if self.output.capacity() > CHUNK {
            self.output = BytesMut::new();
        }
        Ok(Poll::Ready(()))
    }

    /// Writes what waits, from a read. A writer in another task loses its place in the stream beneath by that, so it
    /// is woken when there is room again.
    fn drain_for_writer(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.output.is_empty()
            && self.drain(cx)?.is_ready()
            && let Poll::Ready(result) = Pin::new(&mut self.inner).poll_flush(cx)
        {
            result?;
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
        }
        Ok(())
    }

    /// As the method of that name in tokio's traits.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let closed_by_server = self.close_seen && self.side == Side::Client;
        if self.close_sent || self.quiet.is_some() || closed_by_server {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(self.poll_room(cx))?;
        let piece = &buf[..buf.len().min(MOST_PAYLOAD)];
        self.queue(Opcode::Binary, piece);
        // What cannot be sent now is sent with the next write or flush.
        self.writer = self.drain(cx)?.is_pending().then(|| cx.waker().clone());
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.drain(cx)?.is_pending() {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    /// As the method of that name in tokio's traits.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_room(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    /// As the method of that name in tokio's traits.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        if self.phase == FramePhase::Ended {
            if self.side == Side::Server && !self.close_sent {
                self.queue_close(&ORDINARY);
                ready!(self.poll_flush(cx))?;
            }
            return Pin::new(&mut self.inner).poll_shutdown(cx);
        }
        if self.quiet.is_none() {
            self.quiet = Some(Box::pin(sleep(quiet_time(self.side))));
            // A reader that waits has been told nothing of this time. It may be another task.
            self.reader.take().into_iter().for_each(Waker::wake);
        }
        Poll::Ready(Ok(()))
    }
}
