//! A stream that counts its bytes and remembers when the last one moved.
//!
//! Several nodes may be asked for the answer to one request. Each stream counts for itself until one of them wins; from
//! then on its bytes are those of the connection.

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

use super::Connection;

/// The bytes of one metered stream, or of one association.
#[derive(Debug)]
pub(crate) struct StreamMeter {
    started: Instant,
    up: AtomicU64,
    down: AtomicU64,
    /// When the last byte moved, in milliseconds after `started`.
    last_move: AtomicU64,
    /// The connection that the bytes belong to, and how many of them it knows.
    connection: OnceLock<Arc<Connection>>,
    told_up: AtomicU64,
    told_down: AtomicU64,
}

impl StreamMeter {
    pub(crate) fn new() -> Arc<Self> {
        let (up, down, last_move, connection) = Default::default();
        let (told_up, told_down) = Default::default();
        Arc::new(Self { started: Instant::now(), up, down, last_move, connection, told_up, told_down })
    }

    /// The bytes so far and from now on are those of this connection.
    pub(crate) fn attach(&self, connection: &Arc<Connection>) {
        self.connection.get_or_init(|| connection.clone());
        self.tell();
    }

    /// Counts bytes to the node.
    pub(crate) fn add_up(&self, bytes: usize) {
        self.add(&self.up, bytes);
    }

    /// Counts bytes from the node.
    pub(crate) fn add_down(&self, bytes: usize) {
        self.add(&self.down, bytes);
    }

    /// Ends when nothing has moved for `idle`.
    pub(crate) async fn idle(&self, idle: Duration) {
        loop {
            let end = self.started + Duration::from_millis(self.last_move.load(Relaxed)) + idle;
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }

    fn add(&self, counter: &AtomicU64, bytes: usize) {
        if bytes > 0 {
            counter.fetch_add(bytes as u64, Relaxed);
            let age = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.last_move.store(age, Relaxed);
            self.tell();
        }
    }

    fn tell(&self) {
        let Some(connection) = self.connection.get() else { return };
        // Whoever raises what was told tells the difference, so that nothing is told twice.
        let news = |count: &AtomicU64, told: &AtomicU64| {
            let count = count.load(Relaxed);
            count.saturating_sub(told.fetch_max(count, Relaxed))
        };
        connection.add_bytes(news(&self.up, &self.told_up), news(&self.down, &self.told_down));
    }
}

/// A stream under a [`StreamMeter`]: what is read from it is down, what is written is up.
#[derive(Debug)]
pub(crate) struct MeteredStream<S> {
    inner: S,
    meter: Arc<StreamMeter>,
}

impl<S> MeteredStream<S> {
    pub(crate) const fn new(inner: S, meter: Arc<StreamMeter>) -> Self {
        Self { inner, meter }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MeteredStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.meter.add_down(buf.filled().len().saturating_sub(before));
        result
    }
}

impl<S: Stream> Stream for MeteredStream<S> {}

impl<S: AsyncWrite + Unpin> AsyncWrite for MeteredStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, data);
        if let Poll::Ready(Ok(written)) = result {
            self.meter.add_up(written);
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
