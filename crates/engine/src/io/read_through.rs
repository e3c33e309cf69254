//! A stream that changes what is read from the stream beneath it, and passes on what is written.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::Stream;

/// How the reading half differs.
pub trait Reader: Send + Sync + Unpin + 'static {
    /// Reads from `inner` what the stream above gives out, as [`AsyncRead::poll_read`].
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        inner: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>>;

    /// Whether it gives out what comes and will do nothing else any more, so that [`Stream::socket`] is the one beneath.
    fn is_bare(&self) -> bool {
        false
    }
}

/// `inner`, read through `reader`.
#[derive(Debug)]
pub struct ReadThrough<R, S> {
    pub(crate) reader: R,
    pub(crate) inner: S,
}

impl<R: Reader, S: AsyncRead + Unpin> AsyncRead for ReadThrough<R, S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { reader, inner } = self.get_mut();
        reader.poll_read(inner, cx, buf)
    }
}

impl<R: Reader, S: Stream> Stream for ReadThrough<R, S> {
    fn socket(&self) -> Option<&TcpStream> {
        self.inner.socket().filter(|_| self.reader.is_bare())
    }
}

impl<R: Unpin, S: AsyncWrite + Unpin> AsyncWrite for ReadThrough<R, S> {
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
