//! docs/errors.md and the code say the same.

use std::{collections::BTreeSet, fmt::Write, fs, path::Path};

fn page() -> String {
    let mut page = String::from(
        "# Codes\n\nOne stable code per cause, the same in logs, metrics, the API's JSON and the `Proxy-Status` header. \
         This page is checked\nagainst the program: `HEZAR_WRITE_DOCS=1 cargo test -p hezar error_page` writes it.\n",
    );
    for (title, codes) in hezar::code_tables() {
        let _ = write!(page, "\n## {title}\n\n| code | meaning |\n|---|---|\n");
        for doc in codes {
            let _ = writeln!(page, "| `{}` | {} |", doc.code, doc.meaning);
        }
    }
    page
}

#[test]
fn the_page_lists_every_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    if std::env::var_os("HEZAR_WRITE_DOCS").is_some() {
        fs::write(&file, page()).unwrap();
    }
    let same = fs::read_to_string(&file).unwrap_or_default() == page();
    assert!(same, "docs/errors.md is behind the code: run this test once with HEZAR_WRITE_DOCS=1");
}

#[test]
fn codes_are_well_formed_and_mean_one_thing() {
    let mut seen = BTreeSet::new();
    for (_, codes) in hezar::code_tables() {
        for doc in codes {
            assert!(
                doc.code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{}",
                doc.code
            );
            assert!(doc.meaning.ends_with('.'), "{}", doc.code);
            assert!(seen.insert(doc.code), "{} stands in two tables", doc.code);
        }
    }
}
