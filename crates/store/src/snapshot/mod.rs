//! Snapshots of a database in memory: compressed files on the disk, of which the newest good one is what a store begins with.

mod archive;
mod backup_folder;
mod name;
mod status;

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use hezar_core::Timestamp;
use tokio::sync::Mutex;

use crate::{StoreError, file};
pub(crate) use archive::{Pace, compress, expand, is_compressed};
pub use backup_folder::BackupFolder;
use name::SnapshotName;
pub(crate) use status::SharedSnapshotStatus;
pub use status::SnapshotStatus;

/// The name of the folder of snapshots, beside the place where the database would lie on the disk.
const FOLDER: &str = "snapshots";
/// The end of the name of a snapshot that cannot be read. It is kept for a person to look at.
const DAMAGED: &str = ".damaged";
/// How many of these are kept.
const MOST_DAMAGED: usize = 2;

/// A snapshot on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Where it lies.
    pub path: PathBuf,
    /// When it was taken.
    pub at: Timestamp,
    /// How large it is.
    pub bytes: u64,
}

/// The snapshots of one database.
#[derive(Debug)]
pub(crate) struct Snapshots {
    folder: PathBuf,
    stem: String,
    /// How many are kept.
    most: usize,
    /// The pause between two, as it is configured.
    every: Duration,
    pub(crate) status: SharedSnapshotStatus,
    /// Held while one is taken.
    pub(crate) taking: Mutex<()>,
}

impl Snapshots {
    /// Those of the database that would lie at `database` if it were not in memory.
    pub(crate) fn new(database: &Path, most: usize, every: Duration) -> Self {
        let folder = database.parent().unwrap_or(Path::new("")).join(FOLDER);
        let stem = database.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let status = SharedSnapshotStatus::default();
        status.lock().every = every;
        Self { folder, stem, most: most.max(1), every, status, taking: Mutex::default() }
    }

    /// Those that are there, the newest in front.
    pub(crate) fn list(&self) -> Vec<SnapshotFile> {
        let mut found: Vec<_> = self.names().filter_map(|name| self.snapshot(&name)).collect();
        found.sort_unstable_by_key(|snapshot| std::cmp::Reverse(snapshot.at));
        found
    }

    /// Begins the status of a store that has just been opened.
    pub(crate) fn note_opened(&self, now: Timestamp) {
        let (last, damaged) = (self.list().into_iter().next(), self.damaged());
        let damaged = damaged.into_iter().map(|name| self.folder.join(name)).collect();
        let mut status = self.status.lock();
        (status.opened, status.last, status.damaged) = (now, last, damaged);
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok())
    }

    fn snapshot(&self, name: &str) -> Option<SnapshotFile> {
        let at = SnapshotName::read(name, &self.stem)?.at();
        let path = self.folder.join(name);
        let about = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
        Some(SnapshotFile { path, at, bytes: about.len() })
    }

    /// Makes the folder, and gives the name of a snapshot that is taken now. It sorts behind every other one, also when the clock was
    /// set back.
    pub(crate) fn next(&self, now: Timestamp) -> Result<PathBuf, StoreError> {
        hezar_child::create_private_folder(&self.folder).map_err(|error| file::failed(&self.folder, error))?;
        let newest = self.list().first().map_or(Timestamp(0), |newest| newest.at);
        let at = now.max(newest.after(Duration::from_secs(1)));
        Ok(self.folder.join(SnapshotName::at_time(at).text(&self.stem)))
    }

    /// Compresses a complete copy of the database into the snapshot `to`, reads it back, gives it its name and removes what is
    /// too old. After an error nothing of it is left, and the older snapshots stay. The copy is removed in any case. It blocks.
    pub(crate) fn keep(&self, copy: &Path, to: &Path, pace: Pace) -> Result<SnapshotFile, StoreError> {
        let written = write_compressed(copy, to, pace, false);
        let _ = fs::remove_file(copy);
        written?;
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        let gone = || StoreError::Missing { path: to.to_owned() };
        let kept = self.snapshot(&name).ok_or_else(gone)?;
        self.prune();
        Ok(kept)
    }

    /// Gives the folder and the snapshots to the owner of the folder around it.
    pub(crate) fn give_to_owner_of_folder(&self) {
        file::give_to_owner_of_folder(&self.folder);
        self.list().iter().for_each(|snapshot| file::give_to_owner_of_folder(&snapshot.path));
    }

    /// Removes what is more than may be kept. Snapshots that follow each other quickly, as when the program is started again and
    /// again, go before older ones, so that they do not push the past out.
    fn prune(&self) {
        let mut kept = self.list();
        while kept.len() > self.most {
            let Some(index) = to_remove(&kept, self.every / 2) else { return };
            let removed = kept.remove(index);
            if let Err(error) = fs::remove_file(&removed.path) {
                tracing::warn!(file = %removed.path.display(), %error, "an old snapshot cannot be removed");
            }
        }
    }

    /// Sets a snapshot aside that cannot be read.
    pub(crate) fn set_aside(&self, snapshot: &SnapshotFile) {
        let _ = fs::rename(&snapshot.path, file::beside(&snapshot.path, DAMAGED));
        let damaged = self.damaged();
        let surplus = damaged.len().saturating_sub(MOST_DAMAGED);
        for name in damaged.into_iter().take(surplus) {
            let _ = fs::remove_file(self.folder.join(name));
        }
    }

    /// The names of those that were set aside, the oldest in front.
    fn damaged(&self) -> Vec<String> {
        let mut damaged: Vec<_> = self.names().filter(|name| self.is_ours(name, DAMAGED)).collect();
        damaged.sort_unstable();
        damaged
    }

    /// Removes what a process that was killed has left half written. The caller holds the lock of the database.
    pub(crate) fn remove_partial(&self) {
        let left: HashSet<_> = self.names().filter(|name| self.is_ours(name, file::PARTIAL)).collect();
        for name in left {
            let _ = fs::remove_file(self.folder.join(name));
        }
    }

    fn is_ours(&self, name: &str, end: &str) -> bool {
        let rest = name.strip_suffix(end);
        rest.is_some_and(|rest| {
            SnapshotName::read(rest, &self.stem)
                .or_else(|| SnapshotName::read(&format!("{rest}.zst"), &self.stem))
                .is_some()
        })
    }
}

/// Which of these snapshots, the newest in front, goes first: one that was taken less than `gap` after the next older one, else the oldest.
/// The newest never goes.
fn to_remove(snapshots: &[SnapshotFile], gap: Duration) -> Option<usize> {
    let pairs = snapshots.iter().zip(snapshots.iter().skip(1)).enumerate().skip(1);
    let crowded = pairs.rev().find(|(_, (newer, older))| newer.at.since(older.at) < gap).map(|(index, _)| index);
    crowded.or_else(|| (snapshots.len() > 1).then(|| snapshots.len() - 1))
}

/// Compresses a database file, reads the result back, and gives it its name.
pub(crate) fn write_compressed(database: &Path, to: &Path, pace: Pace, replace: bool) -> Result<(), StoreError> {
    let partial = file::reserve(to)?;
    let written = compress(database, &partial, pace).and_then(|()| archive::read_through(&partial));
    if let Err(error) = written {
        let _ = fs::remove_file(&partial);
        return Err(file::failed(to, error));
    }
    file::publish(&partial, to, replace)
}

#[cfg(test)]
mod tests;
