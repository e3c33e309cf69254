//! The program that runs, as it can be started again: its file, and the arguments that it was started with.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::timeout,
};

/// How long a program may take to say whether it could start.
const CHECK: Duration = Duration::from_secs(20);
/// What is read of what it says, in bytes.
const MOST_SAID: u64 = 16 << 10;
/// Variables that are meant for one process alone (sd_listen_fds(3), sd_watchdog_enabled(3)).
const OWN_VARIABLES: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];
/// The flag with which a process takes over.
const TAKEOVER: &str = "--takeover";

/// How this process was started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    file: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// The program of this process, which starts the same with these arguments. It has to be asked at the start: later another file may lie
    /// in its place.
    pub(crate) fn of_this_process(arguments: Vec<OsString>) -> Self {
        let file = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("hezar"));
        Self { file, arguments }
    }

    /// The file from which it was started.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Asks another program whether it would start with the same arguments; returns which version it is.
    ///
    /// # Errors
    /// It would not, with what it says, or it is no program of this kind.
    pub(super) async fn check(&self, binary: &Path) -> anyhow::Result<String> {
        let mut command = self.command(binary);
        command.arg("--check").stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("{} cannot be started", binary.display()))?;
        let (out, error) = (child.stdout.take(), child.stderr.take());
        let ended = timeout(CHECK, async { tokio::join!(read(out), read(error), child.wait()) }).await;
        let (out, error, status) =
            ended.map_err(|_| anyhow!("{} did not answer within {} s", binary.display(), CHECK.as_secs()))?;
        let status = status?;
        if !status.success() {
            let said = error.trim();
            bail!("{} would not start ({status}){}{said}", binary.display(), if said.is_empty() { "" } else { ": " });
        }
        let version = out.lines().next().map(str::trim).filter(|line| line.starts_with("hezar "));
        version.map(str::to_owned).with_context(|| format!("{} is no hezar that can take over", binary.display()))
    }

    /// Starts another program with the same arguments, to take over.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(&self, binary: &Path) -> anyhow::Result<Child> {
        let mut command = self.command(binary);
        // A signal from the terminal of this process is not meant for its successor.
        command.arg(TAKEOVER).process_group(0);
        command.spawn().with_context(|| format!("{} cannot be started", binary.display()))
    }

    fn command(&self, binary: &Path) -> Command {
        let mut command = Command::new(binary);
        command.args(&self.arguments).stdin(Stdio::null());
        OWN_VARIABLES.iter().for_each(|name| {
            command.env_remove(name);
        });
        command
    }
}

/// What a program says, as far as it is read.
async fn read(from: Option<impl AsyncRead + Unpin>) -> String {
    let mut said = Vec::new();
    if let Some(from) = from {
        // What was read until it broke off is told.
        let _ = from.take(MOST_SAID).read_to_end(&mut said).await;
    }
    String::from_utf8_lossy(&said).into_owned()
}
