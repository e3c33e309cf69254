//! How the following goes: for the members, the log and the metrics.

use std::time::Duration;

use hezar_core::Timestamp;
use hezar_engine::Clock;
use parking_lot::Mutex;
use prometheus_client::{
    metrics::{counter::Counter, histogram::Histogram},
    registry::Registry,
};
use tokio::time::Instant;

/// Bounds in seconds of the time from a measurement to its arrival.
const LAG_BUCKETS: [f64; 11] = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 60.0];
/// What took longer was not on its way all that time: this process was not there, or the measurement was written late.
const LONGEST_LAG: Duration = Duration::from_secs(300);

/// How the following goes.
#[derive(Debug)]
pub(super) struct FollowStatus {
    /// Since when no reading has succeeded.
    failing: Mutex<Option<Instant>>,
    metrics: FollowMetrics,
}

#[derive(Clone, Debug)]
struct FollowMetrics {
    lag: Histogram,
    rows: Counter,
    loads: Counter,
    failures: Counter,
}

impl FollowStatus {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = FollowMetrics {
            lag: Histogram::new(LAG_BUCKETS),
            rows: Counter::default(),
            loads: Counter::default(),
            failures: Counter::default(),
        };
        let FollowMetrics { lag, rows, loads, failures } = metrics.clone();
        registry.register(
            "hezar_cluster_change_lag_seconds",
            "Time from a measurement of another instance to its arrival",
            lag,
        );
        registry.register("hezar_cluster_changes", "Rows taken over from other instances", rows);
        registry.register("hezar_cluster_loads", "Times that everything was read anew from the shared store", loads);
        registry.register(
            "hezar_cluster_read_failures",
            "Readings of the shared store's changes that failed",
            failures,
        );
        Self { failing: Mutex::default(), metrics }
    }

    /// A reading is complete, and `rows` have changed; says for how long none had succeeded before.
    pub(super) fn note_read(&self, rows: usize) -> Option<Duration> {
        self.metrics.rows.inc_by(rows as u64);
        self.failing.lock().take().map(|since| since.elapsed())
    }

    /// A reading has failed; says whether it is the first after one that succeeded.
    pub(super) fn note_failure(&self) -> bool {
        self.metrics.failures.inc();
        let mut failing = self.failing.lock();
        let is_first = failing.is_none();
        failing.get_or_insert_with(Instant::now);
        is_first
    }

    pub(super) fn note_load(&self) {
        self.metrics.loads.inc();
    }

    /// A record of another instance has arrived whose evidence is of this time.
    pub(super) fn note_arrival(&self, checked: Timestamp, clock: Clock) {
        let lag = clock.now().since(checked);
        if lag < LONGEST_LAG {
            self.metrics.lag.observe(lag.as_secs_f64());
        }
    }
}
