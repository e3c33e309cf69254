//! How the prober follows which nodes it owns.

use tokio::sync::watch;

use super::{PoolNode, Runner};
use crate::Ownership;

impl Runner {
    /// The same runner for the nodes that it owns at the time.
    pub(crate) fn sharing(mut self, mut ownership: watch::Receiver<Ownership>) -> Self {
        self.owned = ownership.borrow_and_update().clone();
        Self { ownership, ..self }
    }

    /// Whether a node belongs into the schedule: it is owned, or somebody waits for its probe.
    pub(super) fn is_scheduled(&self, node: &PoolNode) -> bool {
        self.owned.owns_node(node) || self.schedule.contains(node.id())
    }

    /// Takes another ownership over: nodes that were gained go on where their owner before left off, and those that were lost leave the
    /// schedule, after their probe where one runs.
    pub(super) fn follow_ownership(&mut self) {
        if !self.ownership.has_changed().unwrap_or(false) {
            return;
        }
        self.owned = self.ownership.borrow_and_update().clone();
        self.learn_controls();
        let (snapshot, now) = (self.context.pool.snapshot(), self.now());
        for node in snapshot.nodes().filter(|node| node.is_probed()) {
            match (self.owned.owns_node(node), self.schedule.contains(node.id())) {
                (true, false) => self.admit(node, now),
                (false, true) if !self.is_awaited(node) => self.schedule.remove(node.id()),
                _ => {}
            }
        }
        self.context.metrics.scheduled.set(super::as_gauge(self.schedule.len()));
        tracing::debug!(nodes = self.schedule.len(), "the nodes of this prober are other ones now");
    }

    /// Asks the control URLs once, as soon as there may be anything to probe: what answers directly in good times is worth asking in bad
    /// ones.
    pub(super) fn learn_controls(&mut self) {
        let is_idle = self.owned == Ownership::nothing();
        if !is_idle && self.context.controls.possible() && !std::mem::replace(&mut self.knows_controls, true) {
            self.start_control_check();
        }
    }

    /// Whether a node's probe runs, or somebody waits for it.
    fn is_awaited(&self, node: &PoolNode) -> bool {
        self.schedule.is_running(node.id()) || self.wanted.contains_key(&node.id())
    }
}

/// Returns when another ownership is there; never, when there will be none.
pub(super) async fn next_ownership(ownership: &mut watch::Receiver<Ownership>) {
    // The change is marked as seen only by whoever takes it over.
    if ownership.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    ownership.mark_changed();
}
