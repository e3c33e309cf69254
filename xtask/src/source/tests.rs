//! A crate is read along its `mod` declarations, without its tests.

use std::{fs, path::Path};

use super::Crate;

/// Writes files below a temporary crate and reads it.
fn read(files: &[(&str, &str)]) -> anyhow::Result<Option<Crate>> {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let file = root.path().join("a/src").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    Crate::read(root.path(), &root.path().join("a"))
}

fn words(module: &super::Module) -> String {
    module.tokens.iter().map(|token| &*token.text).collect::<Vec<_>>().join(" ")
}

#[test]
fn modules_are_found_in_files_folders_and_blocks() {
    let root = "mod a; pub(crate) mod b; mod c { struct C; mod d { struct D; } } struct Root;";
    let files = [
        ("lib.rs", root),
        ("a.rs", "mod e;"),
        ("a/e.rs", "struct E;"),
        ("b/mod.rs", "mod f;"),
        ("b/f.rs", "struct F;"),
    ];
    let found = read(&files).unwrap().unwrap();
    let paths: Vec<_> = found.modules.iter().map(|module| module.path.join("::")).collect();
    assert_eq!(paths, ["", "a", "a::e", "b", "b::f", "c", "c::d"]);
    assert_eq!(found.top_level(), ["a", "b", "c"]);
    assert_eq!(words(&found.modules[0]), "struct Root ;");
    assert_eq!(found.modules[4].file, Path::new("a/src/b/f.rs"));
}

#[test]
fn tests_are_left_out() {
    let root = "#[cfg(test)] mod tests; #[cfg(test)] mod t { struct T; } #[cfg(test)] use a::{b, c}; struct Kept; \
                #[cfg(all(test, unix))] fn t() {} #[cfg(not(test))] struct Too;";
    let found = read(&[("main.rs", root)]).unwrap().unwrap();
    assert_eq!(found.modules.len(), 1);
    let words = words(&found.modules[0]);
    assert!(words.starts_with("struct Kept ;") && words.ends_with("struct Too ;"), "{words}");
}

#[test]
fn lines_are_those_of_the_file() {
    let found = read(&[("lib.rs", "// one\nstruct\nA {\n}\n")]).unwrap().unwrap();
    let lines: Vec<_> = found.modules[0].tokens.iter().map(|token| (&*token.text, token.line)).collect();
    assert_eq!(lines, [("struct", 2), ("A", 3), ("{", 3), ("}", 4)]);
}

#[test]
fn a_missing_file_is_named() {
    assert!(read(&[("other.rs", "")]).unwrap().is_none(), "no root file: not a crate");
    let error = read(&[("lib.rs", "mod gone;")]).unwrap_err();
    assert!(format!("{error:#}").contains("no file for mod gone"), "{error:#}");
}
