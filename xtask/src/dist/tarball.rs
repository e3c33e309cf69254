//! The tarball: unpacked anywhere, its program runs.

use std::{path::PathBuf, process::Command};

use super::{
    Release, epoch, must,
    parts::{SHELLS, UNITS},
    place, version,
};

/// Writes the archive, and gives its path.
///
/// # Errors
/// What cannot be copied or packed.
pub(super) fn write(release: &Release<'_>) -> anyhow::Result<PathBuf> {
    let name = format!("hezar-{}-{}-linux", version(), release.arch.name());
    let work = tempfile::tempdir_in(release.out)?;
    let top = work.path().join(&name);
    let parts = release.parts;
    place(&release.program, &top.join("hezar"), 0o755)?;
    for file in ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "CHANGELOG.md", "THIRD-PARTY-NOTICES.txt"] {
        place(&parts.file(file), &top.join(file), 0o644)?;
    }
    for entry in std::fs::read_dir(parts.manual())? {
        let entry = entry?;
        place(&entry.path(), &top.join("man/man1").join(entry.file_name()), 0o644)?;
    }
    for (_, file) in SHELLS {
        place(&parts.completion(file), &top.join("completions").join(file), 0o644)?;
    }
    for file in UNITS.iter().chain(&["hezar.sysusers", "user/hezar.service"]) {
        place(&parts.unit(file), &top.join("systemd").join(file), 0o644)?;
    }
    let archive = release.out.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.arg(format!("--mtime=@{}", epoch(release.root))).arg("--directory").arg(work.path());
    let gzip = if release.quick { "gzip --fast --no-name" } else { "gzip --best --no-name" };
    must(tar.arg(format!("--use-compress-program={gzip}")).arg("--file").arg(&archive).arg(&name))?;
    Ok(archive)
}
