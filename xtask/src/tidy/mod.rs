//! Checks what neither rustc nor clippy checks: which crates and modules import which, and the shape of files.

mod circles;
mod rows;
mod shape;
mod uses;

use std::{fs, path::Path};

use anyhow::{Context, ensure};

use crate::{
    source::{self, files::find},
    words,
};

/// What is wrong, or only worth a look.
#[derive(Debug, Default, PartialEq, Eq)]
struct Findings {
    errors: Vec<String>,
    warnings: Vec<String>,
}

/// Public type names that more than one crate may define.
const SHARED_TYPES: &[&str] = &[
    // Fault injection is what the lab is for; `core::Fault` says whose fault a failure is.
    "Fault",
];

/// Checks the whole workspace.
///
/// # Errors
/// When anything is wrong; every finding is printed first.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let mut found = Findings::default();
    let crates = source::workspace(root)?;
    crates.iter().for_each(|source| circles::check(source, &mut found));
    for (name, crates) in words::shared_names(&crates, true) {
        if !SHARED_TYPES.contains(&&*name) {
            let crates: Vec<_> = crates.into_iter().collect();
            found
                .errors
                .push(format!("{name}: a public type of {}; give each a name of its own", crates.join(" and ")));
        }
    }
    for manifest in find(root, "Cargo.toml")? {
        let text = fs::read_to_string(&manifest)?;
        let table: toml::Table = text.parse().with_context(|| manifest.display().to_string())?;
        rows::check(&table, &mut found);
    }
    for file in find(root, "rs")? {
        let text = fs::read_to_string(&file)?;
        let shown = file.strip_prefix(root).unwrap_or(&file);
        if file.with_extension("").is_dir() {
            found.errors.push(format!("{}: lies beside its folder; move it to mod.rs in there", shown.display()));
        }
        shape::check(shown, &text, &mut found);
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

#[cfg(test)]
mod tests;
