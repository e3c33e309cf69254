//! A stream with bytes in front that were already read from it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::Stream;

/// Gives out `front` first, then reads from the stream itself; writes go straight through.
#[derive(Debug)]
pub struct Prefixed<S> {
    front: Bytes,
    inner: S,
}

impl<S> Prefixed<S> {
    /// Puts `front` before what `inner` will read.
    pub const fn new(front: Bytes, inner: S) -> Self {
        Self { front, inner }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.front.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, buf);
        }
        let length = self.front.len().min(buf.remaining());
        buf.put_slice(&self.front[..length]);
        self.front.advance(length);
        if self.front.is_empty() {
            // The buffer behind a front may be much larger than it; a tunnel lives long.
            self.front = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Stream> Stream for Prefixed<S> {
    fn socket(&self) -> Option<&TcpStream> {
        self.inner.socket().filter(|_| self.front.is_empty())
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
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
