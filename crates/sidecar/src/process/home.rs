//! The folder in which one core runs, which its owner alone can enter.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use hezar_child::create_private_folder;
use uuid::Uuid;

use crate::CoreError;

/// The longest path of a socket on every system: `sun_path` has 104 bytes on macOS and 108 on Linux (unix(7)), with a zero at the end.
const LONGEST_SOCKET_PATH: usize = 103;
/// The longest name of a socket in a home folder.
const LONGEST_NAME: usize = 16;

/// What the names of this process's homes have after its id: in a container another process had the same id before.
static MARK: LazyLock<String> = LazyLock::new(|| format!("{:016x}", Uuid::new_v4().as_u64_pair().0));

/// The home folder of one core of this process. It is removed when this is dropped.
#[derive(Debug)]
pub struct CoreHome(PathBuf);

impl CoreHome {
    /// Makes an empty folder for the core `name` under `parent`, or under the system's folder of temporary files where paths under `parent`
    /// are too long for sockets. What processes that have ended left there is removed.
    ///
    /// # Errors
    /// [`CoreError::File`].
    pub fn create(parent: &Path, name: &str) -> Result<Self, CoreError> {
        // The core runs in its home: a relative path would name another folder there.
        let parent = &std::path::absolute(parent).unwrap_or_else(|_| parent.to_owned());
        remove_left_over(parent, &format!("{name}-"));
        let own = format!("{name}-{}-{}{:016x}", std::process::id(), MARK.as_str(), Uuid::new_v4().as_u64_pair().1);
        let mut folder = parent.join(&own);
        if folder.as_os_str().len() + LONGEST_NAME >= LONGEST_SOCKET_PATH {
            folder = std::env::temp_dir().join(format!("hezar-{own}"));
            remove_left_over(&std::env::temp_dir(), &format!("hezar-{name}-"));
        }
        let failed = |source| CoreError::File { path: folder.clone(), source };
        if let Some(above) = folder.parent() {
            create_private_folder(above).map_err(failed)?;
        }
        // It must not be there already: in a folder that everybody can write to it could be somebody else's.
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder).map_err(failed)?;
        Ok(Self(folder))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file: its old contents stay whole until the new ones are complete.
    ///
    /// # Errors
    /// [`CoreError::File`].
    pub fn write(&self, name: &str, contents: &[u8]) -> Result<PathBuf, CoreError> {
        let (path, partial) = (self.file(name), self.file(&format!(".{name}.partial")));
        let written = fs::write(&partial, contents).and_then(|()| fs::rename(&partial, &path));
        written.map(|()| path.clone()).map_err(|source| CoreError::File { path, source })
    }

    /// Removes a file that may be there.
    ///
    /// # Errors
    /// [`CoreError::File`].
    pub fn remove(&self, name: &str) -> Result<(), CoreError> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(CoreError::File { path, source }),
            _ => Ok(()),
        }
    }
}

impl Drop for CoreHome {
    fn drop(&mut self) {
        // What stays is removed by the next process.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes the home folders of processes that have ended, such as by `kill -9`; their names have this beginning.
fn remove_left_over(parent: &Path, beginning: &str) {
    let own = std::process::id();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| owner_of(name.strip_prefix(beginning)?));
        if owner
            .is_some_and(|(pid, random)| if pid == own { !random.starts_with(MARK.as_str()) } else { !is_alive(pid) })
        {
            // Another process may be removing it as well.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process and the mark in the end `PID-RANDOM` of the name of a home folder.
fn owner_of(end: &str) -> Option<(u32, &str)> {
    let (pid, random) = end.split_once('-')?;
    (random.len() == 32).then(|| Some((pid.parse().ok()?, random)))?
}

#[cfg(target_os = "linux")]
fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // One of another user cannot be signalled, and runs all the same.
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(not(target_os = "linux"))]
fn is_alive(_: u32) -> bool {
    true
}
