//! A stream through a core, which holds its slot, and knows when the core has died and not the node.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use hezar_engine::{BoxStream, Cause, Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use crate::slots::SlotLease;

/// How long after the end of a stream it is seen whether the core has ended.
const NOTICED: Duration = Duration::from_millis(100);

/// The stream.
pub(crate) struct SidecarStream {
    inner: BoxStream,
    lease: SlotLease,
    start: u64,
    /// Whether a byte has come: a node that has answered is judged by what comes then.
    has_answered: bool,
    ended: Option<(Pin<Box<Sleep>>, io::Result<()>)>,
}

impl SidecarStream {
    pub(crate) fn new(inner: BoxStream, lease: SlotLease, start: u64) -> Self {
        Self { inner, lease, start, has_answered: false, ended: None }
    }

    /// The failure that a stream ends with which has brought no byte.
    fn judged(&self, result: io::Result<()>) -> io::Result<()> {
        if self.lease.is_current(self.start) { result } else { Err(core_ended()) }
    }
}

pub(crate) fn core_ended() -> io::Error {
    Cause::CoreUnavailable("it has ended").into()
}

impl Stream for SidecarStream {
    fn socket(&self) -> Option<&TcpStream> {
        self.inner.socket().filter(|_| self.has_answered)
    }
}

impl AsyncRead for SidecarStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some((timer, _)) = &mut this.ended {
            ready!(timer.as_mut().poll(cx));
            let result = this.ended.take().map_or(Ok(()), |(_, result)| result);
            return Poll::Ready(this.judged(result));
        }
        let (before, room) = (buf.filled().len(), buf.remaining());
        let result = ready!(Pin::new(&mut this.inner).poll_read(cx, buf));
        let came = buf.filled().len() > before;
        if this.has_answered || came || room == 0 {
            this.has_answered |= came;
            return Poll::Ready(result);
        }
        // The kernel closes the sockets of a process that was killed a moment before anybody learns of its end.
        this.ended = Some((Box::pin(sleep(NOTICED)), result));
        Pin::new(this).poll_read(cx, buf)
    }
}

impl AsyncWrite for SidecarStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
