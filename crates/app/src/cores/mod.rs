//! Installed cores of others that dial what this program cannot: which nodes they give and take, their task, and their metrics.

mod metrics;
mod task;

use std::{collections::BTreeMap, sync::Arc};

use hezar_child::Launcher;
use hezar_core::NodeSpec;
use hezar_engine::{BuildError, Cause, Engine, EngineList, NativeEngine};
use hezar_sidecar::{CoreName, Sidecar, SidecarSettings};

use crate::{config::Config, nodes::Nodes};
pub(crate) use metrics::register;
pub(crate) use task::CoresTask;

/// The hidden command with which a core is started.
pub(crate) const LAUNCH: &str = "launch-child";
/// The folder of the cores' home folders inside the data folder.
pub(crate) const HOMES: &str = "cores";

/// The cores of this instance.
pub(crate) struct Cores {
    pub(crate) sidecar: Sidecar,
    /// The native engine and the cores behind it.
    pub(crate) engine: Arc<dyn Engine>,
    pool: Arc<Nodes>,
}

impl Cores {
    /// The cores that are installed and allowed. They are started when nodes need them and [`CoresTask`] runs.
    ///
    /// # Errors
    /// Those of the system, when it does not tell which file this program is.
    pub(crate) fn new(config: &Config, native: &NativeEngine, pool: &Arc<Nodes>) -> anyhow::Result<Arc<Self>> {
        let launcher = Launcher::this_program([LAUNCH.into()])?;
        let native: Arc<dyn Engine> = Arc::new(native.clone());
        let sidecar = Sidecar::new(Arc::clone(&native), launcher, config.data.join(HOMES));
        sidecar.configure(&config.sidecar);
        let engine = Arc::new(EngineList::new(native, sidecar.engines()));
        Ok(Arc::new(Self { sidecar, engine, pool: Arc::clone(pool) }))
    }

    /// Follows another configuration, and what is installed now: nodes can be dialled that could not be before, or the other way round.
    pub(crate) fn apply(&self, settings: &SidecarSettings) {
        if self.sidecar.configure(settings) {
            self.judge_again();
        }
    }

    /// Looks again at every node which the native engine cannot dial.
    fn judge_again(&self) {
        for node in self.pool.snapshot().nodes() {
            let code = node.unsupported();
            match (&code, self.engine_of(node.spec())) {
                (Some(code), Ok(_)) if *code == BuildError::UNSUPPORTED || *code == Cause::CORE_REFUSED => {
                    self.pool.clear_unsupported(node.id());
                }
                (None, Err(error)) => self.pool.mark_unsupported(node.id(), error.code()),
                _ => {}
            }
        }
    }

    /// The name of what dials a node: `native`, or that of a core.
    ///
    /// # Errors
    /// Why nothing does.
    pub(crate) fn engine_of(&self, node: &NodeSpec) -> Result<&'static str, BuildError> {
        self.engine.engine_of(node)
    }

    /// How many nodes each core could dial that is not there.
    pub(crate) fn missing(&self) -> BTreeMap<CoreName, usize> {
        let mut missing = BTreeMap::new();
        for node in self.pool.snapshot().nodes() {
            if node.unsupported().is_some_and(|code| code == BuildError::UNSUPPORTED)
                && let Some(core) = self.sidecar.wanted_for(node.spec())
            {
                *missing.entry(core).or_default() += 1;
            }
        }
        missing
    }
}

/// How a core is installed, as the end of a sentence.
pub(crate) const fn advice(core: CoreName) -> &'static str {
    match core {
        CoreName::Mihomo => {
            "install mihomo (https://github.com/MetaCubeX/mihomo/releases) and `hezar reload`: docs/cores.md"
        }
        CoreName::Xray => "install Xray (https://github.com/XTLS/Xray-core/releases) and `hezar reload`: docs/cores.md",
    }
}
