//! A stream that counts its bytes and remembers when the last one moved.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
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

use crate::relay::Counts;

/// The counts of one metered stream, shared with whoever watches it.
#[derive(Debug)]
pub(crate) struct Meter {
    started: Instant,
    read: AtomicU64,
    written: AtomicU64,
    /// Milliseconds after `started`.
    moved: AtomicU64,
}

impl Meter {
    pub(crate) fn new() -> Arc<Self> {
        let (read, written, moved) = Default::default();
        Arc::new(Self { started: Instant::now(), read, written, moved })
    }

    /// Up = written, down = read.
    pub(crate) fn counts(&self) -> Counts {
        Counts { up: self.written.load(Relaxed), down: self.read.load(Relaxed) }
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
