//! The prober's tests, and the world of fake nodes that they probe.

mod canary;
mod demand;
mod guard;
mod host_limits;
mod node_check;
mod outage;
mod ownership;
mod parts;
mod prober;
mod schedule;
mod socks4;
mod stopped;
mod tamper_tracker;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use hezar_core::{Label, NodeId, NodeSpec, Outbound, SocksProxy, SocksVersion, Stage, Target, Timestamp};
use hezar_engine::{
    AddressPolicy, Attempt, BoxStream, BuildError, Cause, Clock, DialError, Dialer, Engine, NativeEngine,
};
use hezar_pool::{Exit, Pool, PoolChange, Rules};
use parking_lot::Mutex;
use url::Url;

use crate::{CanaryPage, Check, Checks, ExitLookup, ProbeConfig, ProbeMetrics, Prober};

pub(super) const START: Timestamp = Timestamp(1_700_000_000_000);

pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp(START.0 + seconds * 1000)
}

/// Node `n`, on a server of its own.
pub(super) fn spec(n: u32) -> NodeSpec {
    let [_, b, c, d] = n.to_be_bytes();
    let socks = SocksProxy { version: SocksVersion::V5, credentials: None, tls: None };
    NodeSpec::new(Target::parse(&format!("11.{b}.{c}.{d}:1080")).unwrap(), Outbound::Socks(socks))
}

pub(super) fn id(n: u32) -> NodeId {
    spec(n).id()
}

/// What a fake node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Works(Duration),
    /// Something at the server says no.
    Refuses,
    /// Nothing is at the server.
    Unreached,
    Hangs,
    /// Says that it cannot reach the target.
    NoTarget,
    /// Fails by this machine's fault.
    Exhausted,
    Forbidden,
    CannotDial,
    Panics,
}

pub(super) const WORKS: Way = Way::Works(Duration::from_millis(100));

/// All fake nodes and our own uplink.
#[derive(Debug)]
pub(super) struct World {
    pub(super) ways: Mutex<HashMap<String, Way>>,
    pub(super) usual: Mutex<Way>,
    pub(super) uplink: Mutex<bool>,
    pub(super) url: Mutex<bool>,
    /// Whether an uplink that is down swallows everything instead of refusing it.
    pub(super) silent: Mutex<bool>,
    /// Whether the probe URL can be reached only through nodes.
    pub(super) blocked: Mutex<bool>,
    pub(super) probes: AtomicUsize,
    pub(super) direct: AtomicUsize,
    pub(super) traces: AtomicUsize,
    busy: Mutex<HashMap<String, usize>>,
    pub(super) running: AtomicUsize,
    pub(super) most: AtomicUsize,
    pub(super) order: Mutex<Vec<String>>,
}

impl World {
    pub(super) fn new(usual: Way) -> Arc<Self> {
        Arc::new(Self {
            ways: Mutex::default(),
            usual: Mutex::new(usual),
            uplink: Mutex::new(true),
            url: Mutex::new(true),
            silent: Mutex::new(false),
            blocked: Mutex::new(false),
            probes: AtomicUsize::new(0),
            direct: AtomicUsize::new(0),
            traces: AtomicUsize::new(0),
            busy: Mutex::default(),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            order: Mutex::default(),
        })
    }

    pub(super) fn set(&self, n: u32, way: Way) {
        self.ways.lock().insert(spec(n).server.to_string(), way);
    }

    fn way(&self, server: &str) -> Way {
        self.ways.lock().get(server).copied().unwrap_or(*self.usual.lock())
    }
}

#[derive(Debug)]
struct FakeNode {
    server: String,
    world: Arc<World>,
}

/// Counts a probe as long as it lives, and proves that no node is probed twice at once.
struct Visit<'a>(&'a FakeNode);

impl<'a> Visit<'a> {
    fn new(node: &'a FakeNode) -> Self {
        let world = &node.world;
        let mut busy = world.busy.lock();
        let count = busy.entry(node.server.clone()).or_default();
        *count += 1;
        // Where the probe URL is blocked, control checks ask through nodes too.
        assert!(*count == 1 || *world.blocked.lock(), "two probes of one node at once");
        world.probes.fetch_add(1, Relaxed);
        world.order.lock().push(node.server.clone());
        let running = world.running.fetch_add(1, Relaxed) + 1;
        world.most.fetch_max(running, Relaxed);
        Self(node)
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        *self.0.world.busy.lock().get_mut(&self.0.server).unwrap() -= 1;
        self.0.world.running.fetch_sub(1, Relaxed);
    }
}

#[async_trait]
impl Dialer for FakeNode {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let trace = target.host().to_string() == "trace.test";
        let visit = (!trace).then(|| Visit::new(self));
        if trace {
            self.world.traces.fetch_add(1, Relaxed);
        }
        let fail = |cause| Err(DialError::new(Stage::Handshake, cause));
        let way = match *self.world.uplink.lock() {
            true => self.world.way(&self.server),
            false if *self.world.silent.lock() => Way::Hangs,
            false => Way::Refuses,
        };
        let control = target.host().to_string() == "control.test";
        let result = match way {
            Way::Works(_) if !control && !*self.world.url.lock() => {
                Err(DialError::new(Stage::Exchange, Cause::UnexpectedAnswer("503".into())))
            }
            Way::Works(time) => {
                tokio::time::sleep(time).await;
                Ok(Box::new(tokio::io::empty()) as BoxStream)
            }
            Way::Refuses => fail(Cause::Refused),
            Way::Unreached => Err(DialError::new(Stage::Connect, Cause::Refused)),
            Way::Hangs => attempt.stage(Stage::Connect, std::future::pending::<Result<BoxStream, Cause>>()).await,
            Way::NoTarget => fail(Cause::TargetUnreachable("host unreachable")),
            Way::Exhausted => fail(Cause::Exhausted(std::io::Error::from_raw_os_error(24))),
            Way::Forbidden => fail(Cause::ForbiddenAddress),
            Way::CannotDial => fail(Cause::Unsupported("this")),
            Way::Panics => panic!("a bug in a protocol"),
        };
        drop(visit);
        result
    }
}

#[derive(Debug)]
struct Direct(Arc<World>);

#[async_trait]
impl Dialer for Direct {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        self.0.direct.fetch_add(1, Relaxed);
        let uplink = *self.0.uplink.lock();
        if !uplink && *self.0.silent.lock() {
            return attempt.stage(Stage::Connect, std::future::pending::<Result<BoxStream, Cause>>()).await;
        }
        let url = *self.0.url.lock() && !*self.0.blocked.lock();
        let works = uplink && (target.host().to_string() != "url.test" || url);
        if works { Ok(Box::new(tokio::io::empty())) } else { Err(DialError::new(Stage::Connect, Cause::Unreachable)) }
    }
}

#[derive(Debug)]
struct Fakes(Arc<World>);

impl Engine for Fakes {
    fn dialer(&self, spec: &NodeSpec, _: AddressPolicy) -> Result<Arc<dyn Dialer>, BuildError> {
        if spec.server.port() == 9 {
            return Err(BuildError::Unsupported("that"));
        }
        Ok(Arc::new(FakeNode { server: spec.server.to_string(), world: Arc::clone(&self.0) }))
    }

    fn direct(&self, _: AddressPolicy) -> Arc<dyn Dialer> {
        Arc::new(Direct(Arc::clone(&self.0)))
    }
}

/// Succeeds when the connection does.
#[derive(Debug)]
struct Connects(&'static str);

#[async_trait]
impl Check for Connects {
    async fn check(&self, via: &dyn Dialer, attempt: &Attempt) -> Result<(), DialError> {
        via.connect(&Target::parse(self.0).unwrap(), attempt).await.map(drop)
    }
}

#[async_trait]
impl ExitLookup for Connects {
    async fn exit(&self, via: &dyn Dialer, attempt: &Attempt) -> Result<Exit, DialError> {
        self.check(via, attempt).await?;
        Ok(Exit { ip: [9, 9, 9, 9].into(), country: Some(*b"DE") })
    }
}

pub(super) type Nodes = Pool<Arc<dyn Dialer>>;

pub(super) fn pool(nodes: impl IntoIterator<Item = u32>) -> Arc<Nodes> {
    let pool = Arc::new(Nodes::new(Rules::default()));
    list(&pool, nodes, START);
    pool
}

pub(super) fn list(pool: &Nodes, nodes: impl IntoIterator<Item = u32>, now: Timestamp) {
    let nodes = nodes.into_iter().map(|n| (spec(n), Label::default())).collect();
    pool.apply(PoolChange::List { source: "s".into(), allow_private: false, nodes, complete: true }, now);
}

pub(super) fn config() -> ProbeConfig {
    ProbeConfig { per_second: 0, concurrency: Some(2000), ..ProbeConfig::new(Url::parse("http://url.test/").unwrap()) }
}

/// A prober over a fake world; `control` says whether it has a control check.
pub(super) fn prober(config: ProbeConfig, pool: &Arc<Nodes>, world: &Arc<World>, control: bool) -> Prober {
    prober_by(Clock::starting_at(START), config, pool, world, control)
}

/// The same with a clock of the caller's.
pub(super) fn prober_by(
    clock: Clock,
    config: ProbeConfig,
    pool: &Arc<Nodes>,
    world: &Arc<World>,
    control: bool,
) -> Prober {
    let uplink: Vec<Arc<dyn Check>> = if control { vec![Arc::new(Connects("control.test:80"))] } else { Vec::new() };
    let trace = config.trace_url.is_some().then(|| Arc::new(Connects("trace.test:80")) as Arc<dyn ExitLookup>);
    let checks = Checks {
        check: Arc::new(Connects("url.test:80")),
        node_check: None,
        trace,
        geo: None,
        canaries: Vec::new(),
        uplink,
        http: None,
        judge: None,
    };
    let engine = Arc::new(Fakes(Arc::clone(world)));
    Prober::with(config, Arc::clone(pool), engine, checks, clock, ProbeMetrics::default())
}

/// Every node of a lab's world in a pool, as `link` changes their links, and their ids.
pub(super) fn lab_pool(lab: &hezar_lab::World, link: impl Fn(&str) -> String) -> (Arc<Nodes>, Vec<NodeId>) {
    let pool = Arc::new(Nodes::new(Rules::default()));
    let specs: Vec<NodeSpec> =
        lab.nodes().iter().map(|node| hezar_formats::parse_link(&link(&node.link)).unwrap().0).collect();
    let ids = specs.iter().map(NodeSpec::id).collect();
    let nodes = specs.into_iter().map(|spec| (spec, Label::default())).collect();
    pool.apply(PoolChange::List { source: "lab".into(), allow_private: true, nodes, complete: true }, START);
    (pool, ids)
}

/// A prober over real connections to a lab, with generous timeouts: a busy machine must not make a node fail.
pub(super) fn lab_prober(pool: &Arc<Nodes>, engine: &NativeEngine, canaries: Vec<CanaryPage>) -> Prober {
    let patience = Duration::from_secs(60);
    let config = ProbeConfig {
        canaries,
        timeout: patience,
        connect_timeout: patience,
        handshake_timeout: patience,
        ..ProbeConfig::new(Url::parse(&format!("http://{}/generate_204", hezar_lab::DEMO_HOST)).unwrap())
    };
    let (pool, clock) = (Arc::clone(pool), Clock::starting_at(START));
    Prober::new(config, pool, Arc::new(engine.clone()), engine.tls(), None, clock, ProbeMetrics::default()).unwrap()
}
