//! The handle on the write-behind queue: where changes are handed over, and where it is asked how the writing goes.

pub(crate) mod pending;
mod status;
mod write_behind;

use std::{sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::{Change, Store};
use status::SharedStatus;
pub use status::{WriteSummary, WriterStatus};
pub use write_behind::WriteBehind;

/// How changes are gathered.
#[derive(Clone, Copy, Debug)]
pub struct WriterConfig {
    /// How long a change waits at most while the disk works.
    pub every: Duration,
    /// Rows in one transaction, roughly; a single longer listing still goes as a whole.
    pub batch: usize,
    /// The first pause after a failed write; it doubles up to [`WriterConfig::longest_pause`].
    pub retry: Duration,
    /// The longest pause between two tries while the store fails for a reason that passes (disk full, locked, I/O).
    pub longest_pause: Duration,
    /// The pause between two tries while the store is damaged: nothing but a person can mend that.
    pub damaged_pause: Duration,
    /// Rows that may wait in memory; beyond that [`Writer::put`] waits.
    pub most_pending: usize,
    /// How long the last flush may keep trying at shutdown.
    pub shutdown: Duration,
}

impl Default for WriterConfig {
    fn default() -> Self {
        Self {
            every: Duration::from_millis(500),
            batch: 20_000,
            retry: Duration::from_millis(250),
            longest_pause: Duration::from_secs(5),
            damaged_pause: Duration::from_secs(60),
            most_pending: 2_000_000,
            shutdown: Duration::from_secs(10),
        }
    }
}

/// The writing task has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the writer has ended")]
pub struct WriterClosed;

/// What is known about changes when [`Writer::durable`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// They are in the store.
    Durable,
    /// They wait in memory, since the store cannot be written now; they are written as soon as it can.
    Behind,
    /// Too much waits already: they were not taken.
    Overflow,
    /// The store refused a change of the same moment for good; [`WriteSummary::lost`] counts it
    /// and the log names it.
    Refused,
}

/// Where changes are handed over. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: mpsc::Sender<Message>,
    status: SharedStatus,
}

/// Room for one hand-over, for changes that must not be lost between being taken from somewhere and being handed over.
#[derive(Debug)]
pub struct WriterPlace<'a>(mpsc::Permit<'a, Message>);

impl WriterPlace<'_> {
    /// Hands the changes over.
    pub fn put(self, changes: Vec<Change>) {
        self.0.send(Message::Changes(changes));
    }
}

#[derive(Debug)]
pub(crate) enum Message {
    Changes(Vec<Change>),
    Flush(Waiter),
    /// Changes of which somebody wants to know when they are in the store.
    Durable(Vec<Change>, Waiter),
}

/// Answered when everything handed over before is in the store: whether nothing of it was refused.
pub(crate) type Waiter = oneshot::Sender<bool>;

impl Writer {
    /// A writer and the task that works for it; the caller runs [`WriteBehind::run`].
    #[must_use]
    pub fn new(store: Arc<dyn Store>, config: WriterConfig) -> (Self, WriteBehind) {
        let (queue, messages) = mpsc::channel(16);
        let status = SharedStatus::default();
        let behind = WriteBehind::new(store, config, messages, status.clone());
        (Self { queue, status }, behind)
    }

    /// Hands changes over. While the store fails they gather in memory, at most one per node, source and session; it
    /// waits only when [`WriterConfig::most_pending`] rows wait already.
    ///
    /// # Errors
    /// [`WriterClosed`] after shutdown.
    pub async fn put(&self, changes: Vec<Change>) -> Result<(), WriterClosed> {
        self.queue.send(Message::Changes(changes)).await.map_err(|_| WriterClosed)
    }

    /// Waits until there is room for changes, as [`Writer::put`] does, and keeps it.
    ///
    /// # Errors
    /// [`WriterClosed`] after shutdown.
    pub async fn place(&self) -> Result<WriterPlace<'_>, WriterClosed> {
        self.queue.reserve().await.map(WriterPlace).map_err(|_| WriterClosed)
    }

    /// Hands changes over and waits, at most for `wait`, until they are in the store.
    ///
    /// # Errors
    /// [`WriterClosed`] after shutdown, or when shutdown could not write them.
    pub async fn durable(&self, changes: Vec<Change>, wait: Duration) -> Result<Durability, WriterClosed> {
        let (done, written) = oneshot::channel();
        let begun = tokio::time::Instant::now();
        let Ok(sent) = timeout(wait, self.queue.send(Message::Durable(changes, done))).await else {
            return Ok(Durability::Overflow);
        };
        sent.map_err(|_| WriterClosed)?;
        match timeout(wait.saturating_sub(begun.elapsed()), written).await {
            Err(_) => Ok(Durability::Behind),
            Ok(Ok(true)) => Ok(Durability::Durable),
            Ok(Ok(false)) => Ok(Durability::Refused),
            Ok(Err(_)) => Err(WriterClosed),
        }
    }

    /// Returns when everything handed over before is in the store, however long that takes.
    ///
    /// # Errors
    /// [`WriterClosed`] after shutdown, or when shutdown could not write it.
    pub async fn flush(&self) -> Result<(), WriterClosed> {
        let (done, written) = oneshot::channel();
        self.queue.send(Message::Flush(done)).await.map_err(|_| WriterClosed)?;
        written.await.map(drop).map_err(|_| WriterClosed)
    }

    /// How the writing goes at this moment.
    #[must_use]
    pub fn status(&self) -> WriterStatus {
        self.status.read()
    }
}
