//! What the gateway counts.

use std::time::Duration;

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

/// The gateway's counters; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Family<RequestLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    seconds: Histogram,
    bytes: Family<Direction, Counter>,
    rejected: Family<Code, Counter>,
    hedges: Family<Hedge, Counter>,
    datagrams: Family<Direction, Counter>,
    dropped: Family<Reason, Counter>,
    pub(crate) tunnels: Gauge,
    pub(crate) associations: Gauge,
    pub(crate) connections: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0];
        Self {
            requests: Family::default(),
            attempts: Family::default(),
            seconds: Histogram::new(buckets),
            bytes: Family::default(),
            rejected: Family::default(),
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

    pub(crate) fn moved(&self, up: u64, down: u64) {
        self.bytes.get_or_create(&Direction { direction: "up" }).inc_by(up);
        self.bytes.get_or_create(&Direction { direction: "down" }).inc_by(down);
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
pub(crate) struct Raised(Gauge);

impl Raised {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        self.0.dec();
    }
}
