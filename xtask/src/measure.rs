//! Runs the measurements beside real programs: builds what they need and starts them.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};

use crate::peers;

/// Runs a program of the benchmarks with the paths of sing-box, mihomo and Xray in front of its options.
///
/// # Errors
/// When something cannot be built, installed or measured.
pub(crate) fn beside_peers(root: &Path, program: &str, options: &[String]) -> anyhow::Result<()> {
    let folder = peers::install(root, true)?;
    let release = cargo(root, &["build", "--release", "--package", "hezar", "--package", "hezar-bench", "--bins"])?;
    let mut bench = Command::new(release.join("release").join(program));
    for name in ["sing-box", "mihomo", "xray"] {
        bench.arg(format!("--{name}")).arg(peers::program(root, &folder, name)?);
    }
    must(bench.args(options))
}

/// Mixed load over all rows.
///
/// # Errors
/// When something cannot be built or installed, or the soak finds something.
pub(crate) fn soak(root: &Path, minutes: u32) -> anyhow::Result<()> {
    let folder = peers::install(root, true)?;
    let target = cargo(root, &["build", "--release", "--package", "hezar"])?;
    cargo(root, &["build", "--package", "hezar-interop", "--bin", "soak"])?;
    let mut soak = Command::new(target.join("debug/soak"));
    soak.env("HEZAR_PEERS", folder).arg(target.join("release/hezar")).arg(minutes.to_string());
    must(&mut soak)
}

/// Builds; gives the target folder.
fn cargo(root: &Path, words: &[&str]) -> anyhow::Result<PathBuf> {
    must(Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).current_dir(root).args(words))?;
    Ok(env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into))
}

fn must(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    ensure!(status.success(), "{:?} ended with {status}", command.get_program());
    Ok(())
}
