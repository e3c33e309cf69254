//! The Debian package: the program, its units and its configuration, with the scripts of deploy/debian.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Release, epoch, must,
    parts::{SHELLS, UNITS},
    place, put, version,
};

const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];
const CONFIGURATION: &str = "etc/hezar/hezar.toml";

/// Writes the package, and gives its path. Its layout is that of the Debian policy.
///
/// # Errors
/// What cannot be copied or packed, and a machine without dpkg-deb.
pub(super) fn write(release: &Release<'_>) -> anyhow::Result<PathBuf> {
    let work = tempfile::tempdir_in(release.out)?;
    let tree = work.path().join("tree");
    fill(release, &tree)?;
    put(control(release, size_kib(&tree)?)?.as_bytes(), &tree.join("DEBIAN/control"), 0o644)?;
    put(format!("/{CONFIGURATION}\n").as_bytes(), &tree.join("DEBIAN/conffiles"), 0o644)?;
    for script in SCRIPTS {
        place(&release.root.join("deploy/debian").join(script), &tree.join("DEBIAN").join(script), 0o755)?;
    }
    let package = release.out.join(format!("hezar_{}_{}.deb", version(), release.arch.debian()));
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.env("SOURCE_DATE_EPOCH", epoch(release.root)).arg("--root-owner-group");
    // Every dpkg reads gzip and xz.
    dpkg.args(if release.quick { ["-Zgzip", "-z1"] } else { ["-Zxz", "-z6"] });
    must(dpkg.arg("--build").arg(&tree).arg(&package))?;
    Ok(package)
}

/// Everything that the package installs.
fn fill(release: &Release<'_>, tree: &Path) -> anyhow::Result<()> {
    let parts = release.parts;
    let share = tree.join("usr/share");
    place(&release.program, &tree.join("usr/bin/hezar"), 0o755)?;
    place(&parts.configuration(), &tree.join(CONFIGURATION), 0o640)?;
    for unit in UNITS {
        place(&parts.unit(unit), &tree.join("usr/lib/systemd/system").join(unit), 0o644)?;
    }
    place(&parts.unit("hezar.preset"), &tree.join("usr/lib/systemd/system-preset/80-hezar.preset"), 0o644)?;
    place(&parts.unit("user/hezar.service"), &tree.join("usr/lib/systemd/user/hezar.service"), 0o644)?;
    for entry in fs::read_dir(parts.manual())? {
        let name = entry?.file_name();
        let page = share.join("man/man1").join(&name);
        place(&parts.manual().join(&name), &page, 0o644)?;
        must(Command::new("gzip").args(["--best", "--no-name"]).arg(&page))?;
    }
    for ((_, name), folder) in
        SHELLS.into_iter().zip(["bash-completion/completions", "zsh/vendor-completions", "fish/vendor_completions.d"])
    {
        place(&parts.completion(name), &share.join(folder).join(name), 0o644)?;
    }
    let texts = share.join("doc/hezar");
    put(copyright(release)?.as_bytes(), &texts.join("copyright"), 0o644)?;
    for name in ["THIRD-PARTY-NOTICES.txt", "CHANGELOG.md"] {
        place(&parts.file(name), &texts.join(name), 0o644)?;
        must(Command::new("gzip").args(["--best", "--no-name"]).arg(texts.join(name)))?;
    }
    Ok(())
}

fn control(release: &Release<'_>, size_kib: u64) -> anyhow::Result<String> {
    let mut text = String::new();
    writeln!(text, "Package: hezar\nVersion: {}\nArchitecture: {}", version(), release.arch.debian())?;
    writeln!(text, "Maintainer: The Hezar project <maintainers@hezar.invalid>\nInstalled-Size: {size_kib}")?;
    // `adduser` makes the user of the service; the unwinder is that of GCC.
    writeln!(text, "Depends: adduser, libc6 (>= {}), libgcc-s1\nSuggests: tor", release.glibc)?;
    writeln!(text, "Section: net\nPriority: optional")?;
    writeln!(text, "Description: one proxy address in front of thousands of upstream proxies")?;
    writeln!(text, " Hezar collects share links from subscriptions, files and channels, checks every")?;
    writeln!(text, " node again and again, and serves HTTP and SOCKS on one port, choosing a node")?;
    writeln!(text, " that works for each request. Nothing ever goes out directly.")?;
    Ok(text)
}

/// The copyright file: both licences of the program, and where those of its parts are.
fn copyright(release: &Release<'_>) -> anyhow::Result<String> {
    let texts = ["LICENSE-MIT", "LICENSE-APACHE"].map(|name| fs::read_to_string(release.parts.file(name)));
    let [mit, apache] = texts;
    Ok(format!(
        "Hezar may be used under the MIT licence or the Apache licence 2.0, whichever you choose.\n\
         The licences of the libraries in the program are in THIRD-PARTY-NOTICES.txt.gz.\n\n{}\n\n{}",
        mit?.trim_end(),
        apache?
    ))
}

/// How much the files take, in KiB, each rounded up.
fn size_kib(folder: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() { 1 + size_kib(&entry.path())? } else { metadata.len().div_ceil(1024) };
    }
    Ok(sum)
}
