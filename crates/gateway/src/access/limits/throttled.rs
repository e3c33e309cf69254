//! A stream that waits when its user or client has moved more bytes than it may.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use hezar_engine::Stream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::Admission;

/// The stream; it costs nothing when no bytes are counted.
#[derive(Debug)]
pub(crate) struct Throttled<S> {
    inner: S,
    /// Absent when no bytes are counted.
    admission: Option<Admission>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Throttled<S> {
    pub(crate) fn new(inner: S, admission: &Admission) -> Self {
        Self { inner, admission: admission.counts_bytes().then(|| admission.clone()), pause: None }
    }

    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(())
    }

    fn moved(&mut self, bytes: usize) {
        let Some(admission) = self.admission.as_ref().filter(|_| bytes > 0) else { return };
        let wait = admission.charge_bytes(bytes);
        if !wait.is_zero() {
            self.pause = Some(Box::pin(sleep(wait)));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Throttled<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pause(cx));
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.moved(buf.filled().len().saturating_sub(before));
        result
    }
}

impl<S: Stream> Stream for Throttled<S> {
    fn socket(&self) -> Option<&TcpStream> {
        self.inner.socket().filter(|_| self.admission.is_none())
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Throttled<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_pause(cx));
        let result = Pin::new(&mut self.inner).poll_write(cx, data);
        if let Poll::Ready(Ok(written)) = result {
            self.moved(written);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
