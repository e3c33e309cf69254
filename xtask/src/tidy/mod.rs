//! What neither rustc nor clippy checks: the rows of the workspace and the shape of its files.

mod files;
mod rows;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};

/// What is wrong, or only worth a look.
#[derive(Debug, Default, PartialEq, Eq)]
struct Findings {
    errors: Vec<String>,
    warnings: Vec<String>,
}

/// Checks the whole workspace.
///
/// # Errors
/// When anything is wrong; every finding is printed first.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let mut found = Findings::default();
    for manifest in walk(root, "Cargo.toml")? {
        let text = fs::read_to_string(&manifest)?;
        let table: toml::Table = text.parse().with_context(|| manifest.display().to_string())?;
        rows::check(&table, &mut found);
    }
    for file in walk(root, "rs")? {
        let text = fs::read_to_string(&file)?;
        files::check(file.strip_prefix(root).unwrap_or(&file), &text, &mut found);
    }
    for warning in &found.warnings {
        println!("warning: {warning}");
    }
    for error in &found.errors {
        println!("error: {error}");
    }
    ensure!(found.errors.is_empty(), "tidy found {} mistakes", found.errors.len());
    Ok(())
}

/// Files by name or extension, sorted, without what cargo and git keep.
fn walk(root: &Path, wanted: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut folders = vec![root.to_path_buf()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if entry.file_type()?.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name == wanted || path.extension().is_some_and(|extension| extension == wanted) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
