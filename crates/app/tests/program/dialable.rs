//! Which share of the nodes of real published lists can be dialled, by which engine, and what is missing by name.
//!
//! The lists are not part of the repository: `HEZAR_CORPUS` names their folder, or `../shared/corpus` beside the
//! checkout is it. Without them the test says so and passes. Dialers are built here, never used.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use hezar_child::Launcher;
use hezar_core::{NodeId, NodeSpec};
use hezar_engine::{AddressPolicy, Engine as _, NativeEngine, NativeEngineConfig};
use hezar_formats::{Hints, parse_with};
use hezar_sidecar::{CoreName, Sidecar};

/// The part of the distinct nodes that the native engine must dial: raised with every protocol that is built.
const WANTED: f64 = 0.99;

/// The part that must be dialled with the cores of the sidecar.
const WANTED_WITH_CORES: f64 = 0.998;

/// What dials a node: the native engine, a core, or nothing with the reason of the native engine.
type Dialled = Result<&'static str, String>;

/// How many nodes of a file or of a scheme there are, and how many each engine dials.
#[derive(Debug, Default)]
struct Share {
    all: usize,
    engines: BTreeMap<&'static str, usize>,
}

impl Share {
    fn add(&mut self, dialled: &Dialled) {
        self.all += 1;
        if let Ok(engine) = dialled {
            *self.engines.entry(engine).or_default() += 1;
        }
    }

    fn by(&self, engine: &str) -> usize {
        self.engines.get(engine).copied().unwrap_or_default()
    }

    fn part(&self, count: usize) -> f64 {
        count as f64 / self.all.max(1) as f64
    }

    fn dialled(&self) -> usize {
        self.engines.values().sum()
    }
}

fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let folder = std::env::var_os("HEZAR_CORPUS").map_or_else(beside, PathBuf::from);
    folder.join("ORACLE.tsv").is_file().then_some(folder)
}

/// The nodes of each list, each node once in a list.
fn lists(folder: &Path) -> BTreeMap<String, HashMap<NodeId, NodeSpec>> {
    let mut lists = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // The independent reading, and the page that describes the files.
        if name == "ORACLE.tsv" || name.starts_with("README") {
            continue;
        }
        let parsed = parse_with(&fs::read(&path).unwrap(), &Hints::from_file_name(&name));
        lists.insert(name, parsed.nodes.into_iter().map(|node| (node.spec.id(), node.spec)).collect());
    }
    lists
}

fn table<'a>(title: &str, shares: impl Iterator<Item = (&'a str, &'a Share)>) -> String {
    let mut text = format!(
        "{title:72} {:>6} {:>6} {:>6} {:>5} {:>5} {:>8}\n",
        "nodes", "native", "mihomo", "xray", "none", "share"
    );
    for (name, share) in shares {
        let none = share.all - share.dialled();
        let percent = 100.0 * share.part(share.dialled());
        let [native, mihomo, xray] = ["native", "mihomo", "xray"].map(|engine| share.by(engine));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:72} {:6} {native:6} {mihomo:6} {xray:6} {none:5} {percent:6.2} %", share.all);
    }
    text
}

/// What would dial a node if every core were installed.
fn dialled(native: &NativeEngine, sidecar: &Sidecar, spec: &NodeSpec) -> Dialled {
    match native.dialer(spec, AddressPolicy::PublicOnly) {
        Ok(_) => Ok("native"),
        Err(error) => sidecar.wanted_for(spec).map(CoreName::as_str).ok_or_else(|| error.to_string()),
    }
}

#[tokio::test]
async fn most_published_nodes_can_be_dialled() {
    let Some(folder) = folder() else {
        eprintln!("SKIPPED: no corpus; HEZAR_CORPUS names its folder");
        return;
    };
    let native = NativeEngine::new(&NativeEngineConfig::default());
    // No core is started: it only says which nodes it could render.
    let launcher = Launcher::new("/nonexistent".into(), []);
    let sidecar = Sidecar::new(Arc::new(native.clone()), launcher, PathBuf::from("/nonexistent"));
    let (mut files, mut schemes, mut all) = (BTreeMap::new(), BTreeMap::<&str, Share>::new(), Share::default());
    let (mut seen, mut missing) = (HashSet::new(), Vec::new());
    for (file, nodes) in lists(&folder) {
        let share: &mut Share = files.entry(file).or_default();
        for (id, spec) in nodes {
            let dialled = dialled(&native, &sidecar, &spec);
            share.add(&dialled);
            if seen.insert(id) {
                schemes.entry(spec.scheme()).or_default().add(&dialled);
                all.add(&dialled);
                missing.extend(dialled.err().map(|why| format!("{} {}: {why}", spec.scheme(), spec.server)));
            }
        }
    }
    missing.sort();
    println!("{}", table("list", files.iter().map(|(name, share)| (name.as_str(), share))));
    println!("{}", table("scheme, distinct nodes", schemes.iter().map(|(name, share)| (*name, share))));
    println!("{}", table("all lists, distinct nodes", std::iter::once(("", &all))));
    println!("{} nodes that nothing dials: {missing:#?}", missing.len());
    let (native, dialled) = (all.part(all.by("native")), all.part(all.dialled()));
    println!("share of distinct nodes: {:.2} % native, {:.2} % with cores", 100.0 * native, 100.0 * dialled);
    assert!(native >= WANTED && dialled >= WANTED_WITH_CORES, "{native} {dialled}");
}
