//! How the snapshots go: shared between who takes them and who asks.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hezar_core::Timestamp;

use super::SnapshotFile;
use crate::{StoreError, WriteFailure};

/// How the snapshots of a store in memory go, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotStatus {
    /// When the store was opened.
    pub opened: Timestamp,
    /// The pause between two snapshots, as it is configured.
    pub every: Duration,
    /// The newest one; `None` when there is none.
    pub last: Option<SnapshotFile>,
    /// How many have been taken since the start.
    pub taken: u64,
    /// How many times it has failed since the start.
    pub failures: u64,
    /// Why the newest one could not be taken; `None` when it could.
    pub error: Option<WriteFailure>,
    /// Whether somebody has changed an object or a token since the newest one.
    pub is_urgent: bool,
    /// Snapshots that could not be read and were set aside, at this start or before, until somebody removes them.
    pub damaged: Vec<PathBuf>,
}

impl SnapshotStatus {
    /// For how long there has been no newer snapshot; since the start while there is none.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(self.last.as_ref().map_or(self.opened, |last| last.at))
    }
}

/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedSnapshotStatus(Arc<Mutex<SnapshotStatus>>);

impl SharedSnapshotStatus {
    pub(crate) fn lock(&self) -> MutexGuard<'_, SnapshotStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how taking one has ended.
    pub(crate) fn note(&self, outcome: &Result<SnapshotFile, StoreError>) {
        let mut status = self.lock();
        match outcome {
            Ok(taken) => {
                status.last = Some(taken.clone());
                status.taken += 1;
                status.error = None;
            }
            Err(error) => {
                status.failures += 1;
                status.error = Some(error.into());
            }
        }
    }
}
