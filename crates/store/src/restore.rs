//! Taking a backup in the place of the store of an instance that does not run.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use hezar_core::Timestamp;

use crate::{
    DatabaseSummary, StoreError, StoreSettings, file,
    open::StoreFiles,
    snapshot::{Pace, expand, is_compressed},
    sqlite::{blocking, now, summary, upgrade_file, verify},
};

/// What became of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreReport {
    /// What it holds.
    pub summary: DatabaseSummary,
    /// When the file was written.
    pub written: Option<Timestamp>,
    /// Where the store that was there is kept; `None` when there was none, or when it was only checked.
    pub kept: Option<PathBuf>,
}

/// Checks that a backup can be restored, and says what it holds. The store stays as it is; the copy that is looked at lies in `directory` for
/// a moment.
///
/// # Errors
/// [`StoreError`]: what is wrong with the file.
pub async fn check_backup(directory: &Path, backup: &Path) -> Result<RestoreReport, StoreError> {
    let checked = unpacked(backup, &directory.join("checked-backup.db")).await?;
    let _ = file::remove(&checked.partial);
    Ok(checked.report)
}

/// Puts a backup in the place of the store that the settings describe. It may be of an older version of this program, and compressed. What
/// was there is kept: on the disk under another name, of a store in memory as a snapshot. What root restores belongs to the owner of `directory`.
///
/// # Errors
/// [`StoreError::InUse`] when an instance runs, or what is wrong with the file; then the store is as it was.
pub async fn restore(settings: &StoreSettings, directory: &Path, backup: &Path) -> Result<RestoreReport, StoreError> {
    let files = StoreFiles::of(settings, directory)?;
    let _lock = file::lock(&files.disk)?;
    file::give_to_owner_of_folder(&file::lock_of(&files.disk));
    let Unpacked { partial, mut report } = unpacked(backup, &files.disk).await?;
    let placed = if files.in_memory { as_snapshot(&files, &partial).await } else { on_disk(&files, &partial) };
    if placed.is_err() {
        let _ = file::remove(&partial);
    }
    report.kept = placed?;
    if files.in_memory {
        files.snapshots.give_to_owner_of_folder();
    } else {
        file::give_to_owner_of_folder(&files.disk);
    }
    Ok(report)
}

/// A good copy of a backup that does not have its name yet.
struct Unpacked {
    partial: PathBuf,
    report: RestoreReport,
}

/// Copies a backup beside `to`, checks it and brings it to this program's schema.
async fn unpacked(backup: &Path, to: &Path) -> Result<Unpacked, StoreError> {
    let (from, to) = (backup.to_owned(), to.to_owned());
    let partial = blocking(move || copy_out(&from, &to)).await?;
    let checked = async {
        verify(&partial).await?;
        upgrade_file(&partial).await?;
        summary(&partial).await
    };
    match checked.await {
        Ok(summary) => {
            let modified = fs::metadata(backup).and_then(|about| about.modified()).ok();
            let since = modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
            let written = since.map(|since| Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)));
            Ok(Unpacked { partial, report: RestoreReport { summary, written, kept: None } })
        }
        Err(error) => {
            let _ = file::remove(&partial);
            Err(error.about(backup))
        }
    }
}

/// Writes the database that a backup holds to a new file beside `to`. It blocks.
fn copy_out(backup: &Path, to: &Path) -> Result<PathBuf, StoreError> {
    // There is no advice that fits every reason: the system's own words say it.
    let failed = |source| StoreError::Io { path: backup.to_owned(), source };
    let about = fs::metadata(backup).map_err(failed)?;
    if !about.is_file() {
        // Opening a named pipe would wait for a writer for ever.
        let text = "it is a folder, a pipe or a device, and a backup is a file";
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, text)));
    }
    let compressed = is_compressed(backup).map_err(failed)?;
    if !compressed {
        file::check(backup)?;
    }
    if about.len() == 0 {
        return Err(StoreError::NotADatabase { path: backup.to_owned() });
    }
    let partial = file::reserve(to)?;
    let copied = if compressed { expand(backup, &partial) } else { copy(backup, &partial).map_err(failed) };
    if copied.is_err() {
        let _ = fs::remove_file(&partial);
    }
    copied.map(|()| partial)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut target = fs::OpenOptions::new().write(true).truncate(true).open(to)?;
    io::copy(&mut fs::File::open(from)?, &mut target)?;
    target.sync_all()
}

/// A database on the disk changes places with the copy.
fn on_disk(files: &StoreFiles, partial: &Path) -> Result<Option<PathBuf>, StoreError> {
    let kept = file::move_aside(&files.disk)?;
    // An instance that had it in memory was ended by force: what it left there is older from now on.
    file::publish(partial, &files.disk, true)?;
    Ok(kept)
}

/// The copy becomes the newest snapshot. What a killed process has left in memory becomes the one before it.
async fn as_snapshot(files: &StoreFiles, partial: &Path) -> Result<Option<PathBuf>, StoreError> {
    let mut kept = files.snapshots.list().into_iter().next().map(|snapshot| snapshot.path);
    let live = files.active();
    if file::last_written(live).is_some() && verify(live).await.is_ok() {
        let to = files.snapshots.next(now())?;
        let copy = file::reserve(&to.with_extension(""))?;
        crate::sqlite::copy_database(live, &copy).await?;
        kept = Some(keep(files, copy, to).await?);
    }
    let to = files.snapshots.next(now())?;
    keep(files, partial.to_owned(), to).await?;
    file::remove(live)?;
    // The instance makes its folder in memory again, as the user that it runs as.
    let _ = live.parent().map(fs::remove_dir);
    Ok(kept)
}

async fn keep(files: &StoreFiles, copy: PathBuf, to: PathBuf) -> Result<PathBuf, StoreError> {
    let snapshots = std::sync::Arc::clone(&files.snapshots);
    blocking(move || snapshots.keep(&copy, &to, Pace::Unlimited)).await.map(|kept| kept.path)
}
