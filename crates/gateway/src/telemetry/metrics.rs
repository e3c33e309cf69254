//! The counters of all listeners, as `/metrics` and the status show them.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use hezar_core::LatencyBuckets;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::{
    labels::{
        AttemptLabels, DirectionLabels, DropLabels, FailoverLabels, HedgeLabels, ListenerLabels, RejectLabels,
        RequestLabels, UserLabels, UserRequestLabels,
    },
    listener_metrics::ListenerMetrics,
    totals::{RecentError, Totals, Traffic, Volumes},
};
use crate::connections::ByteCounters;

/// The counters of all listeners; clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) requests: Family<RequestLabels, Counter>,
    pub(super) attempts: Family<AttemptLabels, Counter>,
    seconds: Family<ListenerLabels, Histogram, fn() -> Histogram>,
    bytes: Family<DirectionLabels, Counter>,
    pub(super) user_bytes: Family<UserLabels, Counter>,
    pub(super) user_requests: Family<UserRequestLabels, Counter>,
    pub(super) failovers: Family<FailoverLabels, Counter>,
    pub(super) rejected: Family<RejectLabels, Counter>,
    pub(super) hedges: Family<HedgeLabels, Counter>,
    pub(super) datagrams: Family<DirectionLabels, Counter>,
    pub(super) dropped: Family<DropLabels, Counter>,
    tunnels: Family<ListenerLabels, Gauge>,
    associations: Family<ListenerLabels, Gauge>,
    connections: Family<ListenerLabels, Gauge>,
    pub(super) totals: Arc<Totals>,
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
            user_requests: Family::default(),
            failovers: Family::default(),
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
            "hezar_user_requests",
            "Requests of each configured user by outcome",
            self.user_requests.clone(),
        );
        registry.register(
            "hezar_failovers",
            "Requests for which more than one node was tried, by outcome",
            self.failovers.clone(),
        );
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

    /// Counts what another program has served in the place of a listener: `up` and `down` further bytes, and so many connections that are
    /// open now. Each of those is a tunnel here.
    pub fn note_served_elsewhere(&self, listener: &str, (up, down): (u64, u64), connections: u64) {
        let known = self.totals.listeners.lock().get(listener).cloned();
        let volumes = known.unwrap_or_else(|| self.volumes(&listener.into()));
        volumes.bytes.add(up, down);
        let connections = i64::try_from(connections).unwrap_or(i64::MAX);
        volumes.tunnels.set(connections);
        volumes.connections.set(connections);
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

    /// The volumes of one listener, which count in [`Metrics::traffic`].
    fn volumes(&self, listener: &Arc<str>) -> Volumes {
        let label = ListenerLabels { listener: listener.clone() };
        let bytes =
            |direction| self.bytes.get_or_create(&DirectionLabels { direction, listener: listener.clone() }).clone();
        let volumes = Volumes {
            bytes: ByteCounters { up: bytes("up"), down: bytes("down") },
            tunnels: self.tunnels.get_or_create(&label).clone(),
            connections: self.connections.get_or_create(&label).clone(),
        };
        self.totals.listeners.lock().insert(listener.clone(), volumes.clone());
        volumes
    }

    /// The counters of one listener.
    pub(crate) fn for_listener(&self, name: &str) -> ListenerMetrics {
        let listener: Arc<str> = name.into();
        let label = ListenerLabels { listener: listener.clone() };
        let volumes = self.volumes(&listener);
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
