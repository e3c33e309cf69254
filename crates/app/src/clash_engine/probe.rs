//! The PROBE core: a Clash core that serves nobody and checks the nodes which Hezar's prober asks it to check.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use async_trait::async_trait;
use hezar_child::Launcher;
use hezar_core::Secret;
use hezar_sidecar::{
    Controller, ControllerAddress, ControllerError, CoreCommand, CoreError, CoreHome, CoreSetup, CoreState,
    CoreSupervisor,
};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    batches::{BATCHES, BatchLoader, Batches, provider},
    members::provider as provider_text,
    mihomo::{self, Readiness, SOCKET, basics, provider_file},
};

/// The group of all nodes that are being checked, for those who look at the core.
const GROUP: &str = "PROBE";

/// Where the PROBE core is.
pub(super) enum ProbePlace {
    /// It is a child of this process.
    Here(CoreSupervisor<ProbeSetup>),
    /// Another machine has it.
    Elsewhere,
}

/// The PROBE core with the batches of nodes that it has.
pub(super) struct ProbeCore {
    place: ProbePlace,
    controller: Controller,
    pub(super) batches: Batches<Loader>,
    pub(super) checks: AtomicU64,
    pub(super) refused: AtomicU64,
}

/// How a PROBE core on this machine is started.
pub(super) struct ProbeStart {
    pub(super) program: PathBuf,
    pub(super) launcher: Launcher,
    pub(super) home: CoreHome,
    pub(super) memory_limit: u64,
    /// Where its controller listens beside its socket, and the secret that it asks for.
    pub(super) exposed: Option<(SocketAddr, Secret)>,
    /// Where it asks for the addresses of nodes' servers.
    pub(super) names: SocketAddr,
}

impl ProbeCore {
    /// A core of this process, which was not started yet.
    pub(super) fn here(start: ProbeStart, batch: usize) -> Self {
        let home = Arc::new(start.home);
        let controller = Controller::new(ControllerAddress::Unix(home.file(SOCKET)));
        let setup = ProbeSetup {
            program: start.program,
            exposed: start.exposed,
            names: start.names,
            controller: controller.clone(),
            readiness: Readiness::default(),
        };
        let supervisor = CoreSupervisor::new(Arc::new(setup), start.launcher, Arc::clone(&home), start.memory_limit);
        let loader = Loader::Files { home, controller: controller.clone() };
        Self::new(ProbePlace::Here(supervisor), controller, loader, batch)
    }

    /// A core on another machine, whose whole configuration is replaced.
    ///
    /// # Errors
    /// The URL names no host.
    pub(super) fn elsewhere(url: &Url, secret: Option<&Secret>, batch: usize) -> anyhow::Result<Self> {
        let host = url.host_str().context("engine.probe_controller names no host")?;
        let authority = format!("{host}:{}", url.port_or_known_default().unwrap_or(80));
        let secret = secret.cloned().unwrap_or_else(|| "".into());
        let controller = Controller::new(ControllerAddress::Tcp { authority, secret });
        let loader = Loader::Configurations { controller: controller.clone(), entries: Mutex::default() };
        Ok(Self::new(ProbePlace::Elsewhere, controller, loader, batch))
    }

    fn new(place: ProbePlace, controller: Controller, loader: Loader, batch: usize) -> Self {
        let batches = Batches::new(loader, batch);
        Self { place, controller, batches, checks: AtomicU64::new(0), refused: AtomicU64::new(0) }
    }

    /// Asks the core.
    pub(super) const fn controller(&self) -> &Controller {
        &self.controller
    }

    /// What the core does now; `None` for one on another machine.
    pub(super) fn state(&self) -> Option<CoreState> {
        match &self.place {
            ProbePlace::Here(supervisor) => Some(supervisor.state().borrow().clone()),
            ProbePlace::Elsewhere => None,
        }
    }

    /// How often it was started.
    pub(super) fn starts(&self) -> u64 {
        match &self.place {
            ProbePlace::Here(supervisor) => supervisor.counters().starts(),
            ProbePlace::Elsewhere => 0,
        }
    }

    /// Its memory, in bytes; 0 for one on another machine.
    pub(super) fn resident_bytes(&self) -> u64 {
        match &self.place {
            ProbePlace::Here(supervisor) => supervisor.counters().resident_bytes(),
            ProbePlace::Elsewhere => 0,
        }
    }

    /// Waits until the core serves, at most for `limit`, and says whether it does.
    pub(super) async fn is_up_within(&self, limit: Duration) -> bool {
        let ProbePlace::Here(supervisor) = &self.place else { return true };
        let mut state = supervisor.state();
        timeout(limit, state.wait_for(CoreState::is_up)).await.is_ok_and(|up| up.is_ok())
    }

    /// Keeps the core running, and gives it the nodes that are to be checked, until `stop`.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        let supervised = async {
            match &self.place {
                ProbePlace::Here(supervisor) => supervisor.run(stop).await,
                ProbePlace::Elsewhere => stop.cancelled().await,
            }
        };
        tokio::join!(supervised, self.batches.run(stop));
    }

    /// Counts a check.
    pub(super) fn note_check(&self) {
        self.checks.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a node that the core refuses.
    pub(super) fn note_refusal(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a start of the core reads.
pub(super) struct ProbeSetup {
    program: PathBuf,
    exposed: Option<(SocketAddr, Secret)>,
    names: SocketAddr,
    controller: Controller,
    readiness: Readiness,
}

#[async_trait]
impl CoreSetup for ProbeSetup {
    fn name(&self) -> &'static str {
        "clash-probe"
    }

    async fn prepare(&self, home: &CoreHome) -> Result<CoreCommand, CoreError> {
        home.remove(SOCKET)?;
        self.readiness.reset();
        for number in 0..BATCHES {
            home.write(&provider_file(&provider(number)), provider_text([]).as_bytes())?;
        }
        let providers = (0..BATCHES).map(|number| {
            let path = format!("./{}", provider_file(&provider(number)));
            (provider(number), json!({ "type": "file", "path": path, "health-check": { "enable": false } }))
        });
        let config = configuration(providers.collect(), self.exposed.as_ref(), Some(self.names));
        home.write(mihomo::CONFIGURATION, config.to_string().as_bytes())?;
        Ok(mihomo::command(self.program.clone(), home))
    }

    async fn is_ready(&self, _: &CoreHome) -> bool {
        self.readiness.is_ready(&self.controller, &provider(0)).await
    }

    fn level(&self, line: &str) -> tracing::Level {
        mihomo::level(line)
    }
}

/// The configuration of the core over these providers: it serves nobody.
fn configuration(
    providers: Map<String, Value>,
    exposed: Option<&(SocketAddr, Secret)>,
    names: Option<SocketAddr>,
) -> Value {
    let mut config = basics(exposed, names);
    let names: Vec<&String> = providers.keys().collect();
    let group = json!({ "name": GROUP, "type": "load-balance", "use": names, "empty-fallback": "REJECT" });
    config.insert("proxy-groups".into(), json!([group]));
    config.insert("proxy-providers".into(), providers.into());
    config.insert("rules".into(), json!(["MATCH,REJECT"]));
    config.into()
}

/// How the core gets its nodes.
pub(super) enum Loader {
    /// From files that it reads when it is told so: only the nodes of one batch are built anew.
    Files { home: Arc<CoreHome>, controller: Controller },
    /// From whole configurations, where it cannot read our files.
    Configurations { controller: Controller, entries: Mutex<Vec<Vec<Arc<str>>>> },
}

#[async_trait]
impl BatchLoader for Loader {
    async fn load(&self, number: usize, new: &[Arc<str>]) -> Result<(), ControllerError> {
        match self {
            Self::Files { home, controller } => {
                let name = provider(number);
                if let Err(error) = home.write(&provider_file(&name), provider_text(new).as_bytes()) {
                    tracing::warn!("nodes for the PROBE core cannot be written: {error}");
                }
                controller.update_provider(&name).await
            }
            Self::Configurations { controller, entries } => {
                let before = {
                    let mut entries = entries.lock();
                    entries.resize(BATCHES, Vec::new());
                    std::mem::replace(&mut entries[number], new.to_vec())
                };
                let text = inline(&entries.lock());
                let loaded = controller.put_configuration(&text).await;
                if loaded.is_err() {
                    entries.lock()[number] = before;
                }
                loaded
            }
        }
    }
}

/// A configuration with the nodes of all batches in it.
fn inline(batches: &[Vec<Arc<str>>]) -> String {
    let providers = batches.iter().enumerate().filter(|(_, entries)| !entries.is_empty()).map(|(number, entries)| {
        let entries = entries.iter().filter_map(|entry| serde_json::from_str::<Value>(entry).ok());
        let payload: Vec<Value> = entries.collect();
        (provider(number), json!({ "type": "inline", "payload": payload, "health-check": { "enable": false } }))
    });
    configuration(providers.collect(), None, None).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_serves_nobody_and_lets_nothing_out_directly() {
        let text = inline(&[vec![r#"{"name":"a","type":"socks5","server":"192.0.2.1","port":1}"#.into()], Vec::new()]);
        let config: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(config["mixed-port"], 0);
        assert_eq!(config["rules"], json!(["MATCH,REJECT"]));
        assert_eq!(config["proxy-providers"]["batch-0"]["payload"][0]["name"], "a");
        assert_eq!(config["proxy-providers"]["batch-1"], Value::Null);
        assert_eq!(config["proxy-groups"][0]["empty-fallback"], "REJECT");
    }
}
