//! What the gateway counts.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use hezar_core::{NodeId, Target, Timestamp};
use parking_lot::Mutex;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// The labels of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    inbound: &'static str,
    outcome: &'static str,
    code: &'static str,
}

/// The labels of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    result: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Hedge {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: &'static str,
}

/// The recent_errors that are remembered.
const MAX_RECENT_ERRORS: usize = 50;

#[derive(Debug, Default)]
struct Totals {
    ok: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    recent_errors: Mutex<VecDeque<RecentError>>,
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

/// A request that ended badly.
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

/// The gateway's counters; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    seconds: Histogram,
    bytes: Family<Direction, Counter>,
    up: Counter,
    down: Counter,
    rejected: Family<Code, Counter>,
    hedges: Family<Hedge, Counter>,
    totals: Arc<Totals>,
    datagrams: Family<Direction, Counter>,
    dropped: Family<Reason, Counter>,
    pub(crate) tunnels: Gauge,
    pub(crate) associations: Gauge,
    pub(crate) connections: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0];
        let bytes = Family::<Direction, Counter>::default();
        let of = |direction| bytes.get_or_create(&Direction { direction }).clone();
        Self {
            up: of("up"),
            down: of("down"),
            requests: Family::default(),
            attempts: Family::default(),
            seconds: Histogram::new(buckets),
            bytes,
            rejected: Family::default(),
            totals: Arc::default(),
            hedges: Family::default(),
            datagrams: Family::default(),
            dropped: Family::default(),
            tunnels: Gauge::default(),
            associations: Gauge::default(),
            connections: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Enters everything into the registry under names that begin with `hezar_`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("hezar_requests", "Requests by inbound, outcome and code", self.requests.clone());
        registry.register("hezar_attempts", "Attempts over single nodes by result and code", self.attempts.clone());
        registry.register("hezar_request_seconds", "Time to the first success of a request", self.seconds.clone());
        registry.register("hezar_bytes", "Bytes moved; up = from clients to nodes", self.bytes.clone());
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

    pub(crate) fn request(&self, inbound: &'static str, outcome: &'static str, code: &'static str) {
        let total = match outcome {
            "ok" => &self.totals.ok,
            "failed" => &self.totals.failed,
            _ => &self.totals.refused,
        };
        total.fetch_add(1, Relaxed);
        self.requests.get_or_create(&RequestLabels { inbound, outcome, code }).inc();
    }

    pub(crate) fn first_success(&self, after: Duration) {
        self.seconds.observe(after.as_secs_f64());
    }

    pub(crate) fn attempt(&self, result: &'static str, code: &'static str) {
        self.attempts.get_or_create(&AttemptLabels { result, code }).inc();
    }

    pub(crate) fn hedge(&self, granted: bool) {
        let result = if granted { "started" } else { "denied" };
        self.hedges.get_or_create(&Hedge { result }).inc();
    }

    /// What has passed through since the start.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let whole = |gauge: &Gauge| u64::try_from(gauge.get()).unwrap_or(0);
        Traffic {
            ok: self.totals.ok.load(Relaxed),
            failed: self.totals.failed.load(Relaxed),
            refused: self.totals.refused.load(Relaxed),
            up: self.up.get(),
            down: self.down.get(),
            tunnels: whole(&self.tunnels),
            connections: whole(&self.connections),
        }
    }

    /// The last requests that were not served, the newest in front.
    #[must_use]
    pub fn recent_errors(&self) -> Vec<RecentError> {
        self.totals.recent_errors.lock().iter().rev().cloned().collect()
    }

    pub(crate) fn recent_error(&self, recent_error: RecentError) {
        let mut recent_errors = self.totals.recent_errors.lock();
        if recent_errors.len() >= MAX_RECENT_ERRORS {
            recent_errors.pop_front();
        }
        recent_errors.push_back(recent_error);
    }

    /// Bytes have moved just now.
    pub(crate) fn moved(&self, up: u64, down: u64) {
        // Mostly it is one of them, and every core counts in the same place.
        if up > 0 {
            self.up.inc_by(up);
        }
        if down > 0 {
            self.down.inc_by(down);
        }
    }

    /// A datagram moved, `up` or `down`.
    pub(crate) fn datagram(&self, direction: &'static str) {
        self.datagrams.get_or_create(&Direction { direction }).inc();
    }

    /// A datagram was dropped.
    pub(crate) fn dropped(&self, reason: &'static str) {
        self.dropped.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn rejected(&self, code: &'static str) {
        self.rejected.get_or_create(&Code { code }).inc();
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
