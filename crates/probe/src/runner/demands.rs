//! How the prober serves demands for a probe now.

use hezar_core::{NodeId, Timestamp};
use tokio::sync::mpsc::Receiver;

use super::Runner;
use crate::demand::{Demand, ProbeAnswer, ProbeResult};

impl Runner {
    /// Makes the nodes of a demand due, in front of all others and within the same limits.
    pub(super) fn accept(&mut self, demand: Demand) {
        let now = self.now();
        for id in demand.ids {
            self.wanted.entry(id).or_default().push(demand.answers.clone());
            if !self.schedule.demand(id, now) {
                self.answer_absent(id, now);
            }
        }
    }

    /// A node that is not in the schedule: it is gone, unsupported, or so new that it was not taken in yet.
    fn answer_absent(&mut self, id: NodeId, now: Timestamp) {
        match self.context.pool.node(id) {
            Some(node) if node.is_probed() => self.admit(&node, now),
            _ => self.answer_dropped(id),
        }
    }

    /// Answers for a node that has left the schedule. One that came back as another node is still wanted.
    pub(super) fn answer_dropped(&mut self, id: NodeId) {
        if !self.wanted.contains_key(&id) {
            return;
        }
        let Some(node) = self.context.pool.node(id) else { return self.answer(id, ProbeResult::Gone) };
        match node.unsupported() {
            _ if node.disabled() => {
                self.answer(id, ProbeResult::Unsupported(hezar_core::Code::new(hezar_pool::DISABLED)))
            }
            Some(code) => self.answer(id, ProbeResult::Unsupported(code)),
            None => {}
        }
    }

    /// Tells everybody who waits for this node.
    pub(super) fn answer(&mut self, id: NodeId, result: ProbeResult) {
        let worked = self.context.pool.node(id).is_some_and(|node| node.ever_worked());
        self.context.metrics.log().note(id, result, worked, self.now());
        for answers in self.wanted.remove(&id).unwrap_or_default() {
            // Whoever asked may have gone away.
            let _ = answers.send(ProbeAnswer { id, result });
        }
    }
}

/// The next demand; never, when nobody can ask.
pub(super) async fn next_demand(demands: &mut Receiver<Demand>) -> Demand {
    match demands.recv().await {
        Some(demand) => demand,
        None => std::future::pending().await,
    }
}
