//! A stream whose protocol consists of a header in front of the payload in each direction.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{
    first_write::{FirstWrite, ReaderTask},
    write_buffer::WriteBuffer,
};
use crate::{BoxStream, Cause, Stream};

/// The most payload that travels in one write with the header, in bytes.
const WITH_HEADER: usize = 16 * 1024;
/// Room for the header of the answer and what comes with it, in bytes; more is made when it is not enough.
const ANSWER_ROOM: usize = 2 * 1024;

/// Describes the header that a server sends in front of the payload.
pub(crate) trait AnswerHead: Send + Sync + Unpin + 'static {
    /// Whether there is a header at all.
    const PRESENT: bool;
    /// The most bytes in which it must be complete.
    const MOST: usize = ANSWER_ROOM;

    /// The length of the header at the front of `bytes` once it is complete; `None` while more bytes are needed.
    ///
    /// # Errors
    /// [`Cause`] when the bytes are not such a header.
    fn length(&self, bytes: &[u8]) -> Result<Option<usize>, Cause>;
}

/// No header: the answer begins with its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoHead;

impl AnswerHead for NoHead {
    const PRESENT: bool = false;

    fn length(&self, _: &[u8]) -> Result<Option<usize>, Cause> {
        Ok(Some(0))
    }
}

/// What has been read so far.
#[derive(Debug)]
enum HeadState {
    /// At most a part of the header.
    Head { bytes: Box<[u8]>, filled: usize },
    /// Payload that came together with the header waits to be read.
    Rest { bytes: Box<[u8]>, from: usize, to: usize },
    /// No header to come, and no byte seen yet.
    Silent,
    /// Bytes go straight through.
    Open,
    /// Reading failed.
    Failed,
}

/// The stream. Our header is sent together with the first payload, and the server's header is removed from the answer.
pub(crate) struct HeaderStream<H> {
    io: BoxStream,
    head: H,
    header: Vec<u8>,
    first: FirstWrite,
    write_buffer: WriteBuffer,
    answer: HeadState,
}

impl<H: AnswerHead> HeaderStream<H> {
    /// Puts `header` in front of everything written to `io`.
    pub(crate) fn new(io: BoxStream, header: Vec<u8>, head: H) -> Self {
        let answer = if H::PRESENT {
            HeadState::Head { bytes: vec![0; ANSWER_ROOM].into(), filled: 0 }
        } else {
            HeadState::Silent
        };
        Self { io, head, header, first: FirstWrite::new(), write_buffer: WriteBuffer::default(), answer }
    }

    /// Moves the header and the beginning of the payload into the write buffer. Returns how much payload that was.
    fn send_header(&mut self, payload: &[u8]) -> usize {
        let taken = payload.len().min(WITH_HEADER);
        let buffer = self.write_buffer.buffer();
        *buffer = std::mem::take(&mut self.header);
        buffer.extend_from_slice(payload.get(..taken).unwrap_or_default());
        taken
    }

    /// Sends the header, or helps to send it, when the stream is read before it is written.
    fn reader_acts(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.first.reader_acts(cx) {
            ReaderTask::Nothing => return Ok(()),
            ReaderTask::Send => {
                self.send_header(&[]);
            }
            ReaderTask::Drive => {}
        }
        if self.write_buffer.poll_drain(&mut self.io, cx)?.is_ready() {
            // The next call sees whether the flush has ended. While it is pending, it wakes this task.
            let _ = Pin::new(&mut self.io).poll_flush(cx)?;
        }
        Ok(())
    }

    /// Reads until the header is off. Ready when the answer is in another state.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let HeadState::Head { bytes, filled } = &mut self.answer {
            let mut room = ReadBuf::new(bytes.get_mut(*filled..).unwrap_or_default());
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut room))?;
            let read = room.filled().len();
            if read == 0 {
                return Poll::Ready(Err(Cause::Closed.into()));
            }
            *filled += read;
            match self.head.length(bytes.get(..*filled).unwrap_or_default())? {
                Some(from) => {
                    let (bytes, to) = (std::mem::take(bytes), *filled);
                    self.answer = HeadState::Rest { bytes, from, to };
                }
                None if *filled < bytes.len() => {}
                None if *filled < H::MOST => {
                    let mut more = std::mem::take(bytes).into_vec();
                    more.resize((*filled * 2).min(H::MOST), 0);
                    *bytes = more.into();
                }
                None => return Poll::Ready(Err(Cause::Protocol("the answer's header is too long").into())),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_payload(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_head(cx))?;
        if let HeadState::Rest { bytes, from, to } = &mut self.answer {
            let rest = bytes.get(*from..*to).unwrap_or_default();
            let part = rest.get(..rest.len().min(buf.remaining())).unwrap_or_default();
            let copied = part.len();
            buf.put_slice(part);
            *from += copied;
            if from >= to {
                self.answer = HeadState::Open;
            }
            if copied > 0 {
                return Poll::Ready(Ok(()));
            }
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        if matches!(self.answer, HeadState::Silent) {
            if buf.filled().len() == before {
                // An end without any byte is what a server sends that did not accept the header.
                return Poll::Ready(Err(Cause::Closed.into()));
            }
            self.answer = HeadState::Open;
        }
        Poll::Ready(Ok(()))
    }
}

impl HeaderStream<NoHead> {
    /// A server's stream: `header` goes in front of the answer, and what comes is payload. The header leaves as a client's does, once
    /// [`HeaderStream::release`] has allowed it. A stream that is shut down before sends nothing.
    pub(crate) fn answering(io: BoxStream, header: Vec<u8>) -> Self {
        let (first, answer) = (FirstWrite::held(), HeadState::Open);
        Self { io, head: NoHead, header, first, write_buffer: WriteBuffer::default(), answer }
    }

    /// Lets the header of a server go.
    pub(crate) fn release(&mut self) {
        self.first.release();
    }
}

impl<H: AnswerHead> Stream for HeaderStream<H> {
    fn socket(&self) -> Option<&TcpStream> {
        let bare = matches!(self.first, FirstWrite::Writer)
            && self.write_buffer.is_empty()
            && matches!(self.answer, HeadState::Open);
        self.io.socket().filter(|_| bare)
    }
}

impl<H: AnswerHead> AsyncRead for HeaderStream<H> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if matches!(this.answer, HeadState::Failed) {
            return Poll::Ready(Err(Cause::Closed.into()));
        }
        let result = match this.reader_acts(cx) {
            Ok(()) => ready!(this.poll_payload(cx, buf)),
            Err(error) => Err(error),
        };
        if result.is_err() {
            this.answer = HeadState::Failed;
        }
        Poll::Ready(result)
    }
}

impl<H: AnswerHead> AsyncWrite for HeaderStream<H> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.first.writer_acts() {
            let taken = this.send_header(buf);
            // The bytes are buffered now. A connection that is not ready takes them at the next call or flush.
            let _ = this.write_buffer.poll_drain(&mut this.io, cx)?;
            return Poll::Ready(Ok(taken));
        }
        ready!(this.write_buffer.poll_drain(&mut this.io, cx))?;
        Pin::new(&mut this.io).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.write_buffer.poll_drain(&mut this.io, cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.writer_ends() {
            this.send_header(&[]);
        }
        ready!(this.write_buffer.poll_drain(&mut this.io, cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}
