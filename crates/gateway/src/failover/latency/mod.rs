//! How long the silence of a node may last until another one is tried: measured by the answers that this gateway gets.
//!
//! Three waits are measured apart, because they differ by their nature: a node's handshake ([`Wait::Dial`]), the answer
//! to a TLS ClientHello ([`Wait::Hello`]: one round trip, whatever the site), and the head of an HTTP answer
//! ([`Wait::Head`]: the site may think). Nodes are 5 to 800 ms away, so a wait is measured as a multiple of what is
//! expected of its node, and the limits are that expectation times a percentile of the multiples:
//!
//! | what is known of the node | expected | slow | stalled |
//! |---|---|---|---|
//! | how long it took for this wait | the smoothed time | p95 | p99 and a quarter (a head: a half), plus [`MARGIN`] |
//! | how long a probe of it takes | the probe | p95 | the same |
//! | nothing | one millisecond | p95 | p95 + 4 × median |
//!
//! A slow node may be hedged, a stalled one counts as failed. Where another node would take longer than what is left until a
//! node counts as stalled, a hedge gains nothing, and the node is never slow. Multiples are counted in a window that halves its
//! memory every [`HALF_LIFE`]. Until enough has been measured the limits are 3 and 12 times the probe, at most
//! [`SLOW_AT_FIRST`] and [`STALLED_AT_FIRST`].

use std::time::Duration;

use hezar_core::NodeId;
use parking_lot::Mutex;
use tokio::time::Instant;

mod histogram;
mod node_times;
#[cfg(test)]
mod tests;

use histogram::DecayingHistogram;
use node_times::NodeTimes;

/// After this time a measurement counts half.
const HALF_LIFE: Duration = Duration::from_secs(20);
/// Below this nothing is slow: a busy machine takes as long to run a task.
const SLOW_FLOOR: Duration = Duration::from_millis(40);
/// What is added to the time after which a node counts as stalled, for the same reason.
const MARGIN: Duration = Duration::from_millis(60);
/// The limits until enough has been measured, and the least of the second one.
const SLOW_AT_FIRST: Duration = Duration::from_millis(750);
const STALLED_AT_FIRST: Duration = Duration::from_secs(2);
const STALLED_FLOOR_AT_FIRST: Duration = Duration::from_millis(250);
/// What a duration is a multiple of when nothing is known of its node.
const UNIT: Duration = Duration::from_millis(1);

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// A node's handshakes, the request for the target included.
    Dial,
    /// The answer to a TLS ClientHello.
    Hello,
    /// The head of an HTTP answer, or the first byte of another one.
    Head,
}

/// How long one wait may last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HedgeDelays {
    /// Longer than nearly all: another node may start beside this one. Not before `stalled` when that gains nothing.
    pub slow: Duration,
    /// As good as failed: another node starts now.
    pub stalled: Duration,
}

/// What is known of a node before it is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// Which one.
    pub node: NodeId,
    /// How long its probes take, if it has been probed.
    pub probe: Option<Duration>,
}

/// What a wait is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basis {
    /// The node's own time for this wait.
    Node,
    /// The node's probe.
    Probe,
    /// Nothing.
    Unit,
}

/// The multiples of one wait, for each basis.
#[derive(Debug)]
struct Multiples {
    node: DecayingHistogram,
    probe: DecayingHistogram,
    unit: DecayingHistogram,
}

impl Multiples {
    fn new(now: Instant) -> Self {
        let new = || DecayingHistogram::new(now);
        Self { node: new(), probe: new(), unit: new() }
    }

    fn histogram(&mut self, basis: Basis) -> &mut DecayingHistogram {
        match basis {
            Basis::Node => &mut self.node,
            Basis::Probe => &mut self.probe,
            Basis::Unit => &mut self.unit,
        }
    }
}

/// The measurements of one gateway.
#[derive(Debug)]
pub(crate) struct LatencyEstimator {
    waits: [Mutex<Multiples>; 3],
    nodes: NodeTimes,
}

impl LatencyEstimator {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { waits: std::array::from_fn(|_| Mutex::new(Multiples::new(now))), nodes: NodeTimes::new() }
    }

    /// Takes in a wait that ended well.
    pub(crate) fn record(&self, wait: Wait, of: Expected, took: Duration) {
        let (bases, now) = (self.bases(wait, of), Instant::now());
        self.nodes.record(of.node, wait, took);
        let mut multiples = self.multiples(wait).lock();
        for (basis, expected) in bases.into_iter().flatten() {
            multiples.histogram(basis).add(took.as_secs_f64() / expected.as_secs_f64(), now);
        }
    }

    /// How long to wait for a node after `silent` nodes that said nothing to the same request; never longer than `ceiling`,
    /// the longest that one attempt may take.
    pub(crate) fn delays(&self, wait: Wait, of: Expected, silent: u32, ceiling: Duration) -> HedgeDelays {
        let limits = self.bases(wait, of).into_iter().flatten().find_map(|basis| self.limits(wait, basis, of.probe));
        let (slow, stalled) = limits.unwrap_or_else(|| limits_at_first(of.probe));
        let slow = slow.max(SLOW_FLOOR).min(ceiling / 2);
        // A slow target must not draw in one node after the other at the same pace.
        let stalled = (stalled + stalled * silent.min(32) / 2).min(ceiling).max(slow);
        let gains = self.time_of_another(wait).is_none_or(|another| stalled - slow > another);
        HedgeDelays { slow: if gains { slow } else { stalled }, stalled }
    }

    /// When a node is slow and when it counts as stalled; `None` until enough has been measured.
    fn limits(
        &self,
        wait: Wait,
        (basis, expected): (Basis, Duration),
        probe: Option<Duration>,
    ) -> Option<(Duration, Duration)> {
        let mut multiples = self.multiples(wait).lock();
        let mut percentile = |share| multiples.histogram(basis).percentile(share, Instant::now());
        let (median, p95, p99) = (percentile(0.5)?, percentile(0.95)?, percentile(0.99)?);
        drop(multiples);
        if basis == Basis::Unit {
            // Where a few nodes are slow the percentiles are theirs; the median keeps the limit from growing with them.
            let (slow, stalled) = (times(UNIT, p95), times(UNIT, p95 + 4.0 * median) + MARGIN);
            let probe = probe.unwrap_or_default();
            return Some((slow.max(probe * 2), stalled.max(probe * 3)));
        }
        // A site may think for longer than the one before it.
        let room = if wait == Wait::Head { 1.5 } else { 1.25 };
        Some((times(expected, p95), times(expected, p99 * room) + MARGIN))
    }

    /// How long another node takes from its start to where this one is waited for.
    fn time_of_another(&self, wait: Wait) -> Option<Duration> {
        let median = |wait| self.multiples(wait).lock().unit.percentile(0.5, Instant::now());
        let answer = if wait == Wait::Dial { 0.0 } else { median(wait)? };
        Some(times(UNIT, median(Wait::Dial)? + answer))
    }

    /// What the node can be compared with, the best first.
    fn bases(&self, wait: Wait, of: Expected) -> [Option<(Basis, Duration)>; 3] {
        let own = self.nodes.smoothed(of.node, wait).map(|time| (Basis::Node, time.max(UNIT)));
        let probe = of.probe.map(|probe| (Basis::Probe, probe.max(UNIT)));
        [own, probe, Some((Basis::Unit, UNIT))]
    }

    fn multiples(&self, wait: Wait) -> &Mutex<Multiples> {
        let [dial, hello, head] = &self.waits;
        match wait {
            Wait::Dial => dial,
            Wait::Hello => hello,
            Wait::Head => head,
        }
    }
}

/// The limits until enough has been measured.
fn limits_at_first(probe: Option<Duration>) -> (Duration, Duration) {
    probe.map_or((SLOW_AT_FIRST, STALLED_AT_FIRST), |probe| {
        let (slow, stalled) = ((probe * 3).min(SLOW_AT_FIRST), (probe * 12).min(STALLED_AT_FIRST));
        (slow.max(probe * 2), stalled.max(probe * 3).max(STALLED_FLOOR_AT_FIRST))
    })
}

/// Percentiles are bounded by the histogram's last bucket, so that this never overflows.
fn times(expected: Duration, multiple: f64) -> Duration {
    Duration::try_from_secs_f64(expected.as_secs_f64() * multiple).unwrap_or(Duration::MAX / 64)
}
