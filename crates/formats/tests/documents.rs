//! Reads every client configuration of the corpus of published lists and counts what is lost.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use hezar_formats::{Parsed, parse};

/// The folder of the corpus: `HEZAR_CORPUS`, or beside the workspace.
fn corpus() -> PathBuf {
    match std::env::var_os("HEZAR_CORPUS") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"),
    }
}

/// Types that stand for no proxy server.
const SILENT: &[&str] =
    &["selector", "urltest", "direct", "block", "dns", "freedom", "blackhole", "select", "fallback", "load-balance"];

/// How many entries a text seems to have, found without reading its format.
fn crude_count(text: &str, extension: &str) -> usize {
    match extension {
        "yaml" => crude_yaml(text),
        "json" => crude_json(text),
        _ => crude_rows(text),
    }
}

/// Each node of Clash has one `server:`; other parts of the file have none.
fn crude_yaml(text: &str) -> usize {
    let key = |at: usize| {
        let before = text[..at].chars().next_back().unwrap_or(' ');
        let after = text[at + "server".len()..].trim_start_matches('"');
        matches!(before, ' ' | '\n' | '{' | ',' | '"' | '\t') && after.starts_with(':')
    };
    text.match_indices("server").filter(|(at, _)| key(*at)).count()
}

/// Objects of `outbounds` at their own depth, by their type.
fn crude_json(text: &str) -> usize {
    let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let configs = match &value {
        serde_json::Value::Array(configs) => configs.iter().collect(),
        other => vec![other],
    };
    let lists = configs.iter().flat_map(|config| [&config["outbounds"], &config["endpoints"]]);
    let entries = lists.filter_map(serde_json::Value::as_array).flatten();
    let kind = |entry: &serde_json::Value| {
        entry["protocol"].as_str().or(entry["type"].as_str()).unwrap_or_default().to_owned()
    };
    entries.filter(|entry| !SILENT.contains(&kind(entry).as_str())).count()
}

/// Rows between the title of the servers' section and the next title.
fn crude_rows(text: &str) -> usize {
    let mut inside = false;
    text.lines()
        .filter(|line| {
            if line.starts_with('[') {
                inside = matches!(line.trim(), "[Proxy]" | "[server_local]");
                return false;
            }
            inside && line.contains('=') && !line.starts_with(['#', ';', '/']) && !line.ends_with("direct")
        })
        .count()
}

/// The files of the corpus with their text, sorted; `None` when there is no corpus.
fn documents() -> Option<Vec<(String, String, String)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(corpus()).ok()? {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_string_lossy().into_owned();
        // `Surge.conf@1234567` is a file of an older commit.
        let plain = name.split('@').next().unwrap_or_default();
        let extension = Path::new(plain).extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
        if matches!(extension.as_str(), "yaml" | "json" | "conf") {
            found.push((name, extension, String::from_utf8_lossy(&std::fs::read(&path).ok()?).into_owned()));
        }
    }
    found.sort();
    Some(found)
}

fn tally<'a>(keys: impl Iterator<Item = &'a str>) -> String {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_insert(0_usize) += 1;
    }
    counts.iter().map(|(key, count)| format!("{key} {count}")).collect::<Vec<_>>().join(", ")
}

fn schemes(parsed: &Parsed) -> String {
    tally(parsed.nodes.iter().map(|entry| entry.spec.scheme()))
}

#[test]
fn published_documents_are_read() {
    let Some(documents) = documents() else {
        println!("SKIPPED: no corpus at {} (set HEZAR_CORPUS)", corpus().display());
        return;
    };
    let mut poor = Vec::new();
    println!("{:>8} {:>6} {:>8}  file", "entries", "read", "refused");
    for (name, extension, text) in &documents {
        let parsed = parse(text.as_bytes());
        let expected = crude_count(text, extension);
        println!("{expected:>8} {:>6} {:>8}  {name}", parsed.nodes.len(), parsed.rejects.len());
        println!("{:26}{}", "", schemes(&parsed));
        for reject in &parsed.rejects {
            println!("{:26}refused {} {}: {}", "", reject.line, reject.code.code(), reject.excerpt);
        }
        if parsed.nodes.len() * 100 < expected * 99 {
            poor.push(name);
        }
    }
    assert!(poor.is_empty(), "more than 1 % lost in {poor:?}");
}
