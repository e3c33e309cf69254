//! Starts a core and ends it, and reads what it prints.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use hezar_child::{Launcher, Lines, spawn_from_lasting_thread};
use tokio::{
    io::{AsyncBufRead, BufReader},
    process::{Child, ChildStderr, ChildStdout},
    time::timeout,
};

use crate::CoreError;

/// How long a core may take to end by itself.
const GRACE: Duration = Duration::from_secs(3);

/// How a core is started.
#[derive(Clone, Debug)]
pub struct CoreCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables that it gets. It gets none of this process's own, whose values are not its business, but `PATH` and `TMPDIR`.
    pub environment: Vec<(String, OsString)>,
}

/// What a core does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CoreEvent {
    /// It prints a line.
    Line(String),
    /// It has ended; the text says how.
    Ended(String),
}

/// A core that this process has started. It is killed when this is dropped, and by the kernel when this process ends (on Linux).
#[derive(Debug)]
pub(super) struct CoreProcess {
    child: Child,
    output: Option<Lines<BufReader<ChildStdout>>>,
    errors: Option<Lines<BufReader<ChildStderr>>>,
}

impl CoreProcess {
    /// Starts a core in the folder `home`.
    ///
    /// # Errors
    /// [`CoreError::Spawn`].
    pub(super) async fn spawn(launcher: &Launcher, command: &CoreCommand, home: &Path) -> Result<Self, CoreError> {
        let mut launched = launcher.command(&command.program);
        launched.args(&command.arguments).env_clear().current_dir(home).env("HOME", home);
        for name in ["PATH", "TMPDIR"] {
            launched.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        launched.envs(command.environment.iter().map(|(name, value)| (name, value)));
        launched.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // A signal from the terminal is for us alone: the core is ended when the streams over it have ended.
        #[cfg(unix)]
        launched.process_group(0);
        let spawned = spawn_from_lasting_thread(launched).await;
        let mut child = spawned.map_err(|source| CoreError::Spawn { program: command.program.clone(), source })?;
        let output = child.stdout.take().map(|output| Lines::new(BufReader::new(output)));
        let errors = child.stderr.take().map(|errors| Lines::new(BufReader::new(errors)));
        Ok(Self { child, output, errors })
    }

    /// Its process id; `None` when it has ended.
    #[must_use]
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for the next line that it prints, or for its end. Cancel safe.
    pub(super) async fn next_event(&mut self) -> CoreEvent {
        let Self { child, output, errors } = self;
        // Its last lines come before its end.
        while output.is_some() || errors.is_some() {
            let line = tokio::select! {
                line = next_line(output) => line,
                line = next_line(errors) => line,
            };
            if let Some(line) = line {
                return CoreEvent::Line(line);
            }
        }
        CoreEvent::Ended(child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string()))
    }

    /// Asks it to end (SIGTERM), and kills it when that takes too long.
    pub(super) async fn end(mut self) {
        #[cfg(target_os = "linux")]
        if let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw) {
            // It may have ended at this moment.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let ended = async {
            // What nobody reads would hold it up.
            while let CoreEvent::Line(_) = self.next_event().await {}
        };
        if timeout(GRACE, ended).await.is_err() {
            // It may have ended at this moment.
            let _ = self.child.kill().await;
        }
    }
}

/// The next line; waits for ever when there are no more, after it has taken the reader away.
async fn next_line<R: AsyncBufRead + Unpin>(lines: &mut Option<Lines<R>>) -> Option<String> {
    let Some(reader) = lines else { return std::future::pending().await };
    match reader.next().await {
        Ok(Some(line)) => Some(line),
        _ => {
            *lines = None;
            None
        }
    }
}
