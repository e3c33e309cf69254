//! Which of the attempts under way have been silent for too long. It knows no clock: the time comes in.
//!
//! ```text
//!   begin ──► Fresh ──late──► Late ──lost──► Lost       end: from any of them
//! ```

use hezar_core::NodeId;
use tokio::time::Instant;

use super::latency::HedgeDelays;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Fresh,
    Slow,
    Stalled,
}

#[derive(Debug)]
struct Watched {
    node: NodeId,
    since: Instant,
    delays: HedgeDelays,
    phase: Phase,
}

/// What an attempt has become by its silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stall {
    /// Later than nearly all: a hedge may start.
    Slow,
    /// As good as failed: the next node is asked.
    Stalled(NodeId),
}

/// The watch over the attempts of one request.
#[derive(Debug, Default)]
pub(crate) struct StallTimer {
    watched: Vec<Watched>,
}

impl Watched {
    fn alarm(&self) -> Option<Instant> {
        match self.phase {
            Phase::Fresh => Some(self.since + self.delays.slow),
            Phase::Slow => Some(self.since + self.delays.stalled),
            Phase::Stalled => None,
        }
    }
}

impl StallTimer {
    /// An attempt begins.
    pub(crate) fn begin(&mut self, node: NodeId, delays: HedgeDelays, now: Instant) {
        self.watched.push(Watched { node, since: now, delays, phase: Phase::Fresh });
    }

    /// It is over, one way or the other.
    pub(crate) fn end(&mut self, node: NodeId) {
        self.watched.retain(|watched| watched.node != node);
    }

    /// Whether any attempt is still within its delays: then there is no reason for another one.
    pub(crate) fn has_fresh_attempt(&self) -> bool {
        self.watched.iter().any(|watched| watched.phase == Phase::Fresh)
    }

    /// When to ring next.
    pub(crate) fn alarm(&self) -> Option<Instant> {
        self.watched.iter().filter_map(Watched::alarm).min()
    }

    /// What is due; to be asked until there is nothing more.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Stall> {
        let due = self.watched.iter_mut().filter(|watched| watched.alarm().is_some_and(|alarm| alarm <= now));
        let first = due.min_by_key(|watched| watched.alarm())?;
        match first.phase {
            Phase::Fresh => {
                first.phase = Phase::Slow;
                Some(Stall::Slow)
            }
            _ => {
                first.phase = Phase::Stalled;
                Some(Stall::Stalled(first.node))
            }
        }
    }
}
