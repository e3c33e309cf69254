//! The pauses between the probes of a node.

use std::time::Duration;

use hezar_core::Timestamp;
use hezar_pool::State;

/// What the schedule needs to know about a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeHealth {
    /// The hash of its server; `None` = the cap per host does not apply.
    pub server: Option<u64>,
    /// Its health.
    pub state: State,
    /// Failures in a row.
    pub failures: u32,
    /// When it was last judged.
    pub last_checked: Option<Timestamp>,
}

/// How fast nodes are probed.
#[derive(Clone, Debug)]
pub struct Intervals {
    /// Between probes of a healthy node; also the first pause of a new node that failed.
    pub interval: Duration,
    /// After a failure of a node that is not dead, and after a probe that proved nothing.
    pub suspect: Duration,
    /// The longest pause of a dead node.
    pub dead_most: Duration,
    /// The share by which a pause varies, 0 to 0.9.
    pub jitter: f32,
    /// Probes at a time to one server.
    pub per_host: usize,
    /// Probes started per second at one server; 0 = no limit.
    pub per_host_per_second: u32,
    /// Failures in a row that made a node dead.
    pub dead_after: u32,
}

impl Intervals {
    /// The longest of all pauses.
    pub(crate) fn longest(&self) -> Duration {
        self.dead_most.max(self.interval).max(self.suspect).mul_f32(1.0 + self.jitter.clamp(0.0, 0.9))
    }

    /// The pause after a probe, with jitter.
    pub(crate) fn pause(&self, health: &NodeHealth, misses: u32, random: u64) -> Duration {
        let doubled = |base: Duration, times: u32| base.saturating_mul(1 << times.min(20));
        let pause = match health.state {
            _ if misses > 0 => doubled(self.suspect, misses - 1).min(self.interval),
            State::Healthy => self.interval,
            State::Suspect => self.suspect.min(self.interval),
            State::New => doubled(self.suspect, health.failures.saturating_sub(1)).min(self.interval),
            State::Dead => {
                let beyond = health.failures.saturating_sub(self.dead_after);
                doubled(self.interval, beyond).min(self.dead_most.max(self.interval))
            }
        };
        let jitter = self.jitter.clamp(0.0, 0.9);
        pause.mul_f32(1.0 + jitter * (2.0 * fraction(random) - 1.0))
    }
}

/// A number from 0 to 1.
pub(crate) fn fraction(random: u64) -> f32 {
    (random >> 40) as f32 / (1_u32 << 24) as f32
}
