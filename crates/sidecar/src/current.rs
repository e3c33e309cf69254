//! One core as the dialers see it: its slots, and when it may be dialled.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use hezar_child::Launcher;
use hezar_core::NodeSpec;
use hezar_engine::{Attempt, BuildError, DialError, Engine};
use parking_lot::Mutex;
use tokio::{
    sync::{RwLock, watch},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    CoreCounters, CoreName,
    slots::{Addresses, CoreNode, SlotTable},
};

/// A core that nobody has used for so long is ended.
const IDLE: Duration = Duration::from_secs(600);

/// A core that is configured: it runs, or is started when a node wants it.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) slots: Arc<SlotTable>,
    /// Held by dials while they begin, and by whoever tells the core something that makes it close new connections meanwhile.
    pub(crate) gate: RwLock<()>,
    /// Dials the core's listener, and looks the servers of nodes up.
    pub(crate) base: Arc<dyn Engine>,
    pub(crate) start: CoreStart,
}

/// How a core is started, and what is known of it.
#[derive(Debug)]
pub(crate) struct CoreStart {
    pub(crate) program: PathBuf,
    /// When the program was installed.
    pub(crate) modified: Option<SystemTime>,
    pub(crate) launcher: Launcher,
    /// The folder of its home folders.
    pub(crate) folder: PathBuf,
    pub(crate) memory_bytes: u64,
    pub(crate) most_slots: usize,
    pub(crate) counters: Arc<CoreCounters>,
    pub(crate) known: Mutex<KnownOfCore>,
}

/// What is known of a core besides its counters.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownOfCore {
    pub(crate) version: Option<String>,
    /// How it has ended, while it does not serve.
    pub(crate) trouble: Option<Arc<str>>,
    /// Configurations that it has taken.
    pub(crate) reloads: u64,
    /// How long the last of them took.
    pub(crate) last_reload: Duration,
}

impl CoreStart {
    pub(crate) fn set_version(&self, version: Option<String>) {
        self.known.lock().version = version;
    }

    pub(crate) fn set_trouble(&self, trouble: Option<Arc<str>>) {
        self.known.lock().trouble = trouble;
    }

    /// A configuration was sent.
    pub(crate) fn note_reload(&self, took: Duration, was_taken: bool) {
        if was_taken {
            let mut known = self.known.lock();
            known.reloads += 1;
            known.last_reload = took;
        }
    }
}

impl Core {
    /// The addresses of a node's server that may be dialled.
    ///
    /// # Errors
    /// As for connecting: nothing resolves, or nothing is allowed.
    pub(crate) async fn addresses(&self, node: &CoreNode, attempt: &Attempt) -> Result<Addresses, DialError> {
        let direct = self.base.direct(node.policy);
        let Some(network) = direct.local_network() else { return Ok(Addresses::default()) };
        let found = network.candidates(node.spec.first_server(), attempt).await?;
        Ok(found.iter().map(SocketAddr::ip).collect())
    }

    /// Waits until no slot has been used for a while: the core is to be ended then.
    pub(crate) async fn idle(&self) {
        loop {
            match self.slots.unused_since().map(|since| since + IDLE) {
                Some(end) if end <= Instant::now() => return,
                Some(end) => sleep_until(end).await,
                None => sleep(IDLE).await,
            }
        }
    }
}

/// Writes a node as entries of a core's configuration under this name.
pub(crate) type Render = fn(&str, &NodeSpec) -> Result<Vec<String>, BuildError>;

/// The place of one kind of core, which may be empty: dialers that are made once find the core of the moment in it.
#[derive(Debug)]
pub(crate) struct CurrentCore {
    pub(crate) name: CoreName,
    render: Render,
    first_block: usize,
    core: watch::Sender<Option<Arc<Core>>>,
    /// Goes on when another program takes the place.
    counters: Arc<CoreCounters>,
}

impl CurrentCore {
    pub(crate) fn new(name: CoreName, first_block: usize, render: Render) -> Arc<Self> {
        let (core, counters) = (watch::Sender::new(None), Arc::default());
        Arc::new(Self { name, render, first_block, core, counters })
    }

    pub(crate) fn core(&self) -> Option<Arc<Core>> {
        self.core.borrow().clone()
    }

    /// The core of the moment, and those that come after it.
    pub(crate) fn follow(&self) -> watch::Receiver<Option<Arc<Core>>> {
        self.core.subscribe()
    }

    /// Empties the place; the core in it is ended.
    pub(crate) fn clear(&self) {
        self.core.send_replace(None);
    }

    /// Puts another core into the place; the one before is ended.
    pub(crate) fn fill(&self, base: &Arc<dyn Engine>, start: CoreStart) {
        let start = CoreStart { counters: Arc::clone(&self.counters), ..start };
        let slots = SlotTable::new(self.first_block, start.most_slots);
        let core = Core { slots, gate: RwLock::default(), base: Arc::clone(base), start };
        self.core.send_replace(Some(Arc::new(core)));
    }

    /// Whether the core that is there can dial a node.
    ///
    /// # Errors
    /// [`BuildError::Unsupported`].
    pub(crate) fn check(&self, node: &NodeSpec) -> Result<(), BuildError> {
        if self.core.borrow().is_none() {
            return Err(BuildError::Unsupported("a node that only a core can dial which is not installed"));
        }
        (self.render)("node", node).map(drop)
    }

    /// Whether a core of this kind can dial a node.
    pub(crate) fn can_have(&self, node: &NodeSpec) -> bool {
        (self.render)("node", node).is_ok()
    }
}
