//! Starts a Tor client in a folder of its own, finds its control port, and ends it.

use std::{
    fs,
    io::{self, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use hezar_child::{Lines, child_command, create_private_folder};
use tokio::{
    io::BufReader,
    process::{Child, ChildStdout},
    time::timeout,
};

use crate::{TorError, TorLogLine, Torrc};

/// How long a client may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);
/// The longest file that is read back.
const LONGEST_FILE: u64 = 256 << 10;

/// The folder of one Tor client.
#[derive(Clone, Debug)]
pub struct TorFolder(PathBuf);

impl TorFolder {
    /// Makes the folder, which its owner alone can enter, with the parts that Tor wants to find.
    ///
    /// # Errors
    /// [`TorError::File`].
    pub fn create(folder: PathBuf) -> Result<Self, TorError> {
        let data = folder.join(Torrc::DATA);
        create_private_folder(&data).map_err(|source| TorError::File { path: data, source })?;
        Ok(Self(folder))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The configuration that the client in this folder was started with last.
    #[must_use]
    pub fn torrc(&self) -> Option<String> {
        self.read("torrc")
    }

    /// The control port of the client that runs, or ran last, in this folder.
    #[must_use]
    pub fn control_port(&self) -> Option<SocketAddr> {
        // One line, `PORT=127.0.0.1:9051`.
        self.read(Torrc::CONTROL_PORT)?.trim().strip_prefix("PORT=")?.parse().ok()
    }

    fn read(&self, name: &str) -> Option<String> {
        let mut text = String::new();
        fs::File::open(self.0.join(name)).ok()?.take(LONGEST_FILE).read_to_string(&mut text).ok()?;
        Some(text)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, TorError> {
        let path = self.0.join(name);
        let written = fs::write(&path, text);
        // Bridges are in it, which not everybody on this machine has to know; the folder lets nobody else in anyway.
        written.map(|()| path.clone()).map_err(|source| TorError::File { path, source })
    }
}

/// What a client does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TorEvent {
    /// It says something.
    Line(TorLogLine),
    /// It has ended; the text says how.
    Ended(String),
}

/// A Tor client that this process has started. It is killed when this is dropped, unless it was released.
#[derive(Debug)]
pub struct TorProcess {
    child: Child,
    lines: Option<Lines<BufReader<ChildStdout>>>,
    released: bool,
}

impl TorProcess {
    /// Starts `program` in a folder with this configuration. The client ends by itself within 15 s after the process `owner` is gone
    /// (`__OwningControllerProcess`, control-spec).
    ///
    /// # Errors
    /// [`TorError::File`], [`TorError::Spawn`].
    pub fn spawn(program: &Path, folder: &TorFolder, torrc: &str, owner: u32) -> Result<Self, TorError> {
        let file = folder.write("torrc", torrc)?;
        // What the distribution says about its own service does not hold here.
        let defaults = folder.write("torrc-defaults", "")?;
        let stale = folder.path().join(Torrc::CONTROL_PORT);
        match fs::remove_file(&stale) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(TorError::File { path: stale, source });
            }
            _ => {}
        }
        let mut command = child_command(program);
        command
            .arg("-f")
            .arg(file)
            .arg("--defaults-torrc")
            .arg(defaults)
            .args(["--__OwningControllerProcess", &owner.to_string()])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // A signal from the terminal is for us alone: the client is ended when the tunnels over it have ended.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(|source| TorError::Spawn { program: program.to_owned(), source })?;
        let lines = child.stdout.take().map(|output| Lines::new(BufReader::new(output)));
        Ok(Self { child, lines, released: false })
    }

    /// Its process id; `None` when it has ended.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for the next line of its log, or for its end. Cancel safe.
    pub async fn next_event(&mut self) -> TorEvent {
        let Self { child, lines, .. } = self;
        loop {
            let Some(reader) = lines else {
                return TorEvent::Ended(
                    child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string()),
                );
            };
            // Its last lines come before its end.
            if let Ok(Some(line)) = reader.next().await {
                return TorEvent::Line(TorLogLine::read(&line));
            }
            *lines = None;
        }
    }

    /// Lets it run on: it belongs to another process now.
    pub const fn release(&mut self) {
        self.released = true;
    }

    /// Waits until it has ended by itself, and kills it when that takes too long.
    pub async fn end(mut self) {
        if timeout(GRACE, self.child.wait()).await.is_err() {
            // It may have ended at this moment.
            let _ = self.child.kill().await;
        }
    }
}

impl Drop for TorProcess {
    fn drop(&mut self) {
        if !self.released {
            // It may have ended already.
            let _ = self.child.start_kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_port_is_read_from_its_file() {
        let parent = tempfile::tempdir().unwrap();
        let folder = TorFolder::create(parent.path().join("a/b")).unwrap();
        assert_eq!((folder.control_port(), folder.torrc()), (None, None));
        folder.write(Torrc::CONTROL_PORT, "PORT=127.0.0.1:4711\n").unwrap();
        assert_eq!(folder.control_port(), Some("127.0.0.1:4711".parse().unwrap()));
        folder.write(Torrc::CONTROL_PORT, "UNIX_PORT=/x\n").unwrap();
        assert_eq!(folder.control_port(), None);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn what_a_program_prints_comes_as_lines_and_it_is_killed_when_dropped() {
        let parent = tempfile::tempdir().unwrap();
        let folder = TorFolder::create(parent.path().join("tor")).unwrap();
        let program = parent.path().join("program");
        fs::write(&program, "#!/bin/sh\necho \"[warn] $*\"\nexec sleep 600\n").unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let mut process = TorProcess::spawn(&program, &folder, "Log notice stdout\n", 42).unwrap();
        let TorEvent::Line(line) = process.next_event().await else { panic!("it has ended") };
        assert!(line.text.ends_with("--__OwningControllerProcess 42"), "{line:?}");
        assert!(folder.torrc().unwrap().contains("Log notice"));
        let pid = process.pid().unwrap();
        drop(process);
        let gone = async {
            // A child that nobody has waited for is a zombie, whose command line is empty.
            while fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty()) {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(60), gone).await.unwrap();
    }
}
