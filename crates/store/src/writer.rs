//! Writing behind: changes gather in memory and go to the store in batches, one transaction each.

use std::{sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{Change, Store, StoreError, pending::Pending};

/// How changes are gathered.
#[derive(Clone, Copy, Debug)]
pub struct WriterConfig {
    /// How long a change waits at most while the disk works.
    pub every: Duration,
    /// Rows in one transaction, roughly; a single longer listing still goes as a whole.
    pub batch: usize,
    /// The first pause after a failed write; it doubles up to a minute.
    pub retry: Duration,
    /// How long the last flush may keep trying at shutdown.
    pub shutdown: Duration,
}

impl Default for WriterConfig {
    fn default() -> Self {
        Self {
            every: Duration::from_millis(500),
            batch: 20_000,
            retry: Duration::from_millis(250),
            shutdown: Duration::from_secs(10),
        }
    }
}

/// The writing task has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the writer has ended")]
pub struct WriterClosed;

/// Where changes are handed over. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: mpsc::Sender<Message>,
}

#[derive(Debug)]
enum Message {
    Changes(Vec<Change>),
    Flush(oneshot::Sender<()>),
}

impl Writer {
    /// A writer and the task that works for it; the caller runs [`WriteBehind::run`].
    #[must_use]
    pub fn new(store: Arc<dyn Store>, config: WriterConfig) -> (Self, WriteBehind) {
        let (queue, messages) = mpsc::channel(16);
        let behind = WriteBehind {
            store,
            config,
            messages,
            pending: Pending::default(),
            waiting: Vec::new(),
            summary: WriteSummary::default(),
        };
        (Self { queue }, behind)
    }

    /// Hands changes over. Waits when sixteen batches wait already, as they do while a disk is full: memory is bounded.
    ///
    /// # Errors
    /// [`WriterClosed`] after shutdown.
    pub async fn put(&self, changes: Vec<Change>) -> Result<(), WriterClosed> {
        self.queue.send(Message::Changes(changes)).await.map_err(|_| WriterClosed)
    }

    /// Returns when everything handed over before is in the store.
    ///
    /// # Errors
    /// [`WriterClosed`] after shutdown, or when shutdown could not write it.
    pub async fn flush(&self) -> Result<(), WriterClosed> {
        let (done, written) = oneshot::channel();
        self.queue.send(Message::Flush(done)).await.map_err(|_| WriterClosed)?;
        written.await.map_err(|_| WriterClosed)
    }
}

/// What a writer has done, told when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteSummary {
    /// Changes written.
    pub written: u64,
    /// Transactions.
    pub batches: u64,
    /// Writes that failed and were tried again.
    pub retries: u64,
    /// Changes that the store refused for good, or that were left when the shutdown time was over.
    pub lost: u64,
}

/// The task behind a [`Writer`].
#[derive(Debug)]
pub struct WriteBehind {
    store: Arc<dyn Store>,
    config: WriterConfig,
    messages: mpsc::Receiver<Message>,
    pending: Pending,
    waiting: Vec<oneshot::Sender<()>>,
    summary: WriteSummary,
}

impl WriteBehind {
    /// Writes until `stop` is cancelled or every [`Writer`] is dropped, then writes what is left.
    pub async fn run(mut self, stop: CancellationToken) -> WriteSummary {
        while self.gather(&stop).await {
            self.write_all(&stop, None).await;
        }
        self.messages.close();
        let end = Instant::now() + self.config.shutdown;
        while let Some(message) = self.messages.recv().await {
            self.accept(message);
        }
        self.write_all(&stop, Some(end)).await;
        self.summary.lost += self.pending.weight() as u64;
        tracing::debug!(written = self.summary.written, lost = self.summary.lost, "writer ended");
        self.summary
    }

    /// Collects until it is time to write; false when the end has come.
    async fn gather(&mut self, stop: &CancellationToken) -> bool {
        let first = tokio::select! {
            biased;
            () = stop.cancelled() => return false,
            message = self.messages.recv() => message,
        };
        let Some(first) = first else { return false };
        self.accept(first);
        let due = Instant::now() + self.config.every;
        while self.waiting.is_empty() && self.pending.weight() < self.config.batch {
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                next = timeout_at(due, self.messages.recv()) => next,
            };
            match next {
                Ok(Some(message)) => self.accept(message),
                Ok(None) => return false,
                Err(_) => break,
            }
        }
        true
    }

    fn accept(&mut self, message: Message) {
        match message {
            Message::Changes(changes) => changes.into_iter().for_each(|change| self.pending.add(change)),
            Message::Flush(done) => self.waiting.push(done),
        }
    }

    /// Writes everything that waits. `end` bounds the trying; without it a stop does.
    async fn write_all(&mut self, stop: &CancellationToken, end: Option<Instant>) {
        let mut changes = self.pending.take();
        while !changes.is_empty() {
            let rest = changes.split_off(batch_length(&changes, self.config.batch));
            if !self.write(&changes, stop, end).await {
                // Older than anything that comes later, and `pending` is empty here: putting it back keeps the order.
                changes.into_iter().chain(rest).for_each(|change| self.pending.add(change));
                return;
            }
            changes = rest;
        }
        for done in self.waiting.drain(..) {
            let _ = done.send(());
        }
    }

    /// Writes one batch, however often that takes; false when time is over.
    async fn write(&mut self, batch: &[Change], stop: &CancellationToken, end: Option<Instant>) -> bool {
        let mut pause = self.config.retry;
        loop {
            let error = match bounded(self.store.write(batch), end).await {
                None => return false,
                Some(Ok(())) => break,
                Some(Err(error)) => error,
            };
            if !error.transient() {
                self.write_singly(batch, &error).await;
                return true;
            }
            self.summary.retries += 1;
            tracing::warn!(code = error.code(), %error, changes = batch.len(), "store write failed, trying again");
            if end.is_none_or(|end| Instant::now() + pause < end) {
                tokio::select! {
                    () = sleep(pause) => {}
                    () = stop.cancelled(), if end.is_none() => return false,
                }
                pause = (pause * 2).min(Duration::from_secs(60));
            } else {
                return false;
            }
        }
        self.summary.written += batch.len() as u64;
        self.summary.batches += 1;
        true
    }

    /// One bad row must not take its neighbours with it.
    async fn write_singly(&mut self, batch: &[Change], error: &StoreError) {
        tracing::error!(code = error.code(), %error, changes = batch.len(), "store refused a batch, writing singly");
        for change in batch {
            match self.store.write(std::slice::from_ref(change)).await {
                Ok(()) => self.summary.written += 1,
                Err(error) => {
                    self.summary.lost += 1;
                    tracing::error!(code = error.code(), %error, "change dropped");
                }
            }
        }
    }
}

async fn bounded<T>(future: impl Future<Output = T>, end: Option<Instant>) -> Option<T> {
    match end {
        None => Some(future.await),
        Some(end) => timeout(end.saturating_duration_since(Instant::now()), future).await.ok(),
    }
}

/// How many changes make a batch of about `limit` rows; at least one.
fn batch_length(changes: &[Change], limit: usize) -> usize {
    let mut weight = 0;
    let full = changes.iter().position(|change| {
        weight += change.weight();
        weight > limit
    });
    full.unwrap_or(changes.len()).max(1)
}
