//! A folder of backups that are named by their time, of which the newest are kept.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use hezar_core::Timestamp;
use tokio::sync::Mutex;

use super::{SharedSnapshotStatus, Snapshots};
use crate::StoreError;

/// How the names of the backups begin.
const STEM: &str = "hezar";

/// Backups that a program takes again and again, such as every night.
#[derive(Debug)]
pub struct BackupFolder(Snapshots);

impl BackupFolder {
    /// The backups in this folder, of which the newest `keep` stay, at least one.
    #[must_use]
    pub fn new(folder: &Path, keep: usize) -> Self {
        let (folder, stem, status) = (folder.to_owned(), STEM.to_owned(), SharedSnapshotStatus::default());
        Self(Snapshots { folder, stem, most: keep.max(1), every: Duration::ZERO, status, taking: Mutex::default() })
    }

    /// Makes the folder, and gives the file for a backup that is taken now: compressed, and named so that it sorts behind every other one.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn next(&self, now: Timestamp) -> Result<PathBuf, StoreError> {
        self.0.next(now)
    }

    /// Removes the oldest backups that are more than may be kept. Files with other names stay.
    pub fn prune(&self) {
        self.0.prune();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_newest_backups_stay_and_other_files_are_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let backups = BackupFolder::new(&folder.path().join("backups"), 2);
        let mut made = Vec::new();
        // The second one is taken after the clock was set back.
        for time in [1_796_000_000_000, 1_700_000_000_000, 1_796_000_100_000, 1_796_086_400_000] {
            let file = backups.next(Timestamp(time)).unwrap();
            fs::write(&file, "").unwrap();
            made.push(file);
        }
        let other = folder.path().join("backups/hezar-mine.db.zst");
        fs::write(&other, "").unwrap();
        backups.prune();
        let there: Vec<bool> = made.iter().map(|file| file.exists()).collect();
        assert_eq!(there, [false, false, true, true]);
        assert!(other.exists());
    }
}
