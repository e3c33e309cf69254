//! What the prober counts.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{ControlResult, GuardState, Outage, ProbeLog};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskLabels {
    task: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JudgeLabels {
    anonymity: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProbeLabels {
    result: &'static str,
    code: &'static str,
}

/// The prober's counters, and the last probes of each node; clones share them.
#[derive(Clone, Debug)]
pub struct ProbeMetrics {
    probes: Family<ProbeLabels, Counter>,
    seconds: Histogram,
    pub(crate) running: Gauge,
    pub(crate) scheduled: Gauge,
    guard: Gauge,
    /// What the last control check found: 0 all is well, 1 the uplink is down, 2 the probe URL is.
    last_control: Gauge,
    controls: Family<ProbeLabels, Counter>,
    canaries: Family<ProbeLabels, Counter>,
    judged: Family<JudgeLabels, Counter>,
    panics: Family<TaskLabels, Counter>,
    log: ProbeLog,
}

impl Default for ProbeMetrics {
    fn default() -> Self {
        let buckets = [0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0];
        Self {
            probes: Family::default(),
            seconds: Histogram::new(buckets),
            running: Gauge::default(),
            scheduled: Gauge::default(),
            guard: Gauge::default(),
            last_control: Gauge::default(),
            controls: Family::default(),
            canaries: Family::default(),
            judged: Family::default(),
            panics: Family::default(),
            log: ProbeLog::default(),
        }
    }
}

impl ProbeMetrics {
    /// The nodes in the schedule.
    pub(crate) fn scheduled_nodes(&self) -> usize {
        usize::try_from(self.scheduled.get()).unwrap_or(0)
    }

    /// Registers everything; the registry's prefix comes in front of the names.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("hezar_probe", "Probes by result and code", self.probes.clone());
        registry.register("hezar_probe_seconds", "Duration of probes that succeeded", self.seconds.clone());
        registry.register("hezar_probe_running", "Probes running now", self.running.clone());
        registry.register("hezar_probe_scheduled", "Nodes in the schedule", self.scheduled.clone());
        let help = "Outage guard: 0 failures count, 1 failures are held back, 2 outage of our own";
        registry.register("hezar_probe_guard", help, self.guard.clone());
        registry.register("hezar_probe_canary", "Canaries by what came back", self.canaries.clone());
        let help = "HTTP proxies asked for the judge's page, by what they give away";
        registry.register("hezar_probe_judge", help, self.judged.clone());
        let help = "Tasks of the prober that panicked, by name; the node is probed again";
        registry.register("hezar_probe_panics", help, self.panics.clone());
        registry.register("hezar_probe_control", "Control checks by result", self.controls.clone());
    }

    /// The last probes of each node.
    #[must_use]
    pub const fn log(&self) -> &ProbeLog {
        &self.log
    }

    pub(crate) fn ended(&self, result: &'static str, code: &'static str) {
        self.probes.get_or_create(&ProbeLabels { result, code }).inc();
    }

    pub(crate) fn took(&self, time: Duration) {
        self.seconds.observe(time.as_secs_f64());
    }

    pub(crate) fn control(&self, result: &'static str) {
        self.controls.get_or_create(&ProbeLabels { result, code: "" }).inc();
    }

    pub(crate) fn canary(&self, result: &'static str) {
        self.canaries.get_or_create(&ProbeLabels { result, code: "" }).inc();
    }

    pub(crate) fn judged(&self, anonymity: &'static str) {
        self.judged.get_or_create(&JudgeLabels { anonymity }).inc();
    }

    pub(crate) fn panicked(&self, task: &'static str) {
        self.panics.get_or_create(&TaskLabels { task }).inc();
    }

    #[cfg(test)]
    pub(crate) fn panics(&self, task: &'static str) -> u64 {
        self.panics.get_or_create(&TaskLabels { task }).get()
    }

    pub(crate) fn found(&self, found: ControlResult) {
        self.last_control.set(match found {
            ControlResult::Up => 0,
            ControlResult::UplinkDown => 1,
            ControlResult::UrlDown => 2,
        });
    }

    /// What is down on our side, as far as the guard knows.
    pub(crate) fn outage(&self) -> Option<Outage> {
        match (self.guard.get(), self.last_control.get()) {
            (2, 1) => Some(Outage::Uplink),
            (2, 2) => Some(Outage::ProbeUrl),
            _ => None,
        }
    }

    pub(crate) fn guard(&self, state: GuardState) {
        self.guard.set(match state {
            GuardState::Open => 0,
            GuardState::Holding => 1,
            GuardState::Outage => 2,
        });
    }
}
