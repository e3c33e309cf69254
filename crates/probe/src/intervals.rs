//! The pauses between the probes of a node.

use std::time::Duration;

use hezar_core::{ServerKey, Timestamp};
use hezar_pool::State;

/// What the schedule needs to know about a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeHealth {
    /// Its server; `None` = the cap per host does not apply.
    pub server: Option<ServerKey>,
    /// Its health.
    pub state: State,
    /// Failures in a row.
    pub failures: u32,
    /// Whether it has ever worked.
    pub ever_worked: bool,
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

/// Probes of a node that died lately, before its pauses grow.
const LATELY_DEAD: u32 = 8;

impl Intervals {
    /// The longest of all pauses.
    pub(crate) fn longest(&self) -> Duration {
        self.dead_most.max(self.interval).max(self.suspect).mul_f32(1.0 + self.jitter.clamp(0.0, 0.9))
    }

    /// The pause after a probe, with jitter. A node that died lately may be back soon: it is looked at twice an interval for a
    /// while before its pauses grow, unless it always dies soon after it has come back (`flaps`).
    pub(crate) fn pause(&self, health: &NodeHealth, flaps: bool, misses: u32, random: u64) -> Duration {
        let doubled = |base: Duration, times: u32| base.saturating_mul(1 << times.min(20));
        let pause = match health.state {
            _ if misses > 0 => doubled(self.suspect, misses - 1).min(self.interval),
            State::Healthy => self.interval,
            State::Suspect => self.suspect.min(self.interval),
            State::New => doubled(self.suspect, health.failures.saturating_sub(1)).min(self.interval),
            State::Dead => {
                let beyond = health.failures.saturating_sub(self.dead_after);
                let lately = if health.ever_worked && !flaps { LATELY_DEAD } else { 0 };
                match beyond.checked_sub(lately) {
                    Some(later) => doubled(self.interval, later).min(self.dead_most.max(self.interval)),
                    None => self.interval / 2,
                }
            }
        };
        self.vary(pause, random)
    }

    /// A pause with jitter.
    pub(crate) fn vary(&self, pause: Duration, random: u64) -> Duration {
        let jitter = self.jitter.clamp(0.0, 0.9);
        pause.mul_f32(1.0 + jitter * (2.0 * fraction(random) - 1.0))
    }
}

/// A number from 0 to 1.
pub(crate) fn fraction(random: u64) -> f32 {
    (random >> 40) as f32 / (1_u32 << 24) as f32
}
