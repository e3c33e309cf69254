//! A stream that counts its bytes and remembers when the last one moved.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use hezar_engine::Stream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, sleep_until},
};

use super::Metrics;

/// Bytes moved so far, and how many of them the metrics know already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Client to node.
    pub up: u64,
    /// Node to client.
    pub down: u64,
    told_up: u64,
    told_down: u64,
}

impl Counts {
    /// Counts that the metrics know.
    pub(crate) const fn told(up: u64, down: u64) -> Self {
        Self { up, down, told_up: up, told_down: down }
    }

    /// Counts that they do not know.
    pub(crate) const fn untold(up: u64, down: u64) -> Self {
        Self { up, down, told_up: 0, told_down: 0 }
    }

    /// Tells the metrics what they do not know.
    pub(crate) fn tell(&mut self, metrics: &Metrics) {
        metrics.moved(self.up.saturating_sub(self.told_up), self.down.saturating_sub(self.told_down));
        (self.told_up, self.told_down) = (self.up, self.down);
    }
}

/// The counts of one metered stream, context with whoever watches it.
#[derive(Debug)]
pub(crate) struct Meter {
    started: Instant,
    read: AtomicU64,
    written: AtomicU64,
    /// Milliseconds after `started`.
    moved: AtomicU64,
    /// Where the bytes are counted while they move, and how many of them are.
    live: OnceLock<Metrics>,
    told_read: AtomicU64,
    told_written: AtomicU64,
}

impl Meter {
    pub(crate) fn new() -> Arc<Self> {
        let (read, written, moved) = Default::default();
        let (told_read, told_written) = Default::default();
        Arc::new(Self { started: Instant::now(), read, written, moved, live: OnceLock::new(), told_read, told_written })
    }

    /// From now on the metrics count what has moved and what moves.
    pub(crate) fn count_in(&self, metrics: &Metrics) {
        self.live.get_or_init(|| metrics.clone());
        self.tell();
    }

    /// Up = written, down = read.
    pub(crate) fn counts(&self) -> Counts {
        self.tell();
        let (up, down) = (self.written.load(Relaxed), self.read.load(Relaxed));
        if self.live.get().is_some() { Counts::told(up, down) } else { Counts::untold(up, down) }
    }

    fn tell(&self) {
        let Some(metrics) = self.live.get() else { return };
        // Whoever raises what was told tells the difference, so that nothing is told twice.
        let news = |count: &AtomicU64, told: &AtomicU64| {
            let count = count.load(Relaxed);
            count.saturating_sub(told.fetch_max(count, Relaxed))
        };
        metrics.moved(news(&self.written, &self.told_written), news(&self.read, &self.told_read));
    }

    /// Ends when nothing has moved for `idle`.
    pub(crate) async fn idle(&self, idle: Duration) {
        loop {
            let end = self.started + Duration::from_millis(self.moved.load(Relaxed)) + idle;
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }

    /// A datagram went up.
    pub(crate) fn sent(&self, bytes: usize) {
        self.note(&self.written, bytes);
    }

    /// A datagram came down.
    pub(crate) fn received(&self, bytes: usize) {
        self.note(&self.read, bytes);
    }

    fn note(&self, counter: &AtomicU64, bytes: usize) {
        if bytes > 0 {
            counter.fetch_add(bytes as u64, Relaxed);
            self.moved.store(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX), Relaxed);
            self.tell();
        }
    }
}

/// A stream under a [`Meter`].
#[derive(Debug)]
pub(crate) struct Metered<S> {
    inner: S,
    meter: Arc<Meter>,
}

impl<S> Metered<S> {
    pub(crate) const fn new(inner: S, meter: Arc<Meter>) -> Self {
        Self { inner, meter }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.meter.note(&self.meter.read, buf.filled().len().saturating_sub(before));
        result
    }
}

impl<S: Stream> Stream for Metered<S> {}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, data);
        if let Poll::Ready(Ok(written)) = result {
            self.meter.note(&self.meter.written, written);
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
