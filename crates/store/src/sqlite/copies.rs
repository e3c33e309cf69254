//! Copies of an open database: backups, and snapshots of one in memory.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hezar_core::Timestamp;
use tokio::time::timeout;

use super::{Sqlite, convert, queries, verify};
use crate::{
    SnapshotFile, StoreError, file,
    snapshot::{Pace, Snapshots, write_compressed},
};

/// How long the last snapshot may take. Service managers kill a program that takes longer to end (systemd: 90 s).
const LONGEST_LAST_SNAPSHOT: Duration = Duration::from_secs(60);

impl Sqlite {
    /// Writes a copy of the store to a file, as `Store::backup` says.
    pub(super) async fn write_backup(&self, to: &Path, replace: bool) -> Result<(), StoreError> {
        if to.exists() && !replace {
            return Err(StoreError::BackupExists { path: to.to_owned() });
        }
        let to = to.to_owned();
        if to.extension().is_none_or(|end| end != "zst") {
            let copy = self.copy(&to).await?;
            return blocking(move || file::publish(&copy, &to, replace)).await;
        }
        let copy = self.copy(&to.with_extension("")).await?;
        blocking(move || {
            let written = write_compressed(&copy, &to, Pace::Unlimited, replace);
            let _ = std::fs::remove_file(&copy);
            written
        })
        .await
    }

    /// Writes a consistent copy to a new file that does not have its name yet, and checks it.
    async fn copy(&self, to: &Path) -> Result<PathBuf, StoreError> {
        let partial = file::reserve(to)?;
        let copied = self.copy_into(&partial, to).await;
        if copied.is_err() {
            let _ = std::fs::remove_file(&partial);
        }
        copied.map(|()| partial)
    }

    async fn copy_into(&self, partial: &Path, to: &Path) -> Result<(), StoreError> {
        let text = partial.to_str().ok_or_else(|| not_utf8(to))?;
        let copied = sqlx::query(queries::BACKUP).bind(text).execute(&self.reader).await;
        copied.map_err(|error| convert::error(to, error))?;
        verify(partial).await
    }

    /// Takes a snapshot and notes how it went.
    pub(super) async fn take_snapshot(
        &self,
        snapshots: &Arc<Snapshots>,
        pace: Pace,
    ) -> Result<SnapshotFile, StoreError> {
        let _alone = snapshots.taking.lock().await;
        // What is changed while it is taken may not be in it.
        let was_urgent = std::mem::take(&mut snapshots.status.lock().is_urgent);
        let taken = self.write_snapshot(snapshots, pace).await;
        snapshots.status.note(&taken);
        if taken.is_err() {
            snapshots.status.lock().is_urgent |= was_urgent;
        }
        taken
    }

    async fn write_snapshot(&self, snapshots: &Arc<Snapshots>, pace: Pace) -> Result<SnapshotFile, StoreError> {
        let to = snapshots.next(now())?;
        let copy = self.copy(&to.with_extension("")).await?;
        let snapshots = Arc::clone(snapshots);
        blocking(move || snapshots.keep(&copy, &to, pace)).await
    }

    /// Takes the last snapshot; false when it could not be taken, so that the file in memory has to stay.
    pub(super) async fn last_snapshot(&self, snapshots: &Arc<Snapshots>) -> bool {
        match timeout(LONGEST_LAST_SNAPSHOT, self.take_snapshot(snapshots, Pace::Unlimited)).await {
            Ok(Ok(_)) => return true,
            Ok(Err(error)) => {
                tracing::error!(code = error.code(), %error, file = %self.path.display(), "the last snapshot could not be taken: what changed since the one before it is in memory only, and lost when the machine stops");
            }
            Err(_) => {
                tracing::error!(file = %self.path.display(), "the last snapshot took too long: what changed since the one before it is in memory only, and lost when the machine stops");
            }
        }
        false
    }
}

/// The time of the wall clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

pub(super) fn not_utf8(path: &Path) -> StoreError {
    let error = sqlx::Error::Configuration("the path of a copy has to be UTF-8".into());
    convert::error(path, error)
}

/// Does what takes the disk's time on a thread that carries no traffic.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(StoreError::Closed))
}
