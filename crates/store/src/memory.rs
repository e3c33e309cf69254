//! Where a database in memory lies: a file on a file system in memory (tmpfs), which outlives the process and not the machine.
//!
//! A file and not SQLite's `:memory:`, because then everything works as on a disk: the write-ahead log, readers beside the writer, commands
//! in other processes, and the hand-over to a new process. After `kill -9` the file is still there, and nothing is lost.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use hezar_core::hash64;

use crate::{StoreError, file};

/// The folder that everybody has on Linux.
const SHARED_MEMORY: &str = "/dev/shm";
/// Variables that name a folder of this service (systemd.exec(5)) or user (XDG Base Directory specification).
const VARIABLES: [&str; 2] = ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"];

/// The file in memory of the database that would lie at `database`; `folder` as `store.memory_folder` says it.
///
/// # Errors
/// [`StoreError::Memory`] when there is no folder in memory.
pub(crate) fn file_in_memory(folder: Option<&Path>, database: &Path) -> Result<PathBuf, StoreError> {
    let parent = match folder {
        Some(folder) => folder.to_owned(),
        None => usual_folders().find(|folder| is_in_memory(folder)).ok_or_else(|| {
            problem(
                "this machine has no folder in memory at /dev/shm, $RUNTIME_DIRECTORY or $XDG_RUNTIME_DIR".to_owned(),
            )
        })?,
    };
    // Instances with other data folders have other files.
    let path = std::path::absolute(database).unwrap_or_else(|_| database.to_owned());
    let own = format!("hezar-{:016x}", hash64(path.as_os_str().as_encoded_bytes()));
    Ok(parent.join(own).join(path.file_name().unwrap_or_default()))
}

/// Makes the folder of a file in memory, and makes sure that it is this user's alone: others may write beside it.
///
/// # Errors
/// [`StoreError::Memory`]: what is wrong with it.
pub(crate) fn prepare(live: &Path) -> Result<(), StoreError> {
    let folder = live.parent().unwrap_or(Path::new(""));
    hezar_child::create_private_folder(folder)
        .map_err(|error| problem(format!("{} cannot be made: {error}", folder.display())))?;
    let about = fs::symlink_metadata(folder).map_err(|error| file::failed(folder, error))?;
    if !about.is_dir() || !belongs_to_this_user(&about) {
        return Err(problem(format!("{} belongs to somebody else", folder.display())));
    }
    if !is_in_memory(folder) {
        tracing::warn!(folder = %folder.display(), "store.memory_folder is not in memory (tmpfs): the database lies on a disk");
    }
    Ok(())
}

/// Whether a file in memory may be believed: it lies in a folder of this user, or of whoever owns the data folder.
pub(crate) fn is_trusted(live: &Path, database: &Path) -> bool {
    let about = |path: &Path| fs::symlink_metadata(hezar_child::folder_of(path));
    match (about(live), about(database)) {
        (Ok(memory), Ok(data)) => memory.is_dir() && (same_owner(&memory, &data) || belongs_to_this_user(&memory)),
        _ => false,
    }
}

fn usual_folders() -> impl Iterator<Item = PathBuf> {
    let named = VARIABLES.iter().filter_map(|name| env::var_os(name).map(PathBuf::from));
    std::iter::once(PathBuf::from(SHARED_MEMORY)).chain(named.filter(|folder| folder.is_absolute()))
}

/// Whether a folder lies on a file system in memory that this process may write to.
fn is_in_memory(folder: &Path) -> bool {
    #[cfg(target_os = "linux")]
    {
        /// The types of tmpfs and ramfs (statfs(2)).
        const MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
        let writable = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
        writable && rustix::fs::statfs(folder).is_ok_and(|about| MEMORY.contains(&(about.f_type as u64)))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        false
    }
}

#[cfg(unix)]
fn belongs_to_this_user(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    about.uid() == rustix::process::geteuid().as_raw() && about.permissions().mode() & 0o077 == 0
}

#[cfg(unix)]
fn same_owner(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    one.uid() == other.uid()
}

#[cfg(not(unix))]
fn belongs_to_this_user(_: &fs::Metadata) -> bool {
    true
}

#[cfg(not(unix))]
fn same_owner(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}

fn problem(detail: String) -> StoreError {
    StoreError::Memory { detail: detail.into() }
}
