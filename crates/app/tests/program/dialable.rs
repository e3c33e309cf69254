//! Which share of the nodes of real published lists can be dialled, and what is missing by name.
//!
//! The lists are not part of the repository: `HEZAR_CORPUS` names their folder, or `../shared/corpus` beside the
//! checkout is it. Without them the test says so and passes. Dialers are built here, never used.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use hezar_core::{NodeId, NodeSpec};
use hezar_engine::{AddressPolicy, Engine as _, NativeEngine, NativeEngineConfig};
use hezar_formats::{Hints, parse_with};

/// The part of the distinct nodes that must be dialable: raised with every protocol that is built.
const WANTED: f64 = 0.99;

#[derive(Debug, Default)]
struct Share {
    all: usize,
    dialable: usize,
    missing: BTreeMap<String, usize>,
}

fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let folder = std::env::var_os("HEZAR_CORPUS").map_or_else(beside, PathBuf::from);
    folder.join("ORACLE.tsv").is_file().then_some(folder)
}

/// Every node of every list, once.
fn nodes(folder: &Path) -> HashMap<NodeId, NodeSpec> {
    let mut nodes = HashMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        // The independent reading, and the page that describes the files.
        if name == "ORACLE.tsv" || name.starts_with("README") {
            continue;
        }
        let parsed = parse_with(&fs::read(&path).unwrap(), &Hints::from_file_name(&name));
        nodes.extend(parsed.nodes.into_iter().map(|node| (node.spec.id(), node.spec)));
    }
    nodes
}

fn table(shares: &BTreeMap<&str, Share>) -> String {
    let mut text = format!("{:12} {:>7} {:>9} {:>8}  missing\n", "scheme", "nodes", "dialable", "share");
    for (scheme, Share { all, dialable, missing }) in shares {
        let mut missing: Vec<_> = missing.iter().collect();
        missing.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let missing: Vec<String> = missing.iter().map(|(what, count)| format!("{count} × {what}")).collect();
        let percent = 100.0 * *dialable as f64 / (*all).max(1) as f64;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{scheme:12} {all:7} {dialable:9} {percent:6.2} %  {}", missing.join("; "));
    }
    text
}

#[tokio::test]
async fn most_published_nodes_can_be_dialled() {
    let Some(folder) = folder() else {
        eprintln!("SKIPPED: no corpus; HEZAR_CORPUS names its folder");
        return;
    };
    let engine = NativeEngine::new(&NativeEngineConfig::default());
    let mut shares: BTreeMap<&str, Share> = BTreeMap::new();
    for spec in nodes(&folder).values() {
        let built = engine.dialer(spec, AddressPolicy::PublicOnly).map_err(|error| error.to_string());
        for row in [spec.scheme(), "all"] {
            let share = shares.entry(row).or_default();
            share.all += 1;
            match &built {
                Ok(_) => share.dialable += 1,
                Err(why) => *share.missing.entry(why.clone()).or_default() += 1,
            }
        }
    }
    println!("{}", table(&shares));
    let all = shares.get("all").expect("no node in the corpus");
    assert!(all.dialable as f64 >= WANTED * all.all as f64, "{} of {}", all.dialable, all.all);
}
