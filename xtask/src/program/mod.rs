//! The program under test, as the build of the tests makes it.

#[cfg(test)]
mod tests;

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};

/// The packages whose tests the gate runs, as cargo's arguments name them.
pub(crate) const PACKAGES: [&str; 3] = ["--workspace", "--exclude", "hezar-interop"];

/// Builds the debug program, and gives its path.
///
/// The packages and their features are those of the gate's step "tests", so that nothing is compiled again after that step: for
/// other packages cargo would choose other features of the dependencies.
///
/// # Errors
/// The program does not build.
pub(crate) fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).arg("test").args(PACKAGES);
    cargo.args(["--test", "program", "--no-run", "--quiet", "--message-format", "json"]);
    let output = cargo.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "the program does not build");
    String::from_utf8_lossy(&output.stdout).lines().find_map(executable).context("cargo built no program")
}

/// The path of the program in one of cargo's messages.
fn executable(line: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let is_program = message["target"]["kind"][0] == "bin" && message["target"]["name"] == "hezar";
    let path = message["executable"].as_str().filter(|_| is_program && message["profile"]["test"] == false)?;
    Some(path.into())
}
