//! A stream through a core, which holds its slot, and knows when the core has ended and not the node.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use hezar_engine::{BoxStream, Cause, Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::slots::SlotLease;

/// The stream.
pub(crate) struct SidecarStream {
    inner: BoxStream,
    lease: SlotLease,
    start: u64,
}

impl SidecarStream {
    pub(crate) const fn new(inner: BoxStream, lease: SlotLease, start: u64) -> Self {
        Self { inner, lease, start }
    }

    /// A failure, which is not the node's when the core has ended.
    fn judged<T>(&self, result: io::Result<T>) -> io::Result<T> {
        match result {
            Err(_) if !self.lease.is_current(self.start) => Err(core_ended()),
            other => other,
        }
    }
}

pub(crate) fn core_ended() -> io::Error {
    Cause::CoreUnavailable("it has ended").into()
}

impl Stream for SidecarStream {
    fn socket(&self) -> Option<&TcpStream> {
        self.inner.socket()
    }
}

impl AsyncRead for SidecarStream {
    /// The end of a stream whose core was killed is no end of what was sent.
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut this.inner).poll_read(cx, buf));
        let has_ended = result.is_err() || (buf.filled().len() == before && buf.remaining() > 0);
        if has_ended && !this.lease.is_current(this.start) {
            return Poll::Ready(Err(core_ended()));
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for SidecarStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.inner).poll_write(cx, buf));
        Poll::Ready(self.judged(result))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.inner).poll_flush(cx));
        Poll::Ready(self.judged(result))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.inner).poll_shutdown(cx));
        Poll::Ready(self.judged(result))
    }
}
