//! A WebSocket as a stream of bytes, before or after its opening handshake.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, timeout_at},
};

use super::{
    EARLY_WAIT,
    frames::Frames,
    opening::{Opened, Opening},
    wire::Side,
};
use crate::{Cause, Stream};

/// A handshake that waits for the stream's first bytes.
#[derive(Debug)]
pub(super) struct Deferred {
    opening: Opening,
    most: usize,
    deadline: Instant,
    wait: Option<Pin<Box<Sleep>>>,
}

impl Deferred {
    /// Waits for up to `most` bytes; the handshake must be over by `deadline`.
    pub(super) const fn new(opening: Opening, most: usize, deadline: Instant) -> Self {
        Self { opening, most, deadline, wait: None }
    }
}

type Handshake<S> = Pin<Box<dyn Future<Output = Result<Opened<S>, Cause>> + Send + Sync>>;

enum OpeningState<S> {
    /// Nothing sent yet.
    Deferred(S, Box<Deferred>),
    /// The opening handshake is under way.
    Opening(Handshake<S>),
    Open(Frames<S>),
    /// The handshake failed; the failure was told once.
    Failed,
}

/// The half of the stream that is being used.
#[derive(Clone, Copy)]
enum Half {
    Reading,
    Writing,
}

/// A WebSocket as a stream.
pub(super) struct WebSocketStream<S> {
    state: OpeningState<S>,
    /// Who waits for the handshake, by half: it may be driven, and ended, by the other one, whom alone the connection
    /// would wake.
    waiting: [Option<Waker>; 2],
}

impl<S: Stream> WebSocketStream<S> {
    /// A stream whose handshake is done.
    pub(super) fn open(opened: Opened<S>) -> Self {
        Self::framed(opened, Side::Client)
    }

    /// A server's stream, whose handshake is done.
    pub(super) fn answering(opened: Opened<S>) -> Self {
        Self::framed(opened, Side::Server)
    }

    fn framed(opened: Opened<S>, side: Side) -> Self {
        Self { state: OpeningState::Open(Frames::new(opened, side)), waiting: [None, None] }
    }

    /// A stream whose handshake waits for the first bytes.
    pub(super) fn deferred(stream: S, deferred: Deferred) -> Self {
        Self { state: OpeningState::Deferred(stream, Box::new(deferred)), waiting: [None, None] }
    }

    /// Starts a deferred handshake with these early bytes.
    fn start(&mut self, early: &[u8]) {
        match std::mem::replace(&mut self.state, OpeningState::Failed) {
            OpeningState::Deferred(stream, deferred) => {
                let early = early.to_vec();
                self.state = OpeningState::Opening(Box::pin(async move {
                    let handshake = deferred.opening.run(stream, &early);
                    timeout_at(deferred.deadline, handshake).await.unwrap_or(Err(Cause::Timeout))
                }));
            }
            other => self.state = other,
        }
    }

    /// Notes that a half waits for the handshake, and is to be woken at its end.
    fn wait(&mut self, half: Half, cx: &Context<'_>) {
        let [reader, writer] = &mut self.waiting;
        let place = if matches!(half, Half::Reading) { reader } else { writer };
        *place = Some(cx.waker().clone());
    }

    /// Drives a handshake that is under way; the frames when it is done.
    fn poll_open(&mut self, half: Half, cx: &mut Context<'_>) -> Poll<io::Result<&mut Frames<S>>> {
        if let OpeningState::Opening(handshake) = &mut self.state {
            let Poll::Ready(result) = handshake.as_mut().poll(cx) else {
                self.wait(half, cx);
                return Poll::Pending;
            };
            self.waiting.iter_mut().filter_map(Option::take).for_each(Waker::wake);
            match result {
                Ok(opened) => self.state = OpeningState::Open(Frames::new(opened, Side::Client)),
                Err(cause) => {
                    self.state = OpeningState::Failed;
                    return Poll::Ready(Err(cause.into()));
                }
            }
        }
        match &mut self.state {
            OpeningState::Open(frames) => Poll::Ready(Ok(frames)),
            _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl<S: Stream> AsyncRead for WebSocketStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let OpeningState::Deferred(_, deferred) = &mut self.state {
            let wait = deferred.wait.get_or_insert_with(|| Box::pin(sleep(EARLY_WAIT)));
            if wait.as_mut().poll(cx).is_pending() {
                self.wait(Half::Reading, cx);
                return Poll::Pending;
            }
            self.start(&[]);
        }
        ready!(self.poll_open(Half::Reading, cx))?.poll_read(cx, buf)
    }
}

impl<S: Stream> Stream for WebSocketStream<S> {}

impl<S: Stream> AsyncWrite for WebSocketStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let OpeningState::Deferred(_, deferred) = &self.state {
            let length = deferred.most.min(buf.len());
            self.start(&buf[..length]);
            // Sends the request now; what it brings is told by the next read or write.
            return match self.poll_open(Half::Writing, cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => Poll::Ready(Ok(length)),
            };
        }
        ready!(self.poll_open(Half::Writing, cx))?.poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let OpeningState::Deferred(..) = self.state {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_open(Half::Writing, cx))?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.start(&[]);
        ready!(self.poll_open(Half::Writing, cx))?.poll_shutdown(cx)
    }
}
