//! A buffer beneath TLS: rustls asks for 4 KiB at a time, a full record has 16 KiB, and each question is a system call.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::{
    fill::pour,
    read_through::{ReadThrough, Reader},
};

/// The size of one read: four full records.
const CHUNK: usize = 64 * 1024;

/// What rustls asks for: a read that brings less has emptied the socket.
const USUAL: usize = 4096;

/// Reads in large pieces when the stream is busy, and holds no buffer when it is idle.
pub(crate) type ReadAhead<S> = ReadThrough<Ahead, S>;

/// What was read and not asked for yet.
pub(crate) struct Ahead {
    buffer: BytesMut,
    /// Whether the last read brought [`USUAL`] bytes or more: more is probably waiting.
    busy: bool,
}

impl<S> ReadAhead<S> {
    /// Puts a buffer over `inner`.
    pub(crate) fn new(inner: S) -> Self {
        Self { reader: Ahead { buffer: BytesMut::new(), busy: false }, inner }
    }
}

impl Reader for Ahead {
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        inner: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.buffer.is_empty() {
            pour(&mut self.buffer, buf);
            return Poll::Ready(Ok(()));
        }
        if !self.busy || buf.remaining() >= CHUNK {
            // Quiet so far: straight through, no copy.
            let before = buf.filled().len();
            ready!(Pin::new(inner).poll_read(cx, buf))?;
            self.busy = buf.filled().len() - before >= USUAL;
            return Poll::Ready(Ok(()));
        }
        self.buffer.reserve(CHUNK);
        let Poll::Ready(result) = poll_read_buf(Pin::new(inner), cx, &mut self.buffer) else {
            // Idle: no buffer waits for the next piece.
            self.buffer = BytesMut::new();
            return Poll::Pending;
        };
        self.busy = result? >= USUAL;
        pour(&mut self.buffer, buf);
        Poll::Ready(Ok(()))
    }
}
