//! How the following goes: for the members, the log and the metrics.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use hezar_core::Timestamp;
use hezar_engine::Clock;
use parking_lot::Mutex;
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use tokio::time::Instant;

/// Bounds in seconds of the time from a measurement to its arrival.
const LAG_BUCKETS: [f64; 11] = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 60.0];
/// What took longer was not on its way all that time: this process was not there, or the measurement was written late.
const LONGEST_LAG: Duration = Duration::from_secs(300);

/// How the following goes. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct FollowStatus {
    state: Arc<Mutex<State>>,
    metrics: FollowMetrics,
}

#[derive(Debug)]
struct State {
    /// When the last complete reading began.
    read: Instant,
    /// Since when no reading has succeeded.
    failing: Option<Instant>,
}

#[derive(Clone, Debug)]
struct FollowMetrics {
    age: Gauge<f64, AtomicU64>,
    copy_age: Gauge<f64, AtomicU64>,
    lag: Histogram,
    rows: Counter,
    loads: Counter,
    failures: Counter,
}

impl FollowStatus {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = FollowMetrics {
            age: Gauge::default(),
            copy_age: Gauge::default(),
            lag: Histogram::new(LAG_BUCKETS),
            rows: Counter::default(),
            loads: Counter::default(),
            failures: Counter::default(),
        };
        let FollowMetrics { age, copy_age, lag, rows, loads, failures } = metrics.clone();
        registry.register(
            "hezar_cluster_changes_age_seconds",
            "Age of what is known of the changes of other instances",
            age,
        );
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
        let help = "Age of the local copy that this instance serves from; 0 when it serves from the shared store";
        registry.register("hezar_cluster_copy_age_seconds", help, copy_age);
        let state = State { read: Instant::now(), failing: None };
        Self { state: Arc::new(Mutex::new(state)), metrics }
    }

    /// A reading that began at `began` is complete, and `rows` have changed; says for how long none had succeeded before.
    pub(super) fn note_read(&self, began: Instant, rows: usize) -> Option<Duration> {
        self.metrics.rows.inc_by(rows as u64);
        let mut state = self.state.lock();
        state.read = began;
        state.failing.take().map(|since| since.elapsed())
    }

    /// A reading has failed; says whether it is the first after one that succeeded.
    pub(super) fn note_failure(&self) -> bool {
        self.metrics.failures.inc();
        let mut state = self.state.lock();
        let first = state.failing.is_none();
        state.failing.get_or_insert_with(Instant::now);
        first
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

    /// Notes the age of the local copy that this process serves from, if it does.
    pub(super) fn note_copy(&self, age: Option<Duration>) {
        self.metrics.copy_age.set(age.unwrap_or_default().as_secs_f64());
    }

    /// How old what is known of the changes of others is.
    pub(crate) fn age(&self) -> Duration {
        let age = self.state.lock().read.elapsed();
        self.metrics.age.set(age.as_secs_f64());
        age
    }
}
