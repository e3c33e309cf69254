//! A stream that is lent to a web server: it fails when nothing has moved for too long, and comes back when it is dropped.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use hezar_engine::BoxStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
    time::{Instant, Sleep, sleep},
};

/// The lent stream.
pub(super) struct LentStream {
    stream: Option<BoxStream>,
    back: Option<oneshot::Sender<BoxStream>>,
    idle: Duration,
    last_move: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl LentStream {
    /// Lends `stream`; it comes back through the receiver.
    pub(super) fn new(stream: BoxStream, idle: Duration) -> (Self, oneshot::Receiver<BoxStream>) {
        let (back, receiver) = oneshot::channel();
        let (last_move, alarm) = (Instant::now(), Box::pin(sleep(idle)));
        (Self { stream: Some(stream), back: Some(back), idle, last_move, alarm }, receiver)
    }

    /// Calls `poll` with the stream, notes whether something has moved, and fails when nothing has for too long.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut BoxStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        if let Poll::Ready(moved) = poll(Pin::new(stream), cx) {
            self.last_move = Instant::now();
            return Poll::Ready(moved);
        }
        // The alarm is moved only when it rings.
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            if self.last_move.elapsed() >= self.idle {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.alarm.as_mut().reset(self.last_move + self.idle);
        }
    }
}

impl Drop for LentStream {
    fn drop(&mut self) {
        if let (Some(stream), Some(back)) = (self.stream.take(), self.back.take()) {
            // Who has lent it may be gone; then the stream is dropped here.
            let _ = back.send(stream);
        }
    }
}

impl AsyncRead for LentStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get_mut().watch(cx, |stream, cx| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for LentStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().watch(cx, |stream, cx| stream.poll_write(cx, data))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().watch(cx, |stream, cx| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().watch(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().watch(cx, |stream, cx| stream.poll_shutdown(cx))
    }
}
