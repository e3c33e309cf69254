//! The GATEWAY core: a Clash core whose groups have exactly the healthy nodes of the pool, and which is told of every change by its
//! providers, so that no tunnel is cut.

mod config;
mod served;
mod setup;
mod tell;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use hezar_child::Launcher;
use hezar_gateway::Metrics;
use hezar_pool::Watch;
use hezar_sidecar::{Controller, ControllerAddress, CoreHome, CoreState, CoreSupervisor};
use parking_lot::{Mutex, RwLock};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    listeners::CoreListener,
    members::Entries,
    mihomo::{Readiness, SOCKET},
    names::Names,
};
use crate::nodes::Nodes;
pub(super) use config::GatewayOptions;
use served::Served;
use setup::GatewaySetup;
use tell::Told;

/// Makes the listeners of the moment.
pub(super) type ListenerPlan = Box<dyn Fn() -> Vec<CoreListener> + Send + Sync>;

/// How often the groups are looked at without a change of a state: latencies move, and users expire.
const LOOK: Duration = Duration::from_secs(30);
/// The pause after an update that the core did not answer.
const RETRY: Duration = Duration::from_secs(2);
/// Changed nodes taken from the watch at a time; which ones they are does not matter here.
const CHANGES: usize = 4096;
/// How often the core is asked what it serves.
const SAMPLE: Duration = Duration::from_secs(2);
/// The name of the listener that `[proxy]` describes.
const FIRST_LISTENER: &str = "proxy";
/// How often it is looked whether tunnels are still open at the end.
const DRAIN_LOOK: Duration = Duration::from_millis(200);

/// The GATEWAY core with what keeps it in step with the pool.
pub(super) struct GatewayCore {
    setup: Arc<GatewaySetup>,
    home: Arc<CoreHome>,
    supervisor: CoreSupervisor<GatewaySetup>,
    pool: Arc<Nodes>,
    names: Arc<Names>,
    entries: Entries,
    told: tokio::sync::Mutex<Told>,
    /// Makes the listeners of the configuration of the moment; users expire with time.
    plan: Mutex<ListenerPlan>,
    update_pause: Duration,
    pub(super) updates: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) members: AtomicU64,
    pub(super) served: Mutex<Served>,
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
    pub(super) fn new(start: GatewayStart, pool: Arc<Nodes>, names: Arc<Names>, plan: ListenerPlan) -> Self {
        let home = Arc::new(start.home);
        let controller = Controller::new(ControllerAddress::Unix(home.file(SOCKET)));
        let setup = Arc::new(GatewaySetup {
            program: start.program,
            options: start.options,
            listeners: RwLock::new(plan()),
            started_with: Mutex::default(),
            providers: RwLock::default(),
            controller,
            readiness: Readiness::default(),
        });
        let supervisor = CoreSupervisor::new(Arc::clone(&setup), start.launcher, Arc::clone(&home), start.memory_limit);
        Self {
            setup,
            home,
            supervisor,
            pool,
            names,
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
        self.supervisor.counters().starts()
    }

    /// Its memory, in bytes.
    pub(super) fn resident_bytes(&self) -> u64 {
        self.supervisor.counters().resident_bytes()
    }

    /// Serves other listeners from now on; the core learns of them at the next look.
    pub(super) async fn reconfigure(&self, plan: ListenerPlan) {
        *self.plan.lock() = plan;
        self.update().await;
    }

    /// Keeps the core running and in step with the pool until `stop`; then open tunnels get `grace` to end.
    /// What it serves is counted in `metrics`, under the name of the first listener.
    pub(super) async fn run(&self, stop: &CancellationToken, grace: Duration, metrics: &Metrics) {
        let ended = CancellationToken::new();
        // The core finds its members at its first start.
        self.collect_members();
        let following = async {
            stop.run_until_cancelled(self.follow()).await;
            self.drain(grace).await;
            ended.cancel();
        };
        tokio::join!(self.supervisor.run(&ended), following, ended.run_until_cancelled(self.sample(metrics)));
    }

    /// Asks the core again and again what it serves.
    async fn sample(&self, metrics: &Metrics) {
        loop {
            sleep(SAMPLE).await;
            let told = self.controller().connections().await.ok();
            let mut served = self.served.lock();
            let new = match told {
                Some(told) => served.note(told.connections.len() as u64, (told.upload_total, told.download_total)),
                None => {
                    served.connections = 0;
                    (0, 0)
                }
            };
            metrics.note_served_elsewhere(FIRST_LISTENER, new, served.connections);
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
}

/// Forgets what has changed: the groups are made anew as a whole.
fn drain_watch(watch: &Watch) {
    while !watch.is_empty() {
        let _ = watch.take(CHANGES);
    }
}
