//! The note that a running instance leaves, so that commands find its API from any folder.
//!
//! The note lies in the data folder and holds the API's address and token. A second file in the user's state folder names
//! that data folder. The instance holds a shared lock on its note for as long as it lives: a note that nobody holds is stale.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use hezar_core::Secret;
use hezar_store::create_private_folder;
use serde::{Deserialize, Serialize};

use crate::places::UserFolders;

const NOTE: &str = "instance.json";
/// Longer notes are not ours.
const MOST_BYTES: u64 = 64 << 10;

/// What a running instance says about itself.
#[derive(Serialize, Deserialize)]
struct Note {
    api: SocketAddr,
    token: String,
    config: Option<PathBuf>,
    pid: u32,
}

/// A running instance as its note describes it.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    /// Where its API listens.
    pub(crate) api: SocketAddr,
    pub(crate) token: Secret,
    /// Its configuration file, absolute.
    pub(crate) config: Option<PathBuf>,
    /// Its data folder.
    pub(crate) data: PathBuf,
}

impl Running {
    /// The instance that runs with this data folder.
    pub(crate) fn in_folder(data: &Path) -> Option<Self> {
        let file = data.join(NOTE);
        let lock = File::open(&file).ok()?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {}
            // Nobody holds it: the instance ended without a word.
            Ok(()) | Err(TryLockError::Error(_)) => return None,
        }
        let length = lock.metadata().ok()?.len();
        let text = (length <= MOST_BYTES).then(|| fs::read(&file).ok())??;
        let note: Note = serde_json::from_slice(&text).ok()?;
        Some(Self { api: note.api, token: note.token.into(), config: note.config, data: data.to_owned() })
    }

    /// The instance that this user started last, whatever its folder.
    pub(crate) fn of_user(user: &UserFolders) -> Option<Self> {
        let text = fs::read_to_string(user.state()?.join(NOTE)).ok()?;
        let data: PathBuf = serde_json::from_str(&text).ok()?;
        Self::in_folder(&data)
    }
}

/// The notes of this instance; they are removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Announcement {
    _lock: File,
    /// Each file with what this instance has written to it.
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Announcement {
    /// Leaves the notes. Without the one in the state folder the instance is found through its configuration only.
    pub(crate) fn make(
        api: SocketAddr,
        token: &Secret,
        config: Option<&Path>,
        data: &Path,
        user: &UserFolders,
    ) -> io::Result<Self> {
        let data = std::path::absolute(data)?;
        let config = config.and_then(|file| std::path::absolute(file).ok());
        let note = Note { api, token: token.expose().to_owned(), config, pid: std::process::id() };
        let (file, text) = (data.join(NOTE), serde_json::to_vec(&note)?);
        let lock = write_private(&file, &text)?;
        lock.lock_shared()?;
        let mut files = vec![(file, text)];
        if let Some(state) = user.state() {
            let (file, text) = (state.join(NOTE), serde_json::to_vec(&data)?);
            if create_private_folder(state).and_then(|()| write_private(&file, &text)).is_ok() {
                files.push((file, text));
            }
        }
        Ok(Self { _lock: lock, files })
    }
}

impl Announcement {
    /// Leaves the notes to another instance, which has put its own in their place.
    pub(crate) fn disown(mut self) {
        self.files.clear();
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        for (file, written) in &self.files {
            // Another instance may have put its own note in this place since.
            if fs::read(file).is_ok_and(|text| text == *written) {
                let _ = fs::remove_file(file);
            }
        }
    }
}

/// Writes a file that only its owner can read, in the place of an older one; gives the file that was written.
pub(crate) fn write_private(file: &Path, bytes: &[u8]) -> io::Result<File> {
    // A new file, never one that another user has made or linked there.
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut written = options.open(file)?;
    written.write_all(bytes)?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_lives_as_long_as_its_instance() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        create_private_folder(&data).unwrap();
        let user = UserFolders::default();
        assert!(Running::in_folder(&data).is_none());
        let announced = Announcement::make("127.0.0.1:1".parse().unwrap(), &"t".into(), None, &data, &user).unwrap();
        let found = Running::in_folder(&data).unwrap();
        assert_eq!((found.api.port(), found.token.expose()), (1, "t"));
        drop(announced);
        assert!(Running::in_folder(&data).is_none());
        // What a killed instance leaves is no instance.
        write_private(&data.join(NOTE), br#"{"api":"127.0.0.1:1","token":"t","config":null,"pid":1}"#).unwrap();
        assert!(Running::in_folder(&data).is_none());
    }
}
