//! A buffer beneath TLS: rustls asks for 4 KiB at a time, a full record has 16 KiB, and each question is a system call.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::Stream;

/// The size of one read: four full records.
const CHUNK: usize = 64 * 1024;

/// What rustls asks for: a read that brings less has emptied the socket.
const USUAL: usize = 4096;

/// Reads in large pieces when the stream is busy, and holds no buffer when it is idle.
pub(crate) struct ReadAhead<S> {
    inner: S,
    buffer: BytesMut,
    /// Whether the last read brought [`USUAL`] bytes or more: more is probably waiting.
    busy: bool,
}

impl<S> ReadAhead<S> {
    /// Puts a buffer over `inner`.
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, buffer: BytesMut::new(), busy: false }
    }

    fn take(&mut self, buf: &mut ReadBuf<'_>) {
        let length = self.buffer.len().min(buf.remaining());
        buf.put_slice(&self.buffer[..length]);
        self.buffer.advance(length);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.buffer.is_empty() {
            this.take(buf);
            return Poll::Ready(Ok(()));
        }
        if !this.busy || buf.remaining() >= CHUNK {
            // Quiet so far: straight through, no copy.
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
            this.busy = buf.filled().len() - before >= USUAL;
            return Poll::Ready(Ok(()));
        }
        this.buffer.reserve(CHUNK);
        let Poll::Ready(result) = poll_read_buf(Pin::new(&mut this.inner), cx, &mut this.buffer) else {
            // Idle: no buffer waits for the next piece.
            this.buffer = BytesMut::new();
            return Poll::Pending;
        };
        this.busy = result? >= USUAL;
        this.take(buf);
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> Stream for ReadAhead<S> {}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
