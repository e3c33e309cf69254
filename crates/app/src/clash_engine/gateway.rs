//! The GATEWAY core: a Clash core whose groups have exactly the healthy nodes of the pool, and which is told of every change by its
//! providers, so that no tunnel is cut.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use hezar_child::Launcher;
use hezar_core::NodeId;
use hezar_pool::Watch;
use hezar_sidecar::{
    Controller, ControllerAddress, ControllerError, CoreCommand, CoreError, CoreHome, CoreSetup, CoreState,
    CoreSupervisor, RefusedProxy,
};
use parking_lot::{Mutex, RwLock};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    CORE_REFUSED,
    gateway_config::{GatewayOptions, SOCKET, provider_file, render},
    listeners::CoreListener,
    members::{Entries, members, provider},
    mihomo,
};
use crate::nodes::Nodes;

/// How often the groups are looked at without a change of a state: latencies move, and users expire.
const LOOK: Duration = Duration::from_secs(30);
/// The pause after an update that the core did not answer.
const RETRY: Duration = Duration::from_secs(2);
/// Changed nodes taken from the watch at a time; which ones they are does not matter here.
const CHANGES: usize = 4096;
/// How often the core is asked what it serves.
const SAMPLE: Duration = Duration::from_secs(2);
/// How often it is looked whether tunnels are still open at the end.
const DRAIN_LOOK: Duration = Duration::from_millis(200);

/// What a start of the core reads.
struct GatewaySetup {
    program: PathBuf,
    options: GatewayOptions,
    listeners: RwLock<Vec<CoreListener>>,
    /// Those that the core read when it was started last.
    started_with: Mutex<Vec<CoreListener>>,
    /// The texts of the providers, by their names.
    providers: RwLock<HashMap<String, String>>,
    controller: Controller,
}

impl GatewaySetup {
    fn configuration(&self) -> String {
        render(&self.listeners.read(), &self.options)
    }
}

#[async_trait]
impl CoreSetup for GatewaySetup {
    fn name(&self) -> &'static str {
        "clash-gateway"
    }

    async fn prepare(&self, home: &CoreHome) -> Result<CoreCommand, CoreError> {
        home.remove(SOCKET)?;
        for (name, text) in &*self.providers.read() {
            home.write(&provider_file(name), text.as_bytes())?;
        }
        *self.started_with.lock() = self.listeners.read().clone();
        home.write(mihomo::CONFIGURATION, self.configuration().as_bytes())?;
        Ok(mihomo::command(self.program.clone(), home))
    }

    async fn is_ready(&self, _: &CoreHome) -> bool {
        self.controller.version().await.is_ok()
    }

    fn level(&self, line: &str) -> tracing::Level {
        mihomo::level(line)
    }
}

/// What the core was told last, in this life of it.
#[derive(Default)]
struct Told {
    start: u64,
    providers: HashMap<String, String>,
    listeners: Vec<CoreListener>,
}

/// The GATEWAY core with what keeps it in step with the pool.
pub(super) struct GatewayCore {
    setup: Arc<GatewaySetup>,
    home: Arc<CoreHome>,
    supervisor: CoreSupervisor<GatewaySetup>,
    pool: Arc<Nodes>,
    entries: Entries,
    told: tokio::sync::Mutex<Told>,
    /// Makes the listeners of the configuration of the moment; users expire with time.
    plan: Mutex<Box<dyn Fn() -> Vec<CoreListener> + Send + Sync>>,
    update_pause: Duration,
    pub(super) updates: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) members: AtomicU64,
    pub(super) served: Mutex<Served>,
}

/// What the core has served, over all its lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Served {
    /// Connections that are open.
    pub(super) connections: u64,
    /// Bytes from clients.
    pub(super) up: u64,
    /// Bytes to clients.
    pub(super) down: u64,
    /// What the core told last, which begins at 0 with each life of it.
    told: (u64, u64),
}

impl Served {
    /// Takes in what the core tells.
    fn note(&mut self, connections: u64, (up, down): (u64, u64)) {
        let (before_up, before_down) = if up < self.told.0 || down < self.told.1 { (0, 0) } else { self.told };
        self.up += up - before_up;
        self.down += down - before_down;
        (self.connections, self.told) = (connections, (up, down));
    }
}

/// How the core is started, and what it is told.
pub(super) struct GatewayStart {
    pub(super) program: PathBuf,
    pub(super) launcher: Launcher,
    pub(super) home: CoreHome,
    pub(super) memory_limit: u64,
    pub(super) options: GatewayOptions,
    pub(super) update_pause: Duration,
}

impl GatewayCore {
    /// A core that was not started yet.
    pub(super) fn new(
        start: GatewayStart,
        pool: Arc<Nodes>,
        plan: Box<dyn Fn() -> Vec<CoreListener> + Send + Sync>,
    ) -> Self {
        let home = Arc::new(start.home);
        let controller = Controller::new(ControllerAddress::Unix(home.file(SOCKET)));
        let setup = Arc::new(GatewaySetup {
            program: start.program,
            options: start.options,
            listeners: RwLock::new(plan()),
            started_with: Mutex::default(),
            providers: RwLock::default(),
            controller,
        });
        let supervisor = CoreSupervisor::new(Arc::clone(&setup), start.launcher, Arc::clone(&home), start.memory_limit);
        Self {
            setup,
            home,
            supervisor,
            pool,
            entries: Entries::default(),
            told: tokio::sync::Mutex::default(),
            plan: Mutex::new(plan),
            update_pause: start.update_pause,
            updates: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            members: AtomicU64::new(0),
            served: Mutex::default(),
        }
    }

    /// Asks the core.
    pub(super) fn controller(&self) -> &Controller {
        &self.setup.controller
    }

    /// What the core does now.
    pub(super) fn state(&self) -> CoreState {
        self.supervisor.state().borrow().clone()
    }

    /// How often it was started.
    pub(super) fn starts(&self) -> u64 {
        self.supervisor.starts()
    }

    /// Its memory, in bytes.
    pub(super) fn resident_bytes(&self) -> u64 {
        self.supervisor.resident_bytes()
    }

    /// Serves other listeners from now on; the core learns of them at the next look.
    pub(super) async fn reconfigure(&self, plan: Box<dyn Fn() -> Vec<CoreListener> + Send + Sync>) {
        *self.plan.lock() = plan;
        self.update().await;
    }

    /// Keeps the core running and in step with the pool until `stop`; then open tunnels get `grace` to end.
    pub(super) async fn run(&self, stop: &CancellationToken, grace: Duration) {
        let ended = CancellationToken::new();
        // The core finds its members at its first start.
        self.collect_members();
        let following = async {
            stop.run_until_cancelled(self.follow()).await;
            self.drain(grace).await;
            ended.cancel();
        };
        tokio::join!(self.supervisor.run(&ended), following, ended.run_until_cancelled(self.sample()));
    }

    /// Asks the core again and again what it serves.
    async fn sample(&self) {
        loop {
            sleep(SAMPLE).await;
            match self.controller().connections().await {
                Ok(open) => {
                    let totals = (open.upload_total, open.download_total);
                    self.served.lock().note(open.connections.len() as u64, totals);
                }
                Err(_) => self.served.lock().connections = 0,
            }
        }
    }

    /// Tells the core of every change of the pool.
    async fn follow(&self) {
        let (watch, mut state) = (self.pool.watch_states(), self.supervisor.state());
        loop {
            let is_told = self.update().await;
            let next = Instant::now() + if is_told { LOOK } else { RETRY };
            tokio::select! {
                () = watch.changed() => sleep(self.update_pause).await,
                changed = state.changed() => if changed.is_err() { return },
                () = sleep_until(next) => {}
            }
            drain_watch(&watch);
        }
    }

    /// Waits until no tunnel is open any more, at most for `grace`. Clients of the first listener are not let in meanwhile.
    async fn drain(&self, grace: Duration) {
        let controller = self.controller();
        let drained = async {
            if controller.patch_configuration(&serde_json::json!({ "mixed-port": 0 })).await.is_err() {
                return;
            }
            while controller.connections().await.is_ok_and(|open| !open.connections.is_empty()) {
                sleep(DRAIN_LOOK).await;
            }
        };
        // What is left is cut.
        let _ = timeout(grace, drained).await;
    }

    /// Brings listeners and members up to date, and the core with them while it serves. False: the core has to be told again.
    async fn update(&self) -> bool {
        let mut told = self.told.lock().await;
        let listeners = (*self.plan.lock())();
        *self.setup.listeners.write() = listeners;
        self.collect_members();
        let CoreState::Up { start, .. } = self.state() else { return true };
        if told.start != start {
            // A core that has just begun has read its providers too, but whether it took them is not known.
            let listeners = self.setup.started_with.lock().clone();
            *told = Told { start, providers: HashMap::new(), listeners };
        }
        self.tell_listeners(&mut told).await && self.tell_members(&mut told).await
    }

    /// Writes the members of every group down, for the core and for its next start.
    fn collect_members(&self) {
        let listeners = self.setup.listeners.read().clone();
        let (mut texts, mut all) = (HashMap::new(), std::collections::HashSet::new());
        for (number, listener) in listeners.iter().enumerate() {
            let members = members(&self.pool, listener.filter.as_ref());
            let entries: Vec<Arc<str>> = members.iter().filter_map(|node| self.entries.of(node)).collect();
            if listener.is_first() {
                self.members.store(entries.len() as u64, Ordering::Relaxed);
            }
            all.extend(members.iter().map(|node| node.id()));
            texts.insert(listener.provider(number), provider(&entries));
        }
        self.entries.keep(|id| all.contains(&id));
        *self.setup.providers.write() = texts;
    }

    /// Loads the configuration anew when the listeners or their users are other ones, which is the one thing that a core does by cutting
    /// its tunnels.
    async fn tell_listeners(&self, told: &mut Told) -> bool {
        let listeners = self.setup.listeners.read().clone();
        if told.listeners == listeners {
            return true;
        }
        let configuration = self.setup.configuration();
        let written = self
            .setup
            .providers
            .read()
            .iter()
            .try_for_each(|(name, text)| self.home.write(&provider_file(name), text.as_bytes()).map(drop));
        if let Err(error) = written {
            tracing::warn!("the GATEWAY core cannot be told of other listeners: {error}");
            return false;
        }
        match self.controller().put_configuration(&configuration).await {
            Ok(()) => {
                tracing::info!("the GATEWAY core serves other listeners or users; its open tunnels have ended");
                *told = Told { start: told.start, providers: HashMap::new(), listeners };
                true
            }
            Err(error) => {
                tracing::warn!("the GATEWAY core did not take other listeners: {error}");
                false
            }
        }
    }

    /// Lets the core read the providers that have changed.
    async fn tell_members(&self, told: &mut Told) -> bool {
        let mut is_told = true;
        let names: Vec<String> = self.setup.providers.read().keys().cloned().collect();
        for name in names {
            is_told &= self.tell_provider(&name, told).await;
        }
        is_told
    }

    async fn tell_provider(&self, name: &str, told: &mut Told) -> bool {
        loop {
            let Some(text) = self.setup.providers.read().get(name).cloned() else { return true };
            if told.providers.get(name) == Some(&text) {
                return true;
            }
            let updated = match self.home.write(&provider_file(name), text.as_bytes()) {
                Ok(_) => self.controller().update_provider(name).await,
                Err(error) => {
                    tracing::warn!("the members of the GATEWAY core cannot be written: {error}");
                    return false;
                }
            };
            match updated {
                Ok(()) => {
                    self.updates.fetch_add(1, Ordering::Relaxed);
                    told.providers.insert(name.to_owned(), text);
                    return true;
                }
                Err(error) if self.set_aside(&error, &text) => self.collect_members(),
                Err(error) => {
                    tracing::warn!(provider = name, "the GATEWAY core did not take its members: {error}");
                    return false;
                }
            }
        }
    }

    /// Sets the node aside that the core refuses, if it names one: the others are not to suffer.
    fn set_aside(&self, error: &ControllerError, text: &str) -> bool {
        let Some(refused) = error.refusal().and_then(RefusedProxy::find) else { return false };
        // The list begins on the second line.
        let line = text.lines().nth(refused.index + 1).unwrap_or_default();
        let Some(id) = id_of_entry(line) else { return false };
        tracing::warn!(node = %id, "the GATEWAY core refuses a node, which is set aside: {}", refused.reason);
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.pool.mark_unsupported(id, CORE_REFUSED);
        true
    }
}

/// The id under which a node stands in a line of a provider.
fn id_of_entry(line: &str) -> Option<NodeId> {
    let entry: serde_json::Value = serde_json::from_str(line.trim_start().strip_prefix("- ")?).ok()?;
    entry.get("name")?.as_str()?.parse().ok()
}

/// Forgets what has changed: the groups are made anew as a whole.
fn drain_watch(watch: &Watch) {
    while !watch.is_empty() {
        let _ = watch.take(CHANGES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_core_has_served_is_not_lost_when_it_is_started_again() {
        let mut served = Served::default();
        served.note(3, (100, 1000));
        served.note(2, (150, 1500));
        served.note(1, (10, 20));
        assert_eq!((served.connections, served.up, served.down), (1, 160, 1520));
    }

    #[test]
    fn the_node_of_a_line_is_known_by_its_name() {
        let id = "000102030405060708090a0b0c0d0e0f";
        let line = format!("  - {{\"name\":\"{id}\",\"type\":\"socks5\"}}");
        assert_eq!(id_of_entry(&line).unwrap().to_string(), id);
        assert_eq!(id_of_entry("  - {\"name\":\"none\",\"type\":\"reject\"}"), None);
        assert_eq!(id_of_entry("proxies:"), None);
    }
}
