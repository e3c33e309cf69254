//! docs/metrics.md lists every metric that the program has, and no other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::harness::{Home, Instance, eventually};

/// The beginnings of names of metrics.
const PREFIXES: [&str; 2] = ["hezar_", "process_"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The metrics of docs/metrics.md with their types; a counter without its ending.
fn documented() -> BTreeMap<String, String> {
    let page = fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| {
        let (name, rest) = row.split_once("` | ")?;
        let kind = rest.split(" | ").next()?;
        let name = if kind == "counter" { name.strip_suffix("_total").unwrap() } else { name };
        Some((name.to_owned(), kind.to_owned()))
    })
    .collect()
}

/// The metrics that a page of metrics has, with their types.
fn told(page: &str) -> BTreeMap<String, String> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

/// The folders of the sources of the crates, by the names of the crates in code.
fn crates() -> BTreeMap<String, PathBuf> {
    let folders = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    folders.map(|path| (format!("hezar_{}", path.file_name().unwrap().to_string_lossy()), path.join("src"))).collect()
}

/// Names in the database of several instances, which are no metrics.
const NAMES_IN_THE_DATABASE: [&str; 3] = ["hezar_changes", "hezar_migrations", "hezar_suspects"];

/// The texts in the sources that are nothing but the name of a metric, those in tests left out.
fn in_sources() -> BTreeSet<String> {
    let (mut folders, mut found) = (crates().into_values().collect::<Vec<_>>(), BTreeSet::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path.file_stem().is_some_and(|name| name == "tests");
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if !is_test && path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(path).unwrap();
                found.extend(text.split('"').filter(|part| is_metric(part)).map(str::to_owned));
            }
        }
    }
    found
}

fn is_metric(text: &str) -> bool {
    let is_name = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_name
        && !NAMES_IN_THE_DATABASE.contains(&text)
        && PREFIXES.iter().any(|prefix| text.len() > prefix.len() && text.starts_with(prefix))
}

#[test]
fn the_page_lists_every_metric_and_no_other() {
    let (page, sources, crates) = (documented(), in_sources(), crates());
    // The name of a crate is a target of the log, and may be a metric besides.
    let missing: Vec<_> =
        sources.iter().filter(|name| !page.contains_key(*name) && !crates.contains_key(*name)).collect();
    let unknown: Vec<_> = page.keys().filter(|name| !sources.contains(*name)).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "not in docs/metrics.md: {missing:?}; not in the sources: {unknown:?}"
    );
}

fn metrics(home: &Home, instance: &Instance, path: &str) -> String {
    let token = home.read(".local/share/hezar/token");
    let header = format!("Authorization: Bearer {}\r\n", token.trim());
    instance.ask_api(path, &header)
}

#[test]
fn what_a_running_instance_tells_has_the_types_of_the_page() {
    let home = Home::new();
    let instance = home.start(&["--demo"]);
    eventually("a first answer", || instance.get("http://demo.hezar/").map(drop));
    let page = documented();
    for path in ["/metrics", "/metrics/nodes"] {
        let text = metrics(&home, &instance, path);
        let told = told(&text);
        assert!(told.len() > 5 && text.ends_with("# EOF\n"), "{path}: {text}");
        for (name, kind) in told {
            assert_eq!(page.get(&name), Some(&kind), "{name} of {path}");
        }
    }
    let text = metrics(&home, &instance, "/metrics");
    assert!(text.contains("hezar_build_info{version=\""), "{text}");
    instance.terminate();
}
