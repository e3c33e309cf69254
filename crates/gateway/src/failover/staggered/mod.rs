//! Attempts that start one after the other, each a while after the one before it has fallen silent, and run side by side.
//!
//! Both stages of failover use it: nodes that are dialled, and connected nodes that are asked for an answer. It says when
//! an attempt ends and when one has been silent for too long; whoever owns it decides whether another one starts.
//!
//! ```text
//!   start ──► Fresh ──slow──► Slow ──stalled──► Stalled       finished: from any of them
//! ```
//!
//! Where a hedge gains nothing both delays are the same, and an attempt is never only slow.

use std::{future::Future, pin::Pin};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use hezar_core::NodeId;
use tokio::time::{Instant, sleep_until};

use super::latency::HedgeDelays;

#[cfg(test)]
mod tests;

/// What an attempt has become by its silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stall {
    /// Slower than nearly all: a hedge may start.
    Slow,
    /// As good as failed: the next node is tried.
    Stalled(NodeId),
}

/// What happens next.
#[derive(Debug)]
pub(crate) enum Event<T> {
    /// An attempt has ended, with this result.
    Finished(T),
    /// An attempt is silent.
    Silent(Stall),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Fresh,
    Slow,
    Stalled,
}

#[derive(Debug)]
struct Watched {
    number: u64,
    node: NodeId,
    started: Instant,
    delays: HedgeDelays,
    phase: Phase,
}

impl Watched {
    /// When its silence means something next.
    fn due(&self) -> Option<Instant> {
        match self.phase {
            Phase::Fresh => Some(self.started + self.delays.slow),
            Phase::Slow => Some(self.started + self.delays.stalled),
            Phase::Stalled => None,
        }
    }
}

type Attempt<T> = Pin<Box<dyn Future<Output = (u64, T)> + Send>>;

/// The attempts of one stage that are under way.
#[derive(Debug)]
pub(crate) struct Staggered<T> {
    attempts: FuturesUnordered<Attempt<T>>,
    watched: Vec<Watched>,
    started: u64,
}

impl<T: Send + 'static> Staggered<T> {
    pub(crate) fn new() -> Self {
        Self { attempts: FuturesUnordered::new(), watched: Vec::new(), started: 0 }
    }

    /// Starts an attempt over a node; its silence counts from now.
    pub(crate) fn start(
        &mut self,
        node: NodeId,
        delays: HedgeDelays,
        attempt: impl Future<Output = T> + Send + 'static,
    ) {
        let number = self.started;
        self.started += 1;
        self.watched.push(Watched { number, node, started: Instant::now(), delays, phase: Phase::Fresh });
        self.attempts.push(Box::pin(attempt.map(move |result| (number, result))));
    }

    /// Whether no attempt is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.watched.is_empty()
    }

    /// Whether any attempt is not slow yet: then there is no reason for another one.
    pub(crate) fn has_fresh_attempt(&self) -> bool {
        self.watched.iter().any(|watched| watched.phase == Phase::Fresh)
    }

    /// Waits for what happens next; for ever when nothing can. Silence is only told with `watch_silence`. May be dropped
    /// and called again: attempts go on, and nothing is lost.
    pub(crate) async fn next_event(&mut self, watch_silence: bool) -> Event<T> {
        loop {
            let due = self.watched.iter().filter_map(Watched::due).min().filter(|_| watch_silence);
            tokio::select! {
                biased;
                Some((number, result)) = self.attempts.next() => {
                    self.watched.retain(|watched| watched.number != number);
                    return Event::Finished(result);
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if let Some(stall) = self.take_due(Instant::now()) {
                        return Event::Silent(stall);
                    }
                }
                // Neither an attempt nor a time to wait for.
                else => std::future::pending().await,
            }
        }
    }

    /// The silence that has been due for longest, told once.
    fn take_due(&mut self, now: Instant) -> Option<Stall> {
        let due = self.watched.iter_mut().filter(|watched| watched.due().is_some_and(|due| due <= now));
        let first = due.min_by_key(|watched| watched.due())?;
        let (phase, stall) = match first.phase {
            Phase::Fresh if first.delays.slow < first.delays.stalled => (Phase::Slow, Stall::Slow),
            _ => (Phase::Stalled, Stall::Stalled(first.node)),
        };
        first.phase = phase;
        Some(stall)
    }
}
