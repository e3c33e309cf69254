//! The cores that are installed and allowed, as engines, and what keeps them running.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use hezar_child::Launcher;
use hezar_core::{NodeId, NodeSpec};
use hezar_engine::Engine;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    CoreName, SidecarSettings,
    current::{Core, CoreStart, CurrentCore},
    engine::SidecarEngine,
    mihomo,
    run::run_kind,
    xray,
};

/// The slots that mihomo is started with; more come with another listener. Xray has all from the start: 5,000 take 10 MiB there.
const MIHOMO_SLOTS: usize = 64;

/// The cores that dial what the native engine does not.
#[derive(Debug)]
pub struct Sidecar {
    base: Arc<dyn Engine>,
    launcher: Launcher,
    folder: PathBuf,
    kinds: [Arc<CurrentCore>; 2],
}

/// One core at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct CoreStatus {
    /// Which one.
    pub name: CoreName,
    /// Its program.
    pub program: PathBuf,
    /// The version that it says, once it has served.
    pub version: Option<String>,
    /// Whether it serves now. One that no node has needed yet was not started.
    pub is_up: bool,
    /// Whether no node needs it.
    pub is_idle: bool,
    /// How it has ended, while it does not serve.
    pub trouble: Option<String>,
    /// How often it was started.
    pub starts: u64,
    /// Its resident memory at the last look, in bytes; 0 while it is down or where the system does not tell.
    pub resident_bytes: u64,
    /// The most nodes that it may have at a time.
    pub most_nodes: usize,
    /// The nodes that it has now.
    pub nodes: usize,
    /// Those with open streams, associations or dials.
    pub nodes_in_use: usize,
    /// Configurations, or changes of nodes, that it has taken.
    pub reloads: u64,
    /// How long the last of them took, in seconds.
    pub last_reload_seconds: f64,
    /// Nodes that it has refused until now.
    pub refusals: u64,
}

impl Sidecar {
    /// No core yet. `base` dials their listeners and looks the servers of nodes up; `folder` is the one of their home folders.
    #[must_use]
    pub fn new(base: Arc<dyn Engine>, launcher: Launcher, folder: PathBuf) -> Self {
        let kinds = [
            CurrentCore::new(CoreName::Mihomo, MIHOMO_SLOTS, mihomo::render),
            CurrentCore::new(CoreName::Xray, usize::MAX, xray::render),
        ];
        Self { base, launcher, folder, kinds }
    }

    /// An engine for each kind of core, in the order in which they are to be asked.
    pub fn engines(&self) -> Vec<Arc<dyn Engine>> {
        let engine = |current: &Arc<CurrentCore>| {
            Arc::new(SidecarEngine { current: Arc::clone(current), base: Arc::clone(&self.base) }) as Arc<dyn Engine>
        };
        self.kinds.iter().map(engine).collect()
    }

    /// Looks for the programs, and uses them from now on. Says whether other nodes may be dialled now than before.
    pub fn configure(&self, settings: &SidecarSettings) -> bool {
        let mut differs = false;
        for kind in &self.kinds {
            let choice = kind.name.choice(settings);
            match (choice.find(kind.name), kind.core()) {
                (None, None) => {}
                (None, Some(_)) => {
                    kind.clear();
                    differs = true;
                }
                (Some(program), Some(core)) if is_same(&core.start, &program, settings) => {}
                (Some(program), _) => {
                    tracing::info!(core = kind.name.as_str(), program = %program.display(), "a core is there for nodes that only it can dial");
                    kind.fill(&self.base, self.start(program, settings));
                    differs = true;
                }
            }
        }
        differs
    }

    fn start(&self, program: PathBuf, settings: &SidecarSettings) -> CoreStart {
        CoreStart {
            modified: modified(&program),
            program,
            launcher: self.launcher.clone(),
            folder: self.folder.clone(),
            memory_bytes: settings.memory.0,
            most_slots: settings.max_nodes,
            counters: Arc::default(),
            known: Mutex::default(),
        }
    }

    /// Runs the cores while nodes want them, until `stop`.
    pub async fn run(&self, stop: &CancellationToken) {
        let [mihomo, xray] = &self.kinds;
        tokio::join!(run_kind(mihomo, stop), run_kind(xray, stop));
    }

    /// Every core that is there.
    pub fn status(&self) -> Vec<CoreStatus> {
        self.kinds.iter().filter_map(|kind| kind.core().map(|core| status(kind.name, &core))).collect()
    }

    /// The nodes that a core has refused, with its reasons.
    pub fn refused(&self) -> Vec<(CoreName, NodeId, String)> {
        let of_kind = |current: &Arc<CurrentCore>| {
            let refused = current.core().map(|core| core.slots.refused()).unwrap_or_default();
            let name = current.name;
            refused.into_iter().map(move |(id, reason)| (name, id, reason.to_string()))
        };
        self.kinds.iter().flat_map(of_kind).collect()
    }

    /// The core that could dial a node if it were installed and allowed.
    pub fn wanted_for(&self, node: &NodeSpec) -> Option<CoreName> {
        self.kinds.iter().find(|current| current.can_have(node)).map(|current| current.name)
    }
}

/// Whether a core was made of this program as it is now, and of these settings.
fn is_same(start: &CoreStart, program: &Path, settings: &SidecarSettings) -> bool {
    let is_same_program = start.program == *program && start.modified == modified(program);
    is_same_program && start.most_slots == settings.max_nodes && start.memory_bytes == settings.memory.0
}

/// When a program was installed: another version of it may take other nodes.
fn modified(program: &Path) -> Option<SystemTime> {
    program.metadata().ok()?.modified().ok()
}

fn status(name: CoreName, core: &Core) -> CoreStatus {
    let (counts, start) = (core.slots.counts(), &core.start);
    let known = start.known.lock().clone();
    CoreStatus {
        name,
        program: start.program.clone(),
        version: known.version,
        is_up: counts.is_up,
        is_idle: counts.is_idle,
        trouble: known.trouble.map(|text| text.to_string()),
        starts: start.counters.starts(),
        resident_bytes: start.counters.resident_bytes(),
        most_nodes: start.most_slots,
        nodes: counts.nodes,
        nodes_in_use: counts.in_use,
        reloads: known.reloads,
        last_reload_seconds: known.last_reload.as_secs_f64(),
        refusals: counts.refusals,
    }
}
