//! `cargo xtask dist`: what people download, as a tarball, a Debian package and a Python wheel, with checksums and a bill of materials.

mod build;
mod debian;
mod glibc;
mod parts;
mod sbom;
mod tarball;
mod wheel;

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use sha2::{Digest, Sha256};

use crate::{graph, program};
use glibc::Glibc;
use parts::Parts;

/// The oldest C library that a release has to run on: Debian 10, RHEL 8, Ubuntu 18.10.
const OLDEST_GLIBC: Glibc = Glibc { major: 2, minor: 28 };

#[derive(Debug, Args)]
pub(crate) struct DistArgs {
    /// Package this program, built for this machine, as it is, instead of building a release; it need not run elsewhere.
    #[arg(long, value_name = "FILE", conflicts_with = "arch")]
    program: Option<PathBuf>,
    /// The machines to build for [default: this one's]
    #[arg(long, value_enum)]
    arch: Vec<Arch>,
    /// The folder to write to [default: dist in the target folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The machines that releases are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arch {
    #[value(name = "x86_64")]
    X86_64,
    #[value(name = "aarch64")]
    Aarch64,
}

impl Arch {
    /// The machine that this program runs on.
    fn of_this_machine() -> anyhow::Result<Self> {
        Self::from_str(std::env::consts::ARCH, false).ok().context("releases are made on x86_64 and aarch64 only")
    }

    /// As the kernel, Rust and Python call it.
    const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// As Debian calls it.
    const fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// As Rust names it as a target.
    fn target(self) -> String {
        format!("{}-unknown-linux-gnu", self.name())
    }
}

/// One program with all that goes into its packages.
#[derive(Debug)]
struct Release<'a> {
    root: &'a Path,
    arch: Arch,
    /// The program without debugging information.
    program: PathBuf,
    /// The C library that it needs at least.
    glibc: Glibc,
    parts: &'a Parts,
    /// Where the packages are written.
    out: &'a Path,
    /// Compress little: the packages are for a test.
    quick: bool,
}

/// Makes all packages, and says where.
///
/// # Errors
/// What cannot be built or packed, and a program that needs a newer C library than a release may.
pub(crate) fn run(root: &Path, args: &DistArgs) -> anyhow::Result<()> {
    let out = args.out.clone().unwrap_or_else(|| graph::target(root).join("dist"));
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let work = tempfile::tempdir_in(&out)?;
    let this = Arch::of_this_machine()?;
    let programs: Vec<(Arch, PathBuf)> = match &args.program {
        Some(program) => vec![(this, program.clone())],
        None => {
            let all = if args.arch.is_empty() { &[this][..] } else { &args.arch };
            all.iter().map(|arch| Ok((*arch, build::release(root, *arch)?))).collect::<anyhow::Result<_>>()?
        }
    };
    // Manual pages and the like are written by a program that this machine can run.
    let writer = programs.iter().find(|(arch, _)| *arch == this).map(|(_, program)| program.clone());
    let writer = writer.map_or_else(|| program::build(root), Ok)?;
    let parts = Parts::write(root, &writer, &work.path().join("parts"))?;
    let mut files = Vec::new();
    for (arch, built) in programs {
        let program = work.path().join(arch.name()).join("hezar");
        strip(&built, &program)?;
        let glibc = glibc::needed(&program)?;
        println!("{}: needs glibc {glibc}, {} MiB", arch.name(), fs::metadata(&program)?.len() >> 20);
        ensure!(
            args.program.is_some() || glibc <= OLDEST_GLIBC,
            "the program needs glibc {glibc}, which is newer than {OLDEST_GLIBC}"
        );
        let release = Release { root, arch, program, glibc, parts: &parts, out: &out, quick: args.program.is_some() };
        files.extend([tarball::write(&release)?, debian::write(&release)?, wheel::write(&release)?]);
    }
    files.push(sbom::write(root, &out)?);
    write_checksums(&out, &files)?;
    files.iter().for_each(|file| println!("{}", file.display()));
    Ok(())
}

/// The version of the workspace.
const fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The time of the commit that is packed, in seconds since the Unix epoch, so that packages of one commit are the same.
fn epoch(root: &Path) -> String {
    let output = Command::new("git").current_dir(root).args(["log", "-1", "--format=%ct"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if text.parse::<u64>().is_ok() { text } else { "0".to_owned() }
}

/// Copies a program without its debugging information. Where `strip` cannot read a program of another machine, it is copied as it is: a
/// release build has no such information.
fn strip(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to.parent().context("a program without a folder")?)?;
    let stripped = Command::new("strip").args(["--strip-debug", "-o"]).arg(to).arg(from).output();
    if stripped.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    fs::copy(from, to).with_context(|| format!("cannot read {}", from.display()))?;
    Ok(())
}

/// Writes SHA256SUMS, as `sha256sum --check` reads it.
fn write_checksums(out: &Path, files: &[PathBuf]) -> anyhow::Result<()> {
    let mut text = String::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        writeln!(text, "{}  {name}", hex::encode(Sha256::digest(fs::read(file)?)))?;
    }
    fs::write(out.join("SHA256SUMS"), text)?;
    Ok(())
}

/// Copies a file into a tree, with its mode.
fn place(from: &Path, to: &Path, mode: u32) -> anyhow::Result<()> {
    put(&fs::read(from).with_context(|| format!("cannot read {}", from.display()))?, to, mode)
}

/// Writes a file into a tree, with its mode.
fn put(bytes: &[u8], to: &Path, mode: u32) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(to.parent().context("a file without a folder")?)?;
    fs::write(to, bytes).with_context(|| format!("cannot write {}", to.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// Runs a quiet command; its output is shown when it fails.
fn must(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {program}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed ({}): {}", output.status, errors.trim());
    Ok(output.stdout)
}

#[cfg(test)]
mod tests;
