//! Reads the modules of a crate as tokens, without its tests.

pub(crate) mod files;
mod reader;

use std::path::{Path, PathBuf};

use anyhow::Context;

/// A crate of the workspace and all modules that become part of it.
#[derive(Debug)]
pub(crate) struct Crate {
    /// The folder of its manifest, relative to the workspace.
    pub(crate) folder: PathBuf,
    /// The root module comes first.
    pub(crate) modules: Vec<Module>,
}

/// One module: a file, or a block within a file.
#[derive(Debug)]
pub(crate) struct Module {
    /// Its names from the crate root on; empty for the root.
    pub(crate) path: Vec<String>,
    /// Relative to the workspace.
    pub(crate) file: PathBuf,
    /// Its own tokens, without those of its child modules.
    pub(crate) tokens: Vec<Token>,
}

/// One token, or one bracket of a group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

impl Crate {
    /// Reads the crate whose manifest lies in `folder`; `None` when it has neither `src/lib.rs` nor `src/main.rs`.
    ///
    /// # Errors
    /// When a file cannot be read, or a declared module has no file.
    pub(crate) fn read(workspace: &Path, folder: &Path) -> anyhow::Result<Option<Self>> {
        let root = ["lib.rs", "main.rs"].iter().map(|name| folder.join("src").join(name)).find(|file| file.is_file());
        let Some(root) = root else {
            return Ok(None);
        };
        let mut modules = Vec::new();
        reader::read_file(workspace, &root, Vec::new(), &mut modules).with_context(|| root.display().to_string())?;
        let folder = folder.strip_prefix(workspace).unwrap_or(folder).to_path_buf();
        Ok(Some(Self { folder, modules }))
    }

    /// The names of the modules that the root declares.
    pub(crate) fn top_level(&self) -> Vec<&str> {
        self.modules.iter().filter(|module| module.path.len() == 1).map(|module| &*module.path[0]).collect()
    }
}

/// Reads all crates below `root`, sorted by folder.
///
/// # Errors
/// When a source file cannot be read.
pub(crate) fn workspace(root: &Path) -> anyhow::Result<Vec<Crate>> {
    let manifests = files::find(root, "Cargo.toml")?;
    let folders = manifests.iter().filter_map(|manifest| manifest.parent());
    folders.filter_map(|folder| Crate::read(root, folder).transpose()).collect()
}

/// Whether the texts of `tokens` from `at` on are `wanted`.
pub(crate) fn starts_with(tokens: &[Token], at: usize, wanted: &[&str]) -> bool {
    tokens
        .get(at..at + wanted.len())
        .is_some_and(|found| found.iter().zip(wanted).all(|(token, text)| token.text == *text))
}

#[cfg(test)]
mod tests;
