//! What all packages carry beside the program: licences, manual pages, completions, a configuration, units.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{must, place, put};
use crate::graph::Graph;

/// The shells that completions are written for, and the name that each one looks for.
pub(super) const SHELLS: [(&str, &str); 3] = [("bash", "hezar"), ("zsh", "_hezar"), ("fish", "hezar.fish")];
/// The units of the system, as deploy/systemd has them.
pub(super) const UNITS: [&str; 4] = ["hezar.service", "hezar.socket", "hezar-backup.service", "hezar-backup.timer"];

/// A folder with these files.
#[derive(Debug)]
pub(super) struct Parts(PathBuf);

impl Parts {
    /// Writes all of them into a new folder; `writer` is the program itself, or one of the same version.
    ///
    /// # Errors
    /// What cannot be written, and a program that fails.
    pub(super) fn write(root: &Path, writer: &Path, folder: &Path) -> anyhow::Result<Self> {
        let parts = Self(folder.to_owned());
        // A configuration of whoever builds has nothing to say here.
        let hezar = |words: &[&str]| {
            let mut command = Command::new(writer);
            must(command.args(words).current_dir(folder).env_clear().env("HOME", folder))
        };
        fs::create_dir_all(folder)?;
        hezar(&["man", "man1"])?;
        for (shell, name) in SHELLS {
            put(&hezar(&["completions", shell])?, &parts.completion(name), 0o644)?;
        }
        hezar(&["init", "--config", "hezar.toml"])?;
        for name in ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "CHANGELOG.md"] {
            place(&root.join(name), &folder.join(name), 0o644)?;
        }
        put(Graph::read(root)?.notices("hezar")?.as_bytes(), &parts.notices(), 0o644)?;
        for name in UNITS.iter().chain(&["hezar.preset", "hezar.sysusers", "user/hezar.service"]) {
            place(&root.join("deploy/systemd").join(name), &folder.join("systemd").join(name), 0o644)?;
        }
        Ok(parts)
    }

    /// The manual pages.
    pub(super) fn manual(&self) -> PathBuf {
        self.0.join("man1")
    }

    /// The completions of one shell, by their file's name.
    pub(super) fn completion(&self, name: &str) -> PathBuf {
        self.0.join("completions").join(name)
    }

    /// The commented configuration of `hezar init`.
    pub(super) fn configuration(&self) -> PathBuf {
        self.0.join("hezar.toml")
    }

    /// The licence texts of all crates in the program.
    pub(super) fn notices(&self) -> PathBuf {
        self.0.join("THIRD-PARTY-NOTICES.txt")
    }

    /// A file of this repository, by its name.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A unit, or another file of deploy/systemd.
    pub(super) fn unit(&self, name: &str) -> PathBuf {
        self.0.join("systemd").join(name)
    }
}
