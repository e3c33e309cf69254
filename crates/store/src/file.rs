//! The files around the database: who may open it, with which mode, and how a backup appears in one piece.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use crate::StoreError;

/// The first bytes of every SQLite database (SQLite file format §1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Takes the lock of `path` and makes sure that there is a file that only its owner can read: links hold passwords.
pub(crate) fn prepare(path: &Path) -> Result<File, StoreError> {
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty() && !d.is_dir()) {
        return Err(StoreError::DirectoryMissing { path: directory.to_owned() });
    }
    if path.is_dir() {
        return Err(StoreError::NotADatabase { path: path.to_owned() });
    }
    let lock = lock(path)?;
    let database = private().write(true).create(true).truncate(false).open(path).map_err(|e| failed(path, e))?;
    drop(database);
    check(path)?;
    Ok(lock)
}

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

/// An advisory lock on `<path>.lock`; the operating system frees it when the process ends, however it ends.
fn lock(path: &Path) -> Result<File, StoreError> {
    let lock_path = beside(path, ".lock");
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

/// Says which process holds the lock of `path`; `None` when none does.
pub(crate) fn in_use(path: &Path) -> Option<StoreError> {
    let file = File::open(beside(path, ".lock")).ok()?;
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| held(path, file))
}

/// The error that names the process which holds the lock, as that process has written it into the lock file.
fn held(path: &Path, lock: File) -> StoreError {
    let mut text = String::new();
    let _ = lock.take(20).read_to_string(&mut text);
    StoreError::InUse { path: path.to_owned(), pid: text.trim().parse().ok() }
}

/// Creates the empty file that a backup is written to; it takes its name when it is complete.
pub(crate) fn reserve_backup(to: &Path) -> Result<PathBuf, StoreError> {
    if to.exists() {
        return Err(StoreError::BackupExists { path: to.to_owned() });
    }
    let partial = beside(to, ".partial");
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&partial, error)),
        _ => {}
    }
    private().write(true).create_new(true).open(&partial).map_err(|e| failed(&partial, e))?;
    Ok(partial)
}

/// Gives a complete backup its name, never over another file.
pub(crate) fn finish_backup(partial: &Path, to: &Path) -> Result<(), StoreError> {
    let finish = || {
        File::open(partial)?.sync_all()?;
        // A hard link fails when the name is taken; a rename would replace it.
        match fs::hard_link(partial, to) {
            Ok(()) => fs::remove_file(partial),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            Err(_) => fs::rename(partial, to),
        }
    };
    finish().map_err(|error: io::Error| {
        let _ = fs::remove_file(partial);
        match error.kind() {
            io::ErrorKind::AlreadyExists => StoreError::BackupExists { path: to.to_owned() },
            _ => failed(to, error),
        }
    })
}

/// `O_NOFOLLOW` (open(2)).
#[cfg(unix)]
const fn no_follow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn private() -> OpenOptions {
    #[allow(unused_mut, reason = "only Unix has modes")]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn failed(path: &Path, error: io::Error) -> StoreError {
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
