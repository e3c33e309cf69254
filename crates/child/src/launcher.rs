//! Lets a program end together with the process that has started it, also when that one is killed.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    process::Command as StdCommand,
};

use tokio::process::Command;

use crate::child_command;

/// A command line of this program that calls [`become_program`] with what follows on it: the id of the parent, the program and its arguments.
///
/// The wish to die with the parent (prctl(2), `PR_SET_PDEATHSIG`) has to be said in the child. Doing so between fork and exec needs unsafe
/// code; this program does it after its own exec instead, and then becomes the other one, which keeps the wish.
#[derive(Clone, Debug)]
pub struct Launcher {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Launcher {
    /// The launcher that `program` is when it is called with `arguments`.
    #[must_use]
    pub fn new(program: PathBuf, arguments: impl IntoIterator<Item = OsString>) -> Self {
        Self { program, arguments: arguments.into_iter().collect() }
    }

    /// This program as the launcher. On Linux it is found also after its file was replaced.
    ///
    /// # Errors
    /// Those of the system, when it does not tell which file this program is.
    pub fn this_program(arguments: impl IntoIterator<Item = OsString>) -> io::Result<Self> {
        let program = if cfg!(target_os = "linux") { "/proc/self/exe".into() } else { std::env::current_exe()? };
        Ok(Self::new(program, arguments))
    }

    /// The command that starts `program`, which ends with this process. Its arguments are to be added.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = child_command(&self.program);
        command.args(&self.arguments).arg(std::process::id().to_string()).arg(program);
        command
    }
}

/// Becomes another program, which is killed when the process `parent` ends. Returns only when that fails.
///
/// On other systems than Linux the program is not killed then.
pub fn become_program(
    parent: u32,
    program: &Path,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> io::Error {
    if let Err(error) = die_with(parent) {
        return error;
    }
    let mut command = StdCommand::new(program);
    command.args(arguments);
    #[cfg(unix)]
    return std::os::unix::process::CommandExt::exec(&mut command);
    #[cfg(not(unix))]
    return io::Error::from(io::ErrorKind::Unsupported);
}

/// Asks the kernel to kill this process when the one that has started it ends.
#[cfg(target_os = "linux")]
fn die_with(parent: u32) -> io::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // A parent that ended before the wish was said sends nothing any more.
    let now = getppid().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok());
    if now == Some(parent) { Ok(()) } else { Err(io::Error::other("the process that wanted this program has ended")) }
}

#[cfg(not(target_os = "linux"))]
fn die_with(_: u32) -> io::Result<()> {
    Ok(())
}
