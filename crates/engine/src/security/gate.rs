//! A stream beneath TLS that gives out one record at a time, so that TLS never holds bytes that come after it.
//!
//! Where a protocol leaves TLS in the middle of a connection (XTLS Vision), the bytes after the last record are not for
//! rustls. rustls reads what it can get; behind this gate it cannot get more than the record that it asks for.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::Stream;

/// The size of a read when little comes, and when the last read was full.
const CHUNKS: [usize; 2] = [4 * 1024, 64 * 1024];

/// The header of a TLS record.
const HEADER: usize = 5;

/// The gate.
#[derive(Debug)]
pub(crate) struct RecordGate<S> {
    inner: S,
    buffer: BytesMut,
    /// What is left of the record that is being given out.
    left: usize,
    busy: bool,
}

impl<S> RecordGate<S> {
    /// Puts the gate over `inner`.
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, buffer: BytesMut::new(), left: 0, busy: false }
    }

    /// The stream, and what was read from it and not given out.
    pub(crate) fn into_parts(self) -> (S, Bytes) {
        (self.inner, self.buffer.freeze())
    }

    fn give(&mut self, most: usize, buf: &mut ReadBuf<'_>) -> usize {
        let length = most.min(self.buffer.len()).min(buf.remaining());
        buf.put_slice(self.buffer.get(..length).unwrap_or_default());
        self.buffer.advance(length);
        length
    }
}

impl<S: AsyncRead + Unpin> RecordGate<S> {
    /// Reads past the gate: what comes from here on is not TLS.
    pub(crate) fn poll_read_raw(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        self.give(usize::MAX, buf);
        Poll::Ready(Ok(()))
    }

    /// Reads more into the buffer. Returns how much came; 0 at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let chunk = CHUNKS[usize::from(self.busy)];
        self.buffer.reserve(chunk);
        let Poll::Ready(result) = poll_read_buf(Pin::new(&mut self.inner), cx, &mut self.buffer) else {
            if self.buffer.is_empty() {
                // Idle: no buffer waits for the next piece.
                self.buffer = BytesMut::new();
            }
            return Poll::Pending;
        };
        let read = result?;
        self.busy = read >= CHUNKS[0];
        Poll::Ready(Ok(read))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RecordGate<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while this.left == 0 {
            if let [_, _, _, high, low, ..] = *this.buffer {
                this.left = HEADER + usize::from(u16::from_be_bytes([high, low]));
            } else if ready!(this.poll_fill(cx))? == 0 {
                // The end, in the middle of a header or not: rustls sees it as it is.
                this.give(HEADER, buf);
                return Poll::Ready(Ok(()));
            }
        }
        if this.buffer.is_empty() && ready!(this.poll_fill(cx))? == 0 {
            return Poll::Ready(Ok(()));
        }
        let given = this.give(this.left, buf);
        this.left -= given;
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> Stream for RecordGate<S> {}

impl<S: AsyncWrite + Unpin> AsyncWrite for RecordGate<S> {
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
