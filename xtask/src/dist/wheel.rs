//! The Python wheel: `pip install` puts the program into the environment's folder of programs.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::{Release, epoch, must, place, put, version};

/// The name on PyPI; `hezar` is another project's.
const NAME: &str = "hezar_proxy";

/// Writes the wheel, and gives its path. Its layout is that of the binary distribution format of the Python packaging specifications:
/// what lies in `NAME-VERSION.data/scripts` becomes a program.
///
/// # Errors
/// What cannot be copied or packed, and a machine without Python.
pub(super) fn write(release: &Release<'_>) -> anyhow::Result<PathBuf> {
    let work = tempfile::tempdir_in(release.out)?;
    let top = format!("{NAME}-{}", version());
    let (data, info) = (format!("{top}.data"), format!("{top}.dist-info"));
    // A platform tag of PEP 600: pip installs the wheel where the C library is at least as new.
    let platform = format!("manylinux_{}_{}_{}", release.glibc.major, release.glibc.minor, release.arch.name());
    let tag = format!("py3-none-{platform}");
    place(&release.program, &work.path().join(&data).join("scripts/hezar"), 0o755)?;
    let file = |name: &str| work.path().join(&info).join(name);
    put(metadata(release)?.as_bytes(), &file("METADATA"), 0o644)?;
    let wheel =
        format!("Wheel-Version: 1.0\nGenerator: hezar-dist ({})\nRoot-Is-Purelib: false\nTag: {tag}\n", version());
    put(wheel.as_bytes(), &file("WHEEL"), 0o644)?;
    for name in ["LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY-NOTICES.txt"] {
        place(&release.parts.file(name), &file("licenses").join(name), 0o644)?;
    }
    put(record(work.path(), &info)?.as_bytes(), &file("RECORD"), 0o644)?;
    let archive = release.out.join(format!("{top}-{tag}.whl"));
    let _ = fs::remove_file(&archive);
    let time = format!("@{}", epoch(release.root).parse::<u64>()?.max(ZIP_BEGINS));
    must(Command::new("find").arg(work.path()).args(["-exec", "touch", "--date", &time, "{}", "+"]))?;
    let mut zip = Command::new("python3");
    must(zip.current_dir(work.path()).args(["-m", "zipfile", "--create"]).arg(&archive).args([&data, &info]))?;
    Ok(archive)
}

/// The first moment that a zip archive can express: 1 January 1980, in seconds since the Unix epoch, with a day for time zones.
const ZIP_BEGINS: u64 = 315_532_800 + 86_400;

/// The core metadata of the package, version 2.4.
fn metadata(release: &Release<'_>) -> anyhow::Result<String> {
    let readme = fs::read_to_string(release.parts.file("README.md"))?;
    let mut text = String::new();
    writeln!(text, "Metadata-Version: 2.4\nName: {}\nVersion: {}", NAME.replace('_', "-"), version())?;
    writeln!(text, "Summary: One proxy address in front of thousands of upstream proxies: the program `hezar`")?;
    writeln!(text, "License-Expression: MIT OR Apache-2.0")?;
    for name in ["LICENSE-APACHE", "LICENSE-MIT", "THIRD-PARTY-NOTICES.txt"] {
        writeln!(text, "License-File: {name}")?;
    }
    writeln!(text, "Requires-Python: >=3.8\nDescription-Content-Type: text/markdown\n\n{readme}")?;
    Ok(text)
}

/// Every file of the wheel with its hash and length; the list itself has neither.
fn record(folder: &Path, info: &str) -> anyhow::Result<String> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut text = String::new();
    for file in files {
        let bytes = fs::read(&file)?;
        let name = file.strip_prefix(folder).context("a file outside of its folder")?.display().to_string();
        writeln!(text, "{name},sha256={},{}", URL_SAFE_NO_PAD.encode(Sha256::digest(&bytes)), bytes.len())?;
    }
    writeln!(text, "{info}/RECORD,,")?;
    Ok(text)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}
