//! How the writing goes: shared between the writing task and whoever asks.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::WriteFailure;

/// How the writing goes, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriterStatus {
    /// For how long no write has succeeded since one failed; `None` while the store can be written.
    pub behind: Option<Duration>,
    /// Rows that wait in memory to be written, roughly.
    pub pending: usize,
    /// Why the last failed write failed; it stays after writing has succeeded again.
    pub last_error: Option<WriteFailure>,
    /// What has been done since the start.
    pub summary: WriteSummary,
}

/// What a writer has done, in numbers.
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

/// The writing task's side of [`WriterStatus`]. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedStatus(Arc<Mutex<Progress>>);

#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) behind_since: Option<Instant>,
    pub(crate) pending: usize,
    pub(crate) last_error: Option<WriteFailure>,
    pub(crate) summary: WriteSummary,
}

impl SharedStatus {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read(&self) -> WriterStatus {
        let progress = self.lock();
        WriterStatus {
            behind: progress.behind_since.map(|since| since.elapsed()),
            pending: progress.pending,
            last_error: progress.last_error.clone(),
            summary: progress.summary,
        }
    }
}
