//! Checks the rows: a crate imports only rows beneath its own, and some foreign crates are imported by one crate only.

use toml::{Table, Value};

use super::Findings;

/// Every crate in a row; the lab and its like stand beside them.
const ROWS: &[(&str, u8)] = &[
    ("hezar-core", 0),
    ("hezar-child", 0),
    ("hezar-engine", 1),
    ("hezar-accept", 1),
    ("hezar-pool", 1),
    ("hezar-formats", 1),
    ("hezar-store", 1),
    ("hezar-page", 1),
    ("hezar-tor", 1),
    ("hezar-gateway", 2),
    ("hezar-probe", 2),
    ("hezar-fetch", 2),
    ("hezar-api", 2),
    ("hezar-sidecar", 2),
    ("hezar", 3),
];

/// Crates beside the rows, and what of ours they may import: `None` = anything.
const BESIDE: &[(&str, Option<&[&str]>)] = &[
    ("hezar-lab", Some(&["hezar-core", "hezar-engine"])),
    ("hezar-interop", None),
    ("hezar-fuzz", None),
    ("hezar-bench", None),
    ("xtask", Some(&[])),
];

/// Crates of others that only these may import.
const ROOMS: &[(&str, &[&str])] = &[
    ("axum", &["hezar-api"]),
    ("sqlx", &["hezar-store"]),
    ("rustls", &["hezar-engine", "hezar-accept"]),
    // The lab is a TLS target, and a client of it measures: neither is the product's own TLS.
    ("tokio-rustls", &["hezar-engine", "hezar-accept", "hezar-lab", "hezar-bench"]),
    ("quinn", &["hezar-engine"]),
    ("quinn-proto", &["hezar-engine"]),
    ("hickory-resolver", &["hezar-engine"]),
    ("instant-acme", &["hezar"]),
    ("anyhow", &["hezar", "hezar-interop", "hezar-bench", "xtask"]),
    ("clap", &["hezar", "hezar-bench", "xtask"]),
];

/// Checks one manifest.
pub(super) fn check(manifest: &Table, found: &mut Findings) {
    let Some(name) = manifest.get("package").and_then(|p| p.get("name")).and_then(Value::as_str) else {
        return;
    };
    let known = ROWS.iter().any(|(n, _)| *n == name) || BESIDE.iter().any(|(n, _)| *n == name);
    if !known {
        found.errors.push(format!("{name}: in no row; add it to xtask/src/tidy/rows.rs and to ARCHITECTURE.md"));
        return;
    }
    for (section, import) in imports(manifest) {
        if let Some(reason) = forbidden(name, section, &import) {
            found.errors.push(format!("{name}: {section} {import}: {reason}"));
        }
    }
}

fn forbidden(name: &str, section: &str, import: &str) -> Option<String> {
    if let Some((_, rooms)) = ROOMS.iter().find(|(n, _)| *n == import) {
        return (!rooms.contains(&name)).then(|| format!("only {} may import it", rooms.join(", ")));
    }
    if let Some((_, allowed)) = BESIDE.iter().find(|(n, _)| *n == name) {
        let ours = import.starts_with("hezar");
        let fine = !ours || allowed.is_none_or(|list| list.contains(&import));
        return (!fine).then(|| "a crate beside the rows may not import it".to_owned());
    }
    let row = |wanted: &str| ROWS.iter().find(|(n, _)| *n == wanted).map(|(_, row)| *row);
    let own = row(name)?;
    match (import, row(import)) {
        ("hezar-lab", _) => {
            let fine = section == "dev-dependencies" || name == "hezar";
            (!fine).then(|| "the lab is for tests, benchmarks and the demo".to_owned())
        }
        (_, Some(other)) if other >= own => {
            Some(format!("row {own} may not import row {other}; only rows beneath its own"))
        }
        (_, None) if BESIDE.iter().any(|(n, _)| *n == import) => Some("nothing imports it".to_owned()),
        _ => None,
    }
}

/// Every import with the section it stands in, by its package name.
fn imports(manifest: &Table) -> Vec<(&'static str, String)> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    let tables = targets.filter_map(|(_, table)| table.as_table()).chain([manifest]);
    let mut all = Vec::new();
    for table in tables {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let entries = table.get(section).and_then(Value::as_table).into_iter().flatten();
            for (key, value) in entries {
                let renamed = value.get("package").and_then(Value::as_str);
                all.push((section, renamed.unwrap_or(key).to_owned()));
            }
        }
    }
    all
}
