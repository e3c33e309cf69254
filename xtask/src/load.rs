//! Runs the load programs: builds what they need in release and starts them.

use std::{env, path::Path, process::Command};

use anyhow::{Context, ensure};

use crate::peers;

/// Runs one of them, by the name of its program, with these arguments.
///
/// # Errors
/// When something cannot be built, or the load finds something.
pub(crate) fn run(root: &Path, name: &str, arguments: &[String]) -> anyhow::Result<()> {
    // A peer that is missing is left out, and the run says so.
    let folder = peers::install(root, false)?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = ["build", "--release", "--package", "hezar", "--package", "hezar-bench"];
    succeed(Command::new(&cargo).current_dir(root).args(build))?;
    let run = ["run", "--release", "--quiet", "--package", "hezar-bench", "--bin", name, "--"];
    succeed(Command::new(&cargo).current_dir(root).args(run).args(arguments).env("HEZAR_PEERS", folder))
}

fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    ensure!(status.success(), "{} ended with {status}", command.get_program().display());
    Ok(())
}
