//! Counts the public items of each crate, and finds type names that more than one crate defines.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::source::{Crate, Token, starts_with};

/// What can be public and has a name of its own; a public field is part of its type.
const ITEMS: [&str; 13] =
    ["async", "const", "enum", "extern", "fn", "macro", "mod", "static", "struct", "trait", "type", "union", "unsafe"];

/// What a type is declared with.
const TYPES: [&str; 5] = ["enum", "struct", "trait", "type", "union"];

/// The type names that more than one of the crates defines, each with the crates; `public_only` leaves out what a crate keeps to itself.
pub(crate) fn shared_names(crates: &[Crate], public_only: bool) -> BTreeMap<String, BTreeSet<String>> {
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in crates {
        for module in &source.modules {
            let types = type_names(&module.tokens);
            for (name, _, _) in types.into_iter().filter(|(_, _, public)| *public || !public_only) {
                names.entry(name).or_default().insert(source.folder.display().to_string());
            }
        }
    }
    names.retain(|_, crates| crates.len() > 1);
    names
}

/// The number of public items of a crate: `pub` without a restriction, which the lint `unreachable_pub` keeps to what others can reach.
pub(crate) fn public_items(source: &Crate) -> usize {
    let tokens = source.modules.iter().map(|module| &module.tokens);
    let count = |tokens: &Vec<Token>| {
        let named = |next: &Token| ITEMS.contains(&&*next.text);
        tokens.windows(2).filter(|pair| pair[0].text == "pub" && named(&pair[1])).count()
    };
    tokens.map(count).sum()
}

/// Prints both for the whole workspace.
///
/// # Errors
/// When a source file cannot be read.
pub(crate) fn report(root: &Path) -> anyhow::Result<()> {
    let crates = crate::source::workspace(root)?;
    println!("public items (functions, types, constants, modules; fields not counted):");
    for source in &crates {
        println!("  {:<16} {:>5}", source.folder.display(), public_items(source));
    }
    for (public_only, title) in [(true, "public type names"), (false, "type names, public or not,")] {
        let shared = shared_names(&crates, public_only);
        println!("{title} that more than one crate defines: {}", shared.len());
        for (name, crates) in &shared {
            println!("  {name}: {}", crates.iter().map(String::as_str).collect::<Vec<_>>().join(", "));
        }
    }
    println!("type names that one crate defines three times or more:");
    for source in &crates {
        let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for module in &source.modules {
            for (name, line, _) in type_names(&module.tokens) {
                places.entry(name).or_default().push(format!("{}:{line}", module.file.display()));
            }
        }
        for (name, places) in places.iter().filter(|(_, places)| places.len() >= 3) {
            println!("  {name}: {} times, {}", places.len(), places.join(" "));
        }
    }
    Ok(())
}

/// The types that a module defines, with their lines and whether they are public; associated types are left out.
fn type_names(tokens: &[Token]) -> Vec<(String, usize, bool)> {
    let mut names = Vec::new();
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match &*token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            word if depth == 0 && TYPES.contains(&word) && !starts_with(tokens, at + 1, &["!"]) => {
                let public = at > 0 && tokens[at - 1].text == "pub";
                names.extend(tokens.get(at + 1).map(|name| (name.text.clone(), name.line, public)));
            }
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a workspace of crates with one file each.
    fn read(files: &[(&str, &str)]) -> Vec<Crate> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let folder = root.path().join(name);
            std::fs::create_dir_all(folder.join("src")).unwrap();
            std::fs::write(folder.join("Cargo.toml"), "").unwrap();
            std::fs::write(folder.join("src/lib.rs"), text).unwrap();
        }
        crate::source::workspace(root.path()).unwrap()
    }

    #[test]
    fn a_name_in_two_crates_is_found() {
        let crates = read(&[
            ("a", "pub struct Lease; enum Own { A } impl X for Own { type Item = u8; }"),
            ("b", "mod m { trait Lease { type Item; } struct Other; }"),
        ]);
        let shared = shared_names(&crates, false);
        assert_eq!(shared.keys().collect::<Vec<_>>(), ["Lease"]);
        assert_eq!(shared["Lease"].len(), 2);
        assert!(shared_names(&crates, true).is_empty(), "one of them is not public");
    }

    #[test]
    fn public_items_are_counted_without_fields_and_restricted_ones() {
        let text =
            "pub struct A { pub field: u8 } impl A { pub const fn b(&self) {} pub(crate) fn c() {} } pub use x::Y;";
        assert_eq!(public_items(&read(&[("a", text)])[0]), 2);
    }
}
