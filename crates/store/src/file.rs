//! The files around a database: who may open it, with which mode, and how a copy appears in one piece.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::StoreError;

/// The first bytes of every SQLite database (SQLite file format §1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The lock of a database, which is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct FileLock(File);

impl Drop for FileLock {
    /// Closing the file is not enough: a child process that is just being started holds a copy of it until its own program runs.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Takes the lock of the database `path`, in a directory that exists.
pub(crate) fn lock(path: &Path) -> Result<FileLock, StoreError> {
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty() && !d.is_dir()) {
        return Err(StoreError::DirectoryMissing { path: directory.to_owned() });
    }
    if path.is_dir() {
        return Err(StoreError::NotADatabase { path: path.to_owned() });
    }
    take_lock(path).map(FileLock)
}

/// Makes sure that `path` is a file that only its owner can read, since links hold passwords, and a database or empty.
pub(crate) fn prepare(path: &Path) -> Result<(), StoreError> {
    let database = private().write(true).create(true).truncate(false).open(path).map_err(|e| failed(path, e))?;
    drop(database);
    check(path)
}

/// The end of the name of a copy that is not complete.
pub(crate) const PARTIAL: &str = ".partial";

/// Checks that `path` is a database, or empty.
pub(crate) fn check(path: &Path) -> Result<(), StoreError> {
    let mut start = Vec::with_capacity(MAGIC.len());
    let file = File::open(path).map_err(|e| failed(path, e))?;
    file.take(MAGIC.len() as u64).read_to_end(&mut start).map_err(|e| failed(path, e))?;
    if !start.is_empty() && start != MAGIC {
        return Err(StoreError::NotADatabase { path: path.to_owned() });
    }
    Ok(())
}

/// The file whose lock is that of the database `path`.
pub(crate) fn lock_of(path: &Path) -> PathBuf {
    beside(path, ".lock")
}

/// An advisory lock on `<path>.lock`; the operating system frees it when the process ends, however it ends.
fn take_lock(path: &Path) -> Result<File, StoreError> {
    let lock_path = lock_of(path);
    let mut options = private();
    // Where others may write, a link would lead to a file of ours that is then emptied.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, no_follow());
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&lock_path)
        .map_err(|e| failed(&lock_path, e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(held(path, file)),
        Err(TryLockError::Error(error)) => return Err(failed(&lock_path, error)),
    }
    // The number is only for the message above; without it the lock is as good.
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// Gives what root has made in another user's folder to that user, whose instance must be able to open it. Nobody else can give a file away:
/// then it stays as it is.
pub(crate) fn give_to_owner_of_folder(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
        let Some(Ok(folder)) = path.parent().map(fs::metadata) else { return };
        let Ok(file) = OpenOptions::new().read(true).custom_flags(no_follow()).open(path) else { return };
        // The folder's owner may have put a second name of somebody else's file there.
        let is_single = file.metadata().is_ok_and(|about| about.is_dir() || about.nlink() == 1);
        if is_single && rustix::process::geteuid().is_root() {
            let _ = fchown(&file, Some(folder.uid()), Some(folder.gid()));
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}

/// Says which process holds the lock of `path`; `None` when none does.
pub(crate) fn in_use(path: &Path) -> Option<StoreError> {
    let file = File::open(lock_of(path)).ok()?;
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| held(path, file))
}

/// The error that names the process which holds the lock, as that process has written it into the lock file.
fn held(path: &Path, lock: File) -> StoreError {
    let mut text = String::new();
    let _ = lock.take(20).read_to_string(&mut text);
    StoreError::InUse { path: path.to_owned(), pid: text.trim().parse().ok() }
}

/// Creates the empty file beside `to` that a copy is written to; it takes its name when it is complete.
pub(crate) fn reserve(to: &Path) -> Result<PathBuf, StoreError> {
    let partial = beside(to, PARTIAL);
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&partial, error)),
        _ => {}
    }
    private().write(true).create_new(true).open(&partial).map_err(|e| failed(&partial, e))?;
    Ok(partial)
}

/// Gives a complete copy its name, and another file of that name up only when `replace` is set. After an error neither the copy nor
/// anything new is there.
pub(crate) fn publish(partial: &Path, to: &Path, replace: bool) -> Result<(), StoreError> {
    let finish = || {
        File::open(partial)?.sync_all()?;
        // A hard link fails when the name is taken; a rename would replace it.
        match fs::hard_link(partial, to) {
            Ok(()) => fs::remove_file(partial),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !replace => Err(error),
            Err(_) => fs::rename(partial, to),
        }?;
        sync_directory(to)
    };
    finish().map_err(|error: io::Error| {
        let _ = fs::remove_file(partial);
        match error.kind() {
            io::ErrorKind::AlreadyExists => StoreError::BackupExists { path: to.to_owned() },
            _ => failed(to, error),
        }
    })
}

/// Makes the names in the directory of `path` survive a power cut (fsync(2)).
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        File::open(hezar_child::folder_of(path))?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// A database and the files that SQLite keeps beside it (SQLite: temporary files §2).
pub(crate) fn with_companions(path: &Path) -> [PathBuf; 3] {
    [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")]
}

/// Removes a database with its companions; what is not there is no error.
pub(crate) fn remove(path: &Path) -> Result<(), StoreError> {
    for file in with_companions(path) {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&file, error)),
            _ => {}
        }
    }
    Ok(())
}

/// Gives a database with its companions another name, under which it is kept: `hezar.db.1796043600.old`, with the time in seconds since
/// 1970-01-01. `None` when there is none.
pub(crate) fn move_aside(path: &Path) -> Result<Option<PathBuf>, StoreError> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let numbers = seconds..seconds + 1000;
    let free = numbers.map(|number| beside(path, &format!(".{number}.old"))).find(|name| !name.exists());
    let (true, Some(kept)) = (path.exists(), free) else { return Ok(None) };
    for (from, to) in with_companions(path).into_iter().zip(with_companions(&kept)) {
        match fs::rename(&from, to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&from, error)),
            _ => {}
        }
    }
    Ok(Some(kept))
}

/// When a database was written last, as far as its files say; `None` when there is none, or only an empty file.
pub(crate) fn last_written(path: &Path) -> Option<SystemTime> {
    let [database, log, _] = with_companions(path);
    let about = fs::metadata(database).ok().filter(|about| about.is_file() && about.len() > 0)?;
    let log = fs::metadata(log).ok().and_then(|about| about.modified().ok());
    about.modified().ok().max(log)
}

/// `O_NOFOLLOW` (open(2)).
#[cfg(unix)]
const fn no_follow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(crate) fn private() -> OpenOptions {
    #[allow(unused_mut, reason = "only Unix has modes")]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

pub(crate) fn failed(path: &Path, error: io::Error) -> StoreError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => match path.parent().filter(|d| !d.as_os_str().is_empty() && !d.is_dir()) {
            Some(directory) => StoreError::DirectoryMissing { path: directory.to_owned() },
            None => StoreError::Missing { path },
        },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { path },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { path },
        _ => StoreError::Io { path, source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_free_although_a_child_still_holds_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hezar.db");
        let first = lock(&path).unwrap();
        let held_by_child = first.0.try_clone().unwrap();
        assert!(matches!(lock(&path), Err(StoreError::InUse { .. })));
        drop(first);
        drop(lock(&path).unwrap());
        drop(held_by_child);
    }
}
