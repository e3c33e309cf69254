//! The counters of one listener, and the gauges that rise while something is open.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use hezar_core::LatencyBuckets;
use prometheus_client::metrics::{gauge::Gauge, histogram::Histogram};

use super::{
    labels::{
        AttemptLabels, DirectionLabels, DropLabels, FailoverLabels, HedgeLabels, RejectLabels, RequestLabels,
        UserLabels, UserRequestLabels,
    },
    metrics::Metrics,
    totals::RecentError,
};
use crate::connections::ByteCounters;

/// The counters of one listener; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct ListenerMetrics {
    pub(super) all: Metrics,
    pub(super) listener: Arc<str>,
    pub(super) seconds: Histogram,
    pub(super) bytes: ByteCounters,
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
            let counter = |direction| {
                let labels = UserLabels { user: user.into(), direction, listener: self.listener.clone() };
                self.all.user_bytes.get_or_create(&labels).clone()
            };
            ByteCounters { up: counter("up"), down: counter("down") }
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

    /// A request of a configured user has ended.
    pub(crate) fn user_request(&self, user: &str, outcome: &'static str) {
        let labels = UserRequestLabels { user: user.into(), outcome, listener: self.listener.clone() };
        self.all.user_requests.get_or_create(&labels).inc();
    }

    /// A request for which more than one node was tried has ended.
    pub(crate) fn failover(&self, outcome: &'static str) {
        self.all.failovers.get_or_create(&FailoverLabels { outcome, listener: self.listener.clone() }).inc();
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
        self.all.hedges.get_or_create(&HedgeLabels { result, listener: self.listener.clone() }).inc();
    }

    pub(crate) fn recent_error(&self, error: RecentError) {
        self.all.totals.add_recent_error(error);
    }

    /// A datagram moved, `up` or `down`.
    pub(crate) fn datagram(&self, direction: &'static str) {
        self.all.datagrams.get_or_create(&DirectionLabels { direction, listener: self.listener.clone() }).inc();
    }

    /// A datagram was dropped.
    pub(crate) fn dropped(&self, reason: &'static str) {
        self.all.dropped.get_or_create(&DropLabels { reason, listener: self.listener.clone() }).inc();
    }

    pub(crate) fn rejected(&self, code: &'static str) {
        self.all.rejected.get_or_create(&RejectLabels { code, listener: self.listener.clone() }).inc();
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

#[cfg(test)]
mod tests {
    use hezar_core::Timestamp;

    use super::*;
    use crate::Traffic;

    #[test]
    fn what_listeners_count_adds_up() {
        let metrics = Metrics::default();
        let [one, two] = ["one", "two"].map(|name| metrics.for_listener(name));
        one.request("http", "ok", "ok");
        one.request("http", "failed", "all-attempts-failed");
        two.request("socks5", "refused", "auth-wrong");
        two.request("socks5", "refused", "auth-wrong");
        let [listener, user] = one.byte_counters(Some("alice"));
        listener.up.inc_by(3);
        user.up.inc_by(3);
        two.byte_counters(None)[0].down.inc_by(5);
        let tunnels = [GaugeGuard::new(&one.tunnels), GaugeGuard::new(&two.tunnels)];
        let connection = GaugeGuard::new(&two.connections);
        let expected = Traffic { ok: 1, failed: 1, refused: 2, up: 3, down: 5, tunnels: 2, connections: 1 };
        assert_eq!(metrics.traffic(), expected);
        drop((tunnels, connection));
        assert_eq!(metrics.traffic(), Traffic { tunnels: 0, connections: 0, ..expected });
        let codes = metrics.requests_by_code().into_iter().collect::<Vec<_>>();
        assert_eq!(codes, [("all-attempts-failed", 1), ("auth-wrong", 2), ("ok", 1)]);
    }

    #[test]
    fn what_another_program_serves_counts_as_well() {
        let metrics = Metrics::default();
        metrics.note_served_elsewhere("one", (3, 5), 2);
        metrics.note_served_elsewhere("one", (1, 0), 1);
        assert_eq!(metrics.traffic(), Traffic { up: 4, down: 5, tunnels: 1, connections: 1, ..Traffic::default() });
    }

    #[test]
    fn a_listener_that_is_opened_again_goes_on_counting() {
        let metrics = Metrics::default();
        metrics.for_listener("one").byte_counters(None)[0].up.inc_by(1);
        metrics.for_listener("one").byte_counters(None)[0].up.inc_by(1);
        assert_eq!(metrics.traffic().up, 2);
    }

    #[test]
    fn the_last_errors_are_kept_the_newest_in_front() {
        let metrics = Metrics::default();
        let listener = metrics.for_listener("one");
        for at in 0..80 {
            let (inbound, user, code) = ("http", "".into(), "deadline");
            listener.recent_error(RecentError { at: Timestamp(at), inbound, user, target: None, node: None, code });
        }
        let times: Vec<_> = metrics.recent_errors().iter().map(|error| error.at.0).collect();
        assert_eq!(times, (30..80).rev().collect::<Vec<_>>());
    }

    #[test]
    fn latencies_fall_into_their_buckets() {
        let metrics = Metrics::default();
        let listener = metrics.for_listener("one");
        for ms in [10, 10, 500] {
            listener.first_success(Duration::from_millis(ms));
        }
        assert_eq!(metrics.latency().total(), 3);
    }
}
