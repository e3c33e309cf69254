//! The Unix socket in the data folder at which an instance is asked to hand over.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

const NAME: &str = "takeover.sock";

/// The socket of this instance; its file is removed when this is dropped, unless it is another one's by then.
#[derive(Debug)]
pub(crate) struct Endpoint {
    socket: UnixListener,
    file: PathBuf,
    /// The number of the file; absent when the file is left to somebody else.
    inode: Option<u64>,
}

/// Who has connected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) pid: Option<u32>,
    /// Whether it is the user of this process; root is another one unless this process is root's too.
    pub(crate) is_same_user: bool,
}

impl Endpoint {
    /// Binds the socket in the place of an older one. Only its owner can connect.
    ///
    /// # Errors
    /// The folder takes no socket.
    pub(crate) fn bind(data: &Path) -> io::Result<Self> {
        let file = data.join(NAME);
        // Under a name that nobody asks for until the permissions are right.
        let new_name = format!("{NAME}.{}", std::process::id());
        let new = data.join(&new_name);
        let _ = fs::remove_file(&new);
        let bound = (|| {
            let near = ShortPath::of(data)?;
            let socket = UnixListener::bind(near.join(&new_name))?;
            fs::set_permissions(&new, Permissions::from_mode(0o600))?;
            let inode = Some(inode(&new)?);
            fs::rename(&new, &file)?;
            Ok(Self { socket, file: file.clone(), inode })
        })();
        if bound.is_err() {
            let _ = fs::remove_file(&new);
        }
        bound
    }

    /// Leaves the file to a successor, who puts its own in its place.
    pub(super) const fn leave_file(&mut self) {
        self.inode = None;
    }

    /// The next connection of this process's user, or of root; others are turned away.
    ///
    /// # Errors
    /// The socket fails.
    pub(crate) async fn accept(&self) -> io::Result<(UnixStream, Peer)> {
        loop {
            let (stream, _) = self.socket.accept().await?;
            let credentials = stream.peer_cred()?;
            let own = rustix::process::geteuid().as_raw();
            if credentials.uid() == own || credentials.uid() == 0 {
                let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok());
                return Ok((stream, Peer { pid, is_same_user: credentials.uid() == own }));
            }
            tracing::warn!(uid = credentials.uid(), "another user asked at the takeover socket and was turned away");
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if self.inode.is_some() && inode(&self.file).ok() == self.inode {
            let _ = fs::remove_file(&self.file);
        }
    }
}

/// Connects to the instance that runs with this data folder; `None` when there is none that hands over.
///
/// # Errors
/// There is a socket that cannot be used.
pub(crate) async fn connect(data: &Path) -> io::Result<Option<UnixStream>> {
    let near = match ShortPath::of(data) {
        Ok(near) => near,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match UnixStream::connect(near.join(NAME)).await {
        Ok(stream) => Ok(Some(stream)),
        // No file, or one that a killed process has left.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A folder by a path that leaves room for a name: addresses of Unix sockets take 108 bytes (unix(7)).
#[derive(Debug)]
struct ShortPath {
    path: PathBuf,
    /// Keeps the path good.
    _folder: Option<fs::File>,
}

impl ShortPath {
    #[cfg(target_os = "linux")]
    fn of(folder: &Path) -> io::Result<Self> {
        let open = fs::File::open(folder)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open)));
        // Where /proc is not to be had, the folder's own path may be short enough.
        if path.exists() { Ok(Self { path, _folder: Some(open) }) } else { Ok(Self::own(folder)) }
    }

    #[cfg(not(target_os = "linux"))]
    fn of(folder: &Path) -> io::Result<Self> {
        Ok(Self::own(folder))
    }

    fn own(folder: &Path) -> Self {
        Self { path: folder.to_owned(), _folder: None }
    }

    fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

fn inode(file: &Path) -> io::Result<u64> {
    Ok(std::os::unix::fs::MetadataExt::ino(&fs::symlink_metadata(file)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_new_socket_takes_the_place_of_an_old_one_which_does_not_remove_it() {
        let home = tempfile::tempdir().unwrap();
        // Longer than the address of a Unix socket may be.
        let data = home.path().join("x".repeat(200));
        assert!(connect(&data).await.unwrap().is_none());
        fs::create_dir(&data).unwrap();
        assert!(connect(&data).await.unwrap().is_none());
        let old = Endpoint::bind(&data).unwrap();
        let mode = fs::metadata(data.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let new = Endpoint::bind(&data).unwrap();
        drop(old);
        let stream = connect(&data).await.unwrap();
        let (_, peer) = new.accept().await.unwrap();
        assert!(stream.is_some() && peer.is_same_user);
        assert_eq!(peer.pid, Some(std::process::id()));
        drop(new);
        assert!(connect(&data).await.unwrap().is_none());
        assert_eq!(fs::read_dir(&data).unwrap().count(), 0, "nothing stays behind");
    }
}
