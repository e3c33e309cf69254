//! Small Debian systems for tests that install packages or make images: built once by debootstrap, then unpacked from a cached archive.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};

use crate::peer;

/// The archive of a Debian system of this machine's release with these packages besides the minimal ones; made when it is not
/// in the cache yet (one to three minutes). Needs root, debootstrap and a package archive.
///
/// The archive is a plain tar file, which `docker import` takes as well.
///
/// # Errors
/// When the system cannot be built.
pub fn debian_archive(packages: &[&str]) -> anyhow::Result<PathBuf> {
    let release = release()?;
    let cache = peer::folder().context("neither HEZAR_PEERS nor XDG_CACHE_HOME nor HOME is set")?;
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let label = [&["debian", &release], packages].concat().join("-");
    let archive = cache.join(format!("{label}.tar"));
    // Tests run side by side: the second one waits for what the first one makes.
    let lock = File::create(cache.join(format!(".{label}.lock")))?;
    lock.lock()?;
    if archive.is_file() {
        return Ok(archive);
    }
    let folder = tempfile::tempdir()?;
    let (root, made) = (folder.path().join("root"), cache.join(format!(".{label}.tar")));
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.arg("--variant=minbase");
    if !packages.is_empty() {
        debootstrap.arg(format!("--include={}", packages.join(",")));
    }
    must(debootstrap.arg(&release).arg(&root))?;
    // What apt has downloaded is of no use to anybody.
    let mut tar = Command::new("tar");
    tar.args([
        "--create",
        "--numeric-owner",
        "--exclude=./var/cache/apt/archives/*.deb",
        "--exclude=./var/lib/apt/lists/*",
    ]);
    must(tar.arg("--file").arg(&made).arg("--directory").arg(&root).arg("."))?;
    fs::rename(&made, &archive)?;
    Ok(archive)
}

/// Unpacks an archive of [`debian_archive`] into an empty folder. Needs root.
///
/// # Errors
/// When it cannot be unpacked.
pub fn unpack_debian(archive: &Path, folder: &Path) -> anyhow::Result<()> {
    let mut tar = Command::new("tar");
    must(
        tar.args(["--extract", "--numeric-owner", "--same-permissions", "--file"])
            .arg(archive)
            .arg("--directory")
            .arg(folder),
    )
}

/// The name of this machine's Debian release, such as `bookworm`.
fn release() -> anyhow::Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("this is no Debian")?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim_matches('"'));
    ensure!(field("ID=") == Some("debian"), "this is no Debian");
    field("VERSION_CODENAME=").map(str::to_owned).context("this Debian has no name")
}

/// Runs a quiet command; the end of its output is shown when it fails.
fn must(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {program}"))?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let start = said.len().saturating_sub(2000);
    let end = said.get(said.ceil_char_boundary(start)..).unwrap_or_default();
    ensure!(output.status.success(), "{program} failed ({}): {}", output.status, end.trim());
    Ok(())
}
