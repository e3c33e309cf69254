//! One AnyTLS stream. It has a connection to itself, and gives the connection back to the pool when it is dropped.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{
    pool::{self, Pool},
    session::{AnyTlsSession, Event},
};
use crate::{Cause, Stream};

/// How long a server that confirms streams may leave one unconfirmed before its connection counts as dead.
const CONFIRMATION: Duration = Duration::from_secs(10);

/// The stream.
pub(super) struct AnyTlsStream {
    /// `None` only while the stream is dropped.
    session: Option<AnyTlsSession>,
    pool: Weak<Pool>,
    confirmation: Option<Pin<Box<Sleep>>>,
    failed: bool,
    shut: bool,
    /// The waker of the task that writes. Reading also writes, since it answers heartbeats, and must not replace this waker.
    writer: Option<Waker>,
}

impl AnyTlsStream {
    /// The stream that `session` has just begun.
    pub(super) fn new(session: AnyTlsSession, pool: &Arc<Pool>) -> Self {
        Self {
            session: Some(session),
            pool: Arc::downgrade(pool),
            confirmation: None,
            failed: false,
            shut: false,
            writer: None,
        }
    }

    /// Runs a step of a write and keeps the waker of its task.
    fn writing<T>(
        &mut self,
        cx: &mut Context<'_>,
        step: impl FnOnce(&mut AnyTlsSession, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Some(session) = &mut self.session else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        let result = step(session, cx);
        self.writer = result.is_pending().then(|| cx.waker().clone());
        result
    }

    fn poll_session(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(session) = &mut self.session else { return Poll::Ready(Err(Cause::Closed.into())) };
        let read = session.poll_read(cx, out);
        if !session.is_idle() {
            // The queue may hold an answer to a heartbeat. A write sends it as well, if there is one before the next read.
            let _ = session.poll_drain(cx);
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
        }
        if read.is_pending() && session.unconfirmed() {
            let timer = self.confirmation.get_or_insert_with(|| Box::pin(sleep(CONFIRMATION)));
            ready!(timer.as_mut().poll(cx));
            return Poll::Ready(Err(Cause::Timeout.into()));
        }
        match ready!(read)? {
            Event::Payload | Event::End => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncRead for AnyTlsStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if out.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.failed {
            return Poll::Ready(Err(Cause::Closed.into()));
        }
        let result = ready!(this.poll_session(cx, out));
        this.failed = result.is_err();
        Poll::Ready(result)
    }
}

impl Stream for AnyTlsStream {}

impl AsyncWrite for AnyTlsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, payload: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        this.writing(cx, |session, cx| {
            ready!(session.poll_drain(cx))?;
            if payload.is_empty() {
                return Poll::Ready(Ok(0));
            }
            let taken = session.push(payload);
            // The payload is queued now. A connection that is not ready takes it at the next call or flush.
            let _ = session.poll_drain(cx)?;
            Poll::Ready(Ok(taken))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().writing(cx, AnyTlsSession::poll_flush)
    }

    /// AnyTLS can only end both directions at once, so the end is sent when the stream is dropped.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.writing(cx, AnyTlsSession::poll_flush))?;
        this.shut = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for AnyTlsStream {
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else { return };
        if !session.healthy() || self.confirmation.as_ref().is_some_and(|timer| timer.is_elapsed()) {
            return;
        }
        session.end();
        match self.pool.upgrade() {
            Some(pool) => pool.put(session),
            None => pool::dismiss(session),
        }
    }
}
