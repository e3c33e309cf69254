//! A stream that is lent to a web server: it fails when nothing has moved for too long, and comes back when it is dropped, unless it
//! has failed so.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use hezar_engine::BoxStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
    time::{Instant, Sleep, sleep_until},
};

use super::visitors::Visitor;

/// The lent stream.
pub(super) struct LentStream {
    stream: Option<BoxStream>,
    back: Option<oneshot::Sender<BoxStream>>,
    visitor: Arc<Visitor>,
    idle: Duration,
    /// When it fails unless something has been answered by then.
    answer_by: Option<Instant>,
    last_move: Instant,
    alarm: Pin<Box<Sleep>>,
    timed_out: bool,
}

impl LentStream {
    /// Lends the `stream` of a visitor, on which something must be answered by a time, and something must move within each `idle`. It
    /// comes back through the receiver.
    pub(super) fn new(
        stream: BoxStream,
        visitor: &Arc<Visitor>,
        answer_by: Instant,
        idle: Duration,
    ) -> (Self, oneshot::Receiver<BoxStream>) {
        let (back, receiver) = oneshot::channel();
        let last_move = Instant::now();
        let mut lent = Self {
            stream: Some(stream),
            back: Some(back),
            visitor: Arc::clone(visitor),
            idle,
            answer_by: Some(answer_by),
            last_move,
            alarm: Box::pin(sleep_until(last_move)),
            timed_out: false,
        };
        let first = lent.fails_at();
        lent.alarm.as_mut().reset(first);
        (lent, receiver)
    }

    /// When it fails if nothing moves until then.
    fn fails_at(&self) -> Instant {
        let idle_at = self.last_move + self.idle;
        self.answer_by.map_or(idle_at, |answer_by| idle_at.min(answer_by))
    }

    /// Calls `poll` with the stream, and fails when nothing has moved for too long.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut BoxStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        if let Poll::Ready(result) = poll(Pin::new(stream), cx) {
            return Poll::Ready(result);
        }
        // The alarm is moved only when it rings.
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let fails_at = self.fails_at();
            if fails_at <= Instant::now() {
                self.timed_out = true;
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.alarm.as_mut().reset(fails_at);
        }
    }

    /// The same for what moves bytes. A flush does not: web servers flush whenever they are woken.
    fn moving<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut BoxStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let result = ready!(self.watch(cx, poll));
        self.last_move = Instant::now();
        self.visitor.note_move();
        Poll::Ready(result)
    }
}

impl Drop for LentStream {
    fn drop(&mut self) {
        if let (Some(stream), Some(back), false) = (self.stream.take(), self.back.take(), self.timed_out) {
            // Who has lent it may be gone; then the stream is dropped here.
            let _ = back.send(stream);
        }
    }
}

impl AsyncRead for LentStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get_mut().moving(cx, |stream, cx| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for LentStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.answer_by = None;
        this.moving(cx, |stream, cx| stream.poll_write(cx, data))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.answer_by = None;
        this.moving(cx, |stream, cx| stream.poll_write_vectored(cx, slices))
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
