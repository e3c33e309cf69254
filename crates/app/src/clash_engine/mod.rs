//! Clash cores as the engine: a PROBE core checks the nodes for the prober, and a GATEWAY core serves clients over those that are
//! healthy.

mod batches;
mod gateway;
mod listeners;
mod members;
mod metrics;
mod mihomo;
mod names;
mod node_check;
mod probe;
mod rules;
mod status;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use hezar_child::Launcher;
use hezar_core::{Role, Secret};
use hezar_engine::{BuildError, Cause, Clock, Engine};
use hezar_gateway::Metrics;
use hezar_probe::{NodeCheck, ProbeConfig};
use hezar_sidecar::{CoreHome, CoreName};
use hezar_store::create_private_folder;
use tokio_util::sync::CancellationToken;

use crate::{
    base::Base,
    config::{Config, EngineKind, EngineSettings},
    cores::{HOMES, LAUNCH},
    token,
};
use gateway::{GatewayCore, GatewayOptions, GatewayStart};
use listeners::problems;
pub(crate) use listeners::warnings;
pub(crate) use metrics::register;
use names::Names;
use node_check::CoreCheck;
use probe::{ProbeCore, ProbeStart};

/// The code of a node that a core does not take.
const CORE_REFUSED: &str = Cause::CORE_REFUSED;
/// The code of checks while the core does not run.
const CORE_UNAVAILABLE: &str = Cause::CORE_UNAVAILABLE;
/// The code of a node that Clash has no words for.
const NODE_UNSUPPORTED: &str = BuildError::UNSUPPORTED;

/// The folder of the secret of the cores' controllers.
const FOLDER: &str = "clash";
/// The file of that secret.
const SECRET_FILE: &str = "controller-secret";

/// A PROBE core and a GATEWAY core.
pub(crate) struct ClashEngine {
    probe: Arc<ProbeCore>,
    gateway: GatewayCore,
    /// Answers the cores for the names of nodes' servers.
    names: Arc<Names>,
    /// What says which servers may be reached.
    engine: Arc<dyn Engine>,
    settings: EngineSettings,
    clock: Clock,
    /// Whether this instance checks nodes, and whether it serves clients.
    roles: (bool, bool),
}

impl ClashEngine {
    /// The cores, where the configuration chooses them. They are started by [`ClashEngine::run`].
    ///
    /// # Errors
    /// No mihomo is installed, or only one that may send requests directly; or the configuration asks for what no core does and must not be
    /// left out.
    pub(crate) async fn prepare(base: &Base) -> anyhow::Result<Option<Arc<Self>>> {
        let config = &base.config;
        if config.engine.kind != EngineKind::Clash {
            return Ok(None);
        }
        let program = examine(config).await?;
        let settings = config.engine.clone();
        let names = Names::bind(Arc::clone(&base.engine)).await.context("no free port for the names of nodes")?;
        let cores = Cores::new(config, program, Arc::new(names))?;
        let probe = Arc::new(cores.probe(&settings)?);
        let gateway = cores.gateway(base, &settings)?;
        let roles = &config.cluster.roles;
        let roles = (roles.has(Role::Probe), roles.has(Role::Gateway));
        let engine = Arc::clone(&base.engine);
        let names = Arc::clone(&cores.names);
        Ok(Some(Arc::new(Self { probe, gateway, names, engine, settings, clock: base.clock, roles })))
    }

    /// What checks nodes for a prober with these settings.
    pub(crate) fn node_check(&self, config: &ProbeConfig) -> Arc<dyn NodeCheck> {
        let (probe, engine) = (Arc::clone(&self.probe), Arc::clone(&self.engine));
        Arc::new(CoreCheck::new(probe, engine, Arc::clone(&self.names), config))
    }

    /// Lets the GATEWAY core serve the listeners of a configuration, at these addresses, the first one in front.
    pub(crate) async fn apply(&self, config: &Config, addresses: Vec<SocketAddr>) {
        let (config, clock) = (config.clone(), self.clock);
        let plan = Box::new(move || listeners::listeners(&config, &addresses, clock.wall()));
        self.gateway.reconfigure(plan).await;
    }

    /// Keeps the cores running until `stop`. Open tunnels get `grace` to end. What is served is counted in `metrics`.
    pub(crate) async fn run(&self, stop: &CancellationToken, grace: Duration, metrics: &Metrics) {
        let (probes, serves) = self.roles;
        let probe = async {
            if probes {
                self.probe.run(stop).await;
            }
        };
        let gateway = async {
            if serves {
                self.gateway.run(stop, grace, metrics).await;
            }
        };
        tokio::select! {
            _ = async { tokio::join!(probe, gateway) } => {}
            () = self.names.run() => {}
        }
    }
}

/// Refuses what must not be left out and no core does.
///
/// # Errors
/// One line for each.
pub(crate) fn check(config: &Config) -> anyhow::Result<()> {
    if config.engine.kind != EngineKind::Clash {
        return Ok(());
    }
    let problems = problems(config);
    if problems.is_empty() { Ok(()) } else { bail!("engine = \"clash\": {}", problems.join("; ")) }
}

/// The program of the cores, when Clash cores can serve this configuration.
///
/// # Errors
/// No mihomo is installed, or only one that may send requests directly; or as [`check`].
pub(crate) async fn examine(config: &Config) -> anyhow::Result<PathBuf> {
    check(config)?;
    let program = config.sidecar.mihomo.find(CoreName::Mihomo).context(
        "engine = \"clash\" needs mihomo (MetaCubeX/mihomo, 1.19.27 or newer): install it, or name its path as sidecar.mihomo",
    )?;
    mihomo::check_version(&program).await?;
    Ok(program)
}

/// What both cores are started with.
struct Cores {
    program: PathBuf,
    launcher: Launcher,
    homes: PathBuf,
    memory_limit: u64,
    /// Of the controllers that are exposed.
    secret: Option<Secret>,
    names: Arc<Names>,
}

impl Cores {
    fn new(config: &Config, program: PathBuf, names: Arc<Names>) -> anyhow::Result<Self> {
        let launcher = Launcher::this_program([LAUNCH.into()]).context("cannot find this program's own file")?;
        let is_exposed = listeners::exposed(&config.engine).next().is_some();
        let secret = match &config.engine.controller_secret {
            _ if !is_exposed => None,
            Some(secret) => Some(secret.clone()),
            None => Some(made_secret(&config.data)?),
        };
        let (homes, memory_limit) = (config.data.join(HOMES), config.sidecar.memory.0);
        Ok(Self { program, launcher, homes, memory_limit, secret, names })
    }

    fn probe(&self, settings: &EngineSettings) -> anyhow::Result<ProbeCore> {
        if let Some(url) = &settings.probe_controller {
            return ProbeCore::elsewhere(url, settings.probe_secret.as_ref(), settings.batch);
        }
        let start = ProbeStart {
            program: self.program.clone(),
            launcher: self.launcher.clone(),
            home: CoreHome::create(&self.homes, "probe")?,
            memory_limit: self.memory_limit,
            exposed: settings.expose_controller.zip(self.secret.clone()),
            names: self.names.address(),
        };
        Ok(ProbeCore::here(start, settings.batch))
    }

    fn gateway(&self, base: &Base, settings: &EngineSettings) -> anyhow::Result<GatewayCore> {
        let exposed = settings.expose_gateway_controller.zip(self.secret.clone());
        let start = GatewayStart {
            program: self.program.clone(),
            launcher: self.launcher.clone(),
            home: CoreHome::create(&self.homes, "gateway")?,
            memory_limit: self.memory_limit,
            options: GatewayOptions { strategy: settings.strategy, exposed, names: self.names.address() },
            update_pause: settings.update_pause,
        };
        Ok(GatewayCore::new(start, Arc::clone(&base.pool), Arc::clone(&self.names), Box::new(Vec::new)))
    }
}

/// The secret in the data folder, which is made at the first start.
fn made_secret(data: &Path) -> anyhow::Result<Secret> {
    let folder = data.join(FOLDER);
    create_private_folder(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    token::load_or_make_file(&folder.join(SECRET_FILE), "the secret of the cores' controllers")
}
