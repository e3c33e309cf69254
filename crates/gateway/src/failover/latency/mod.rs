//! How long silence may last: measured by the answers that this gateway gets, not one constant.
//!
//! Three waits are measured apart, because they differ by their nature: a node's handshake ([`Wait::Dial`]), the answer
//! to a TLS ClientHello ([`Wait::Hello`]: one round trip, whatever the site), and the head of an HTTP answer
//! ([`Wait::Head`]: the site may think). Of each, the median and the 95th percentile of the successful ones, over a window
//! that halves its memory every [`HALF_LIFE`], give two limits:
//!
//! | limit | is | at least | at most | what follows |
//! |---|---|---|---|---|
//! | slow | p95 | [`SLOW_FLOOR`], twice the node's probe | half the attempt timeout | a hedge, if the budget has one |
//! | stalled | p95 + 4 × median, half as much more for each silent node before | [`STALLED_FLOOR`], three times the probe | the attempt timeout | failover |
//!
//! Where a few nodes are slow the p95 is theirs; the median keeps the second limit from growing with them. Until enough
//! has been measured the limits are 3 and 12 times the node's own probe, at most [`SLOW_AT_FIRST`] and [`STALLED_AT_FIRST`].

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

mod histogram;
#[cfg(test)]
mod tests;

use histogram::DecayingHistogram;

/// After this time a measurement counts half.
const HALF_LIFE: Duration = Duration::from_secs(20);
/// Loopback and a busy machine: below this nothing is slow.
const SLOW_FLOOR: Duration = Duration::from_millis(40);
const STALLED_FLOOR: Duration = Duration::from_millis(250);
/// The limits until enough has been measured.
const SLOW_AT_FIRST: Duration = Duration::from_millis(750);
const STALLED_AT_FIRST: Duration = Duration::from_secs(2);

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
    /// Longer than nearly all: another node may start beside this one.
    pub slow: Duration,
    /// As good as failed: another node starts now.
    pub stalled: Duration,
}

/// The measurements of one gateway.
#[derive(Debug)]
pub(crate) struct LatencyEstimator {
    histograms: [Mutex<DecayingHistogram>; 3],
}

impl LatencyEstimator {
    pub(crate) fn new() -> Self {
        Self { histograms: std::array::from_fn(|_| Mutex::new(DecayingHistogram::new(Instant::now()))) }
    }

    /// A wait that ended well.
    pub(crate) fn record(&self, wait: Wait, took: Duration) {
        self.histogram(wait).lock().add(took, Instant::now());
    }

    /// How long to wait for a node whose probes take `probe`, after `silent` nodes that said nothing to the same request;
    /// never longer than `ceiling`, the longest that one attempt may take.
    pub(crate) fn delays(&self, wait: Wait, probe: Option<Duration>, silent: u32, ceiling: Duration) -> HedgeDelays {
        let mut histogram = self.histogram(wait).lock();
        let mut measured = |share| histogram.percentile(share, Instant::now());
        let (median, p95) = (measured(0.5), measured(0.95));
        drop(histogram);
        let guess = || probe.map_or((SLOW_AT_FIRST, STALLED_AT_FIRST), |probe| (probe * 3, probe * 12));
        let (slow, stalled) = match median.zip(p95) {
            Some((median, p95)) => (p95, p95 + median * 4),
            None => (guess().0.min(SLOW_AT_FIRST), guess().1.min(STALLED_AT_FIRST)),
        };
        let probe = probe.unwrap_or_default();
        let slow = slow.max(SLOW_FLOOR).max(probe * 2).min(ceiling / 2);
        let stalled = stalled.max(STALLED_FLOOR).max(probe * 3);
        // A slow target must not draw in one node after the other at the same pace.
        let stalled = (stalled + stalled * silent.min(32) / 2).min(ceiling).max(slow);
        HedgeDelays { slow, stalled }
    }

    fn histogram(&self, wait: Wait) -> &Mutex<DecayingHistogram> {
        let [dial, hello, head] = &self.histograms;
        match wait {
            Wait::Dial => dial,
            Wait::Hello => hello,
            Wait::Head => head,
        }
    }
}
