//! What the gateway counts.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hezar_core::{LatencyBuckets, NodeId, Target, Timestamp};
use parking_lot::{Mutex, RwLock};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::connections::ByteCounters;

/// The labels of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    inbound: &'static str,
    outcome: &'static str,
    code: &'static str,
    listener: Arc<str>,
}

/// The labels of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    result: &'static str,
    code: &'static str,
    listener: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
    listener: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UserDirection {
    user: Box<str>,
    direction: &'static str,
    listener: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Hedge {
    result: &'static str,
    listener: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
    listener: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: &'static str,
    listener: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Listener {
    listener: Arc<str>,
}

/// How many errors are remembered.
const MAX_RECENT_ERRORS: usize = 50;

#[derive(Debug)]
struct Totals {
    ok: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    /// Requests by code; a code is one of a table.
    codes: RwLock<BTreeMap<&'static str, AtomicU64>>,
    /// Times to the first success, by bucket.
    latency: [AtomicU64; LatencyBuckets::COUNT],
    recent_errors: Mutex<VecDeque<RecentError>>,
    /// What single listeners have counted. There are only as many as were ever configured.
    listeners: Mutex<BTreeMap<Arc<str>, Volumes>>,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            ok: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            codes: RwLock::default(),
            latency: std::array::from_fn(|_| AtomicU64::new(0)),
            recent_errors: Mutex::default(),
            listeners: Mutex::default(),
        }
    }
}

impl Totals {
    fn count_code(&self, code: &'static str) {
        if let Some(count) = self.codes.read().get(code) {
            count.fetch_add(1, Relaxed);
            return;
        }
        self.codes.write().entry(code).or_default().fetch_add(1, Relaxed);
    }
}

/// What one listener moves.
#[derive(Clone, Debug)]
struct Volumes {
    bytes: ByteCounters,
    tunnels: Gauge,
    connections: Gauge,
}

/// What has passed through a gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests that a node served.
    pub ok: u64,
    /// Requests that no node could serve.
    pub failed: u64,
    /// Requests that were refused by the client's own fault.
    pub refused: u64,
    /// Bytes from clients to nodes.
    pub up: u64,
    /// Bytes from nodes to clients.
    pub down: u64,
    /// Tunnels open now.
    pub tunnels: u64,
    /// Client connections open now.
    pub connections: u64,
}

/// A request that was not served, or a tunnel that failed.
#[derive(Clone, Debug)]
pub struct RecentError {
    /// When.
    pub at: Timestamp,
    /// How it came in.
    pub inbound: &'static str,
    /// Who asked.
    pub user: Box<str>,
    /// For what.
    pub target: Option<Target>,
    /// The node that was used last.
    pub node: Option<NodeId>,
    /// The stable code.
    pub code: &'static str,
}

/// The counters of all listeners; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    seconds: Family<Listener, Histogram, fn() -> Histogram>,
    bytes: Family<Direction, Counter>,
    user_bytes: Family<UserDirection, Counter>,
    rejected: Family<Code, Counter>,
    hedges: Family<Hedge, Counter>,
    datagrams: Family<Direction, Counter>,
    dropped: Family<Reason, Counter>,
    tunnels: Family<Listener, Gauge>,
    associations: Family<Listener, Gauge>,
    connections: Family<Listener, Gauge>,
    totals: Arc<Totals>,
}

fn seconds() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0])
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            attempts: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            bytes: Family::default(),
            user_bytes: Family::default(),
            rejected: Family::default(),
            hedges: Family::default(),
            datagrams: Family::default(),
            dropped: Family::default(),
            tunnels: Family::default(),
            associations: Family::default(),
            connections: Family::default(),
            totals: Arc::default(),
        }
    }
}

impl Metrics {
    /// Enters everything into the registry under names that begin with `hezar_`; each has the label `listener`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("hezar_requests", "Requests by inbound, outcome and code", self.requests.clone());
        registry.register("hezar_attempts", "Attempts over single nodes by result and code", self.attempts.clone());
        registry.register("hezar_request_seconds", "Time to the first success of a request", self.seconds.clone());
        registry.register("hezar_bytes", "Bytes moved; up = from clients to nodes", self.bytes.clone());
        registry.register("hezar_user_bytes", "Bytes moved for each configured user", self.user_bytes.clone());
        registry.register(
            "hezar_connections_rejected",
            "Client connections that ended before a request, by code",
            self.rejected.clone(),
        );
        registry.register(
            "hezar_hedges",
            "Late answers for which a second node was asked, or not because the budget was spent",
            self.hedges.clone(),
        );
        registry.register("hezar_datagrams", "Datagrams moved; up = from clients to nodes", self.datagrams.clone());
        registry.register("hezar_datagrams_dropped", "Datagrams dropped, by reason", self.dropped.clone());
        registry.register("hezar_associations", "Open UDP associations", self.associations.clone());
        registry.register("hezar_tunnels", "Open tunnels", self.tunnels.clone());
        registry.register("hezar_connections", "Open client connections", self.connections.clone());
    }

    /// What has passed through since the start.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let mut traffic = Traffic {
            ok: self.totals.ok.load(Relaxed),
            failed: self.totals.failed.load(Relaxed),
            refused: self.totals.refused.load(Relaxed),
            ..Traffic::default()
        };
        let whole = |gauge: &Gauge| u64::try_from(gauge.get()).unwrap_or(0);
        for volumes in self.totals.listeners.lock().values() {
            traffic.up += volumes.bytes.up.get();
            traffic.down += volumes.bytes.down.get();
            traffic.tunnels += whole(&volumes.tunnels);
            traffic.connections += whole(&volumes.connections);
        }
        traffic
    }

    /// Requests by code since the start; served ones have the code `ok`.
    #[must_use]
    pub fn requests_by_code(&self) -> BTreeMap<&'static str, u64> {
        self.totals.codes.read().iter().map(|(code, count)| (*code, count.load(Relaxed))).collect()
    }

    /// How long requests took until their first success, since the start.
    #[must_use]
    pub fn latency(&self) -> LatencyBuckets {
        LatencyBuckets::from_counts(self.totals.latency.iter().map(|count| count.load(Relaxed)))
    }

    /// The last requests that were not served, the newest in front.
    #[must_use]
    pub fn recent_errors(&self) -> Vec<RecentError> {
        self.totals.recent_errors.lock().iter().rev().cloned().collect()
    }

    /// The counters of one listener.
    pub(crate) fn for_listener(&self, name: &str) -> ListenerMetrics {
        let listener: Arc<str> = name.into();
        let label = Listener { listener: listener.clone() };
        let bytes = |direction| self.bytes.get_or_create(&Direction { direction, listener: listener.clone() }).clone();
        let volumes = Volumes {
            bytes: ByteCounters { up: bytes("up"), down: bytes("down") },
            tunnels: self.tunnels.get_or_create(&label).clone(),
            connections: self.connections.get_or_create(&label).clone(),
        };
        self.totals.listeners.lock().insert(listener.clone(), volumes.clone());
        ListenerMetrics {
            seconds: self.seconds.get_or_create(&label).clone(),
            associations: self.associations.get_or_create(&label).clone(),
            bytes: volumes.bytes,
            tunnels: volumes.tunnels,
            connections: volumes.connections,
            listener,
            all: self.clone(),
        }
    }
}

/// The counters of one listener; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct ListenerMetrics {
    all: Metrics,
    listener: Arc<str>,
    seconds: Histogram,
    bytes: ByteCounters,
    pub(crate) tunnels: Gauge,
    pub(crate) associations: Gauge,
    pub(crate) connections: Gauge,
}

impl ListenerMetrics {
    /// The name of the listener.
    pub(crate) const fn listener(&self) -> &Arc<str> {
        &self.listener
    }

    /// Where the bytes of a connection are counted: for the listener, and for a user that is configured there.
    pub(crate) fn byte_counters(&self, user: Option<&str>) -> [ByteCounters; 2] {
        let user = user.map_or_else(ByteCounters::default, |user| {
            let of = |direction| {
                let labels = UserDirection { user: user.into(), direction, listener: self.listener.clone() };
                self.all.user_bytes.get_or_create(&labels).clone()
            };
            ByteCounters { up: of("up"), down: of("down") }
        });
        [self.bytes.clone(), user]
    }

    pub(crate) fn request(&self, inbound: &'static str, outcome: &'static str, code: &'static str) {
        let total = match outcome {
            "ok" => &self.all.totals.ok,
            "failed" => &self.all.totals.failed,
            _ => &self.all.totals.refused,
        };
        total.fetch_add(1, Relaxed);
        self.all.totals.count_code(if outcome == "ok" { "ok" } else { code });
        let listener = self.listener.clone();
        self.all.requests.get_or_create(&RequestLabels { inbound, outcome, code, listener }).inc();
    }

    pub(crate) fn first_success(&self, after: Duration) {
        self.seconds.observe(after.as_secs_f64());
        if let Some(count) = self.all.totals.latency.get(LatencyBuckets::bucket_of(after)) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn attempt(&self, result: &'static str, code: &'static str) {
        self.all.attempts.get_or_create(&AttemptLabels { result, code, listener: self.listener.clone() }).inc();
    }

    pub(crate) fn hedge(&self, granted: bool) {
        let result = if granted { "started" } else { "denied" };
        self.all.hedges.get_or_create(&Hedge { result, listener: self.listener.clone() }).inc();
    }

    pub(crate) fn recent_error(&self, error: RecentError) {
        let mut errors = self.all.totals.recent_errors.lock();
        if errors.len() >= MAX_RECENT_ERRORS {
            errors.pop_front();
        }
        errors.push_back(error);
    }

    /// A datagram moved, `up` or `down`.
    pub(crate) fn datagram(&self, direction: &'static str) {
        self.all.datagrams.get_or_create(&Direction { direction, listener: self.listener.clone() }).inc();
    }

    /// A datagram was dropped.
    pub(crate) fn dropped(&self, reason: &'static str) {
        self.all.dropped.get_or_create(&Reason { reason, listener: self.listener.clone() }).inc();
    }

    pub(crate) fn rejected(&self, code: &'static str) {
        self.all.rejected.get_or_create(&Code { code, listener: self.listener.clone() }).inc();
    }
}

/// Raises a gauge as long as it lives.
#[derive(Debug)]
pub(crate) struct GaugeGuard(Gauge);

impl GaugeGuard {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}
