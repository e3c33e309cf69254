//! Each rule catches its mistake and lets the right thing pass.

use std::path::Path;

use super::{Findings, circles, rows, shape};
use crate::source::Crate;

fn manifest(name: &str, rest: &str) -> Vec<String> {
    let table = format!("[package]\nname = \"{name}\"\n{rest}").parse().unwrap();
    let mut found = Findings::default();
    rows::check(&table, &mut found);
    found.errors
}

#[test]
fn rows_point_down() {
    assert!(
        manifest("hezar-gateway", "[dependencies]\nhezar-pool = \"1\"\nhezar-core = \"1\"\ntokio = \"1\"").is_empty()
    );
    for (name, import) in [("hezar-pool", "hezar-engine"), ("hezar-core", "hezar-pool"), ("hezar-probe", "hezar-fetch")]
    {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let errors = manifest(name, &format!("[{section}]\n{import} = \"1\""));
            assert_eq!(errors.len(), 1, "{name} -> {import} in {section}");
        }
    }
}

#[test]
fn renaming_and_targets_do_not_hide_an_import() {
    let renamed = "[dependencies]\nnet = { package = \"hezar-engine\", path = \"x\" }";
    assert_eq!(manifest("hezar-pool", renamed).len(), 1);
    let target = "[target.'cfg(unix)'.dependencies]\nhezar-engine = \"1\"";
    assert_eq!(manifest("hezar-pool", target).len(), 1);
}

#[test]
fn the_lab_is_for_tests() {
    assert!(manifest("hezar-engine", "[dev-dependencies]\nhezar-lab = \"1\"").is_empty());
    assert!(manifest("hezar", "[dependencies]\nhezar-lab = \"1\"").is_empty());
    assert_eq!(manifest("hezar-engine", "[dependencies]\nhezar-lab = \"1\"").len(), 1);
    assert!(manifest("hezar-lab", "[dependencies]\nhezar-engine = \"1\"").is_empty());
    assert_eq!(manifest("hezar-lab", "[dependencies]\nhezar-gateway = \"1\"").len(), 1);
    assert_eq!(manifest("hezar-app", "").len(), 1, "a crate in no row");
}

#[test]
fn rooms_keep_their_crates() {
    assert!(manifest("hezar-api", "[dependencies]\naxum = \"1\"").is_empty());
    for (name, import) in
        [("hezar-gateway", "axum"), ("hezar-pool", "sqlx"), ("hezar-fetch", "rustls"), ("hezar-core", "anyhow")]
    {
        assert_eq!(manifest(name, &format!("[dependencies]\n{import} = \"1\"")).len(), 1, "{name} -> {import}");
    }
}

fn file(path: &str, text: &str) -> (usize, usize) {
    let mut found = Findings::default();
    shape::check(Path::new(path), text, &mut found);
    (found.errors.len(), found.warnings.len())
}

#[test]
fn files_open_with_a_sentence_and_stay_short() {
    let lines = |count| "//! x\n".to_owned() + &"a\n".repeat(count);
    assert_eq!(file("a.rs", "//! x\nfn a() {}\n"), (0, 0));
    assert_eq!(file("a.rs", "fn a() {}\n"), (1, 0));
    assert_eq!(file("a.rs", &lines(400)), (0, 1));
    assert_eq!(file("a.rs", &lines(600)), (1, 0));
    assert_eq!(file("a/tests.rs", &lines(600)), (0, 0));
    assert_eq!(file("a.rs", &(lines(10) + "#[cfg(test)]\nmod tests {\n" + &"a\n".repeat(900))), (0, 0));
}

#[test]
fn no_test_is_ignored() {
    let ignored = concat!("//! x\n#[test]\n#[", "ignore = \"slow\"]\nfn a() {}\n");
    assert_eq!(file("a/tests.rs", ignored), (1, 0));
}

#[test]
fn this_workspace_is_found() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("a/target")).unwrap();
    std::fs::write(root.path().join("a/lib.rs"), "//! x\n").unwrap();
    std::fs::write(root.path().join("a/target/no.rs"), "").unwrap();
    assert!(super::run(root.path()).is_ok());
    std::fs::write(root.path().join("a/bad.rs"), "").unwrap();
    assert!(super::run(root.path()).is_err());
}

/// The circles of a crate with these files.
fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("a");
    for (path, text) in files {
        let file = folder.join("src").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let mut found = Findings::default();
    circles::check(&Crate::read(root.path(), &folder).unwrap().unwrap(), &mut found);
    found.errors
}

#[test]
fn a_circle_is_printed_with_a_place_for_each_arrow() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "//! a\nuse crate::{b::{B, C}, d};\n"),
        ("b/mod.rs", "mod inner;"),
        ("b/inner.rs", "\n\nfn f() { super::super::c::g() }"),
        ("c.rs", "use super::a::A;"),
        ("d.rs", ""),
    ];
    let errors = circles_of(&files);
    let wanted = "a: 3 arrows form circles; the shortest one:\n    \
                  a -> b  a/src/a.rs:2\n    b -> c  a/src/b/inner.rs:3\n    c -> a  a/src/c.rs:1";
    assert_eq!(errors, [wanted]);
}

#[test]
fn a_name_of_the_root_stands_for_its_module() {
    let root = "mod a; mod b; pub use a::{A as Renamed, inner::{Deep, Deeper}}; pub use b::B;";
    let circle = |name: &str| {
        circles_of(&[("lib.rs", root), ("a.rs", "use crate::B;"), ("b.rs", &format!("use crate::{name};"))])
    };
    assert!(circle("Other").is_empty());
    for name in ["Renamed", "Deep", "Deeper", "{Deeper, Other}", "a"] {
        assert_eq!(circle(name).len(), 1, "{name}");
    }
}

#[test]
fn what_leads_elsewhere_is_no_arrow() {
    let files = [
        ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
        ("a.rs", "use crate::b::B; /* crate::a */ #[cfg(test)] mod tests { use crate::b; }"),
        // `super` is b here, and what tests and comments name does not count.
        ("b/mod.rs", "mod a; // crate::a\n#[cfg(test)] mod tests { use crate::a::A; }"),
        ("b/a.rs", "use super::a; fn f() { x::super::a(); \"crate::a::A\"; }"),
    ];
    assert!(circles_of(&files).is_empty(), "{:?}", circles_of(&files));
}

#[test]
fn a_module_lies_in_its_folder() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("src/x")).unwrap();
    std::fs::write(root.path().join("src/x/mod.rs"), "//! x\n").unwrap();
    assert!(super::run(root.path()).is_ok());
    std::fs::write(root.path().join("src/x.rs"), "//! x\n").unwrap();
    assert!(super::run(root.path()).is_err());
}

#[test]
fn a_public_type_has_a_name_of_its_own() {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let folder = root.path().join(name);
        std::fs::create_dir_all(folder.join("src")).unwrap();
        std::fs::write(folder.join("Cargo.toml"), "").unwrap();
        std::fs::write(folder.join("src/lib.rs"), text).unwrap();
    };
    write("a", "//! a\npub struct Limits;\n");
    write("b", "//! b\nstruct Limits;\n");
    assert!(super::run(root.path()).is_ok(), "a private one disturbs nobody");
    write("b", "//! b\npub enum Limits {}\n");
    assert!(super::run(root.path()).is_err());
}
