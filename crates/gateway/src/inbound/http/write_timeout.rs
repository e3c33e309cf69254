//! Gives up a client that takes nothing of what it is sent.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

/// The longest that a write may wait for the client. Linux keeps such a bound itself (`TCP_USER_TIMEOUT`); other systems
/// do not.
#[derive(Debug)]
pub(super) struct WriteTimeout {
    limit: Duration,
    /// Runs while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl WriteTimeout {
    pub(super) const fn new(limit: Duration) -> Self {
        Self { limit, waiting: None }
    }

    /// The result of a write, or [`io::ErrorKind::TimedOut`] when writes have waited for too long.
    pub(super) fn bound<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_write_that_waits_is_given_up_and_one_that_moves_begins_anew() {
        let (mut timeout, began) = (WriteTimeout::new(Duration::from_secs(60)), Instant::now());
        let mut stuck = async || poll_fn(|cx| timeout.bound::<()>(cx, Poll::Pending)).await;
        assert!(tokio::time::timeout(Duration::from_secs(59), stuck()).await.is_err());
        assert_eq!(stuck().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), Duration::from_secs(60));
        poll_fn(|cx| timeout.bound(cx, Poll::Ready(Ok(())))).await.unwrap();
        let stuck = poll_fn(|cx| timeout.bound::<()>(cx, Poll::Pending));
        assert!(tokio::time::timeout(Duration::from_secs(59), stuck).await.is_err());
    }
}
