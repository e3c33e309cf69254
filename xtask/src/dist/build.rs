//! A release of the program that runs with old C libraries: built by cargo-zigbuild, whose linker brings the symbols of any glibc.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use super::{Arch, OLDEST_GLIBC, must};
use crate::{graph, peers};

/// The packages from PyPI, and the versions that releases are built with.
const TOOLS: [&str; 2] = ["cargo-zigbuild==0.24.0", "ziglang==0.15.2"];

/// Builds the program for a machine, and gives its path.
///
/// # Errors
/// The tools cannot be had, or the program does not build.
pub(super) fn release(root: &Path, arch: Arch) -> anyhow::Result<PathBuf> {
    let tools = tools()?;
    let target = arch.target();
    // The toolchain of rust-toolchain.toml has this machine's target alone.
    must(Command::new("rustup").current_dir(root).args(["target", "add", &target]))
        .context("the standard library of this target cannot be had")?;
    let paths = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(std::iter::once(tools.join("bin")).chain(env::split_paths(&paths)))?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).env("PATH", path).args(["zigbuild", "--release", "--locked", "--package", "hezar"]);
    let status =
        cargo.args(["--target", &format!("{target}.{OLDEST_GLIBC}")]).status().context("cannot start cargo")?;
    ensure!(status.success(), "the program does not build for {target}");
    Ok(graph::target(root).join(target).join("release/hezar"))
}

/// A virtual environment with the tools, made where the peers are.
fn tools() -> anyhow::Result<PathBuf> {
    let folder = peers::folder()?.join(TOOLS.join("-").replace("==", "-"));
    if folder.join("bin/cargo-zigbuild").is_file() {
        return Ok(folder);
    }
    let made = must(Command::new("python3").args(["-m", "venv"]).arg(&folder)).and_then(|_| {
        let mut pip = Command::new(folder.join("bin/python"));
        must(
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"])
                .args(TOOLS),
        )
    });
    if made.is_err() {
        let _ = fs::remove_dir_all(&folder);
    }
    made.map(|_| folder)
}
