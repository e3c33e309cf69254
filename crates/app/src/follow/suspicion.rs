//! Suspicions: what a gateway sees of a node that another process probes, and what that one does about it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use hezar_core::NodeId;
use hezar_pool::{ChangeKind, State, Watch};
use hezar_probe::Ownership;
use hezar_store::SharedStore;
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{nodes::Nodes, runtime::prober::ProberSlot};

/// How long suspicions are gathered before they are told.
const GATHER: Duration = Duration::from_millis(200);
/// A node is suspected no more often than this, by one process, and looked at no more often, by its prober.
const PAUSE: Duration = Duration::from_secs(10);
/// The most nodes of one message: when more fail at once, our own network is more likely to be at fault than they are.
const MOST_AT_ONCE: usize = 200;
/// The most nodes that are remembered with their pause.
const MOST_REMEMBERED: usize = 20_000;

/// Tells of nodes that this process suspects, and looks at those of its own that others suspect.
pub(super) struct Suspicion {
    pool: Arc<Nodes>,
    /// What this process itself changes in the pool.
    watch: Watch,
    ownership: watch::Receiver<Ownership>,
    prober: Arc<ProberSlot>,
    /// When nodes were last told of.
    told: Mutex<HashMap<NodeId, Instant>>,
    /// When nodes were last looked at.
    looked_at: Mutex<HashMap<NodeId, Instant>>,
}

impl Suspicion {
    pub(super) fn new(pool: Arc<Nodes>, ownership: watch::Receiver<Ownership>, prober: Arc<ProberSlot>) -> Self {
        let watch = pool.watch_own();
        Self { pool, watch, ownership, prober, told: Mutex::default(), looked_at: Mutex::default() }
    }

    /// Tells of nodes as they become suspect here, without end.
    pub(super) async fn tell(&self, shared: &dyn SharedStore) {
        loop {
            self.watch.changed().await;
            sleep(GATHER).await;
            let suspects = self.suspects();
            // A suspicion is worth nothing later: what cannot be told now is not told.
            if !suspects.is_empty()
                && let Err(error) = shared.suspect(&suspects).await
            {
                tracing::debug!(%error, "suspicions are not told");
            }
        }
    }

    /// The nodes that have become suspect here and are probed elsewhere.
    fn suspects(&self) -> Vec<NodeId> {
        let ownership = self.ownership.borrow().clone();
        let changed = self.watch.take(usize::MAX);
        let is_suspect = |id: &NodeId| {
            self.pool.node(*id).is_some_and(|node| node.state() == State::Suspect && !ownership.owns_node(&node))
        };
        let states = changed.into_iter().filter(|changed| changed.kind == ChangeKind::State).map(|changed| changed.id);
        let mut suspects: Vec<NodeId> = states.filter(is_suspect).collect();
        suspects.truncate(MOST_AT_ONCE);
        rested(&mut self.told.lock(), suspects)
    }

    /// Looks at once at those of these nodes that this process probes.
    pub(super) fn look_at(&self, suspects: Vec<NodeId>) {
        let ownership = self.ownership.borrow().clone();
        let own: HashSet<NodeId> = suspects
            .into_iter()
            .filter(|id| self.pool.node(*id).is_some_and(|node| ownership.owns_node(&node)))
            .collect();
        let due = rested(&mut self.looked_at.lock(), own);
        if due.is_empty() {
            return;
        }
        let count = due.len();
        // The answers are in the pool.
        match self.prober.get().probe_now(due) {
            Ok(_) => tracing::debug!(nodes = count, "nodes that others suspect are looked at"),
            Err(error) => tracing::debug!(%error, "suspected nodes are not looked at now"),
        }
    }
}

/// Those of the nodes whose pause is over; it begins anew.
fn rested(last: &mut HashMap<NodeId, Instant>, ids: impl IntoIterator<Item = NodeId>) -> Vec<NodeId> {
    let now = Instant::now();
    if last.len() >= MOST_REMEMBERED {
        last.retain(|_, at| now.duration_since(*at) < PAUSE);
    }
    let mut due = Vec::new();
    for id in ids {
        if last.len() < MOST_REMEMBERED && last.get(&id).is_none_or(|at| now.duration_since(*at) >= PAUSE) {
            last.insert(id, now);
            due.push(id);
        }
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_node_is_suspected_once_in_a_while_and_the_memory_is_bounded() {
        let id = |n: u32| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            NodeId::from_bytes(bytes)
        };
        let mut last = HashMap::new();
        assert_eq!(rested(&mut last, [id(1), id(2), id(1)]), [id(1), id(2)]);
        assert!(rested(&mut last, [id(1)]).is_empty());
        tokio::time::advance(PAUSE).await;
        assert_eq!(rested(&mut last, [id(1)]), [id(1)]);
        let many = rested(&mut last, (10..2 * MOST_REMEMBERED as u32).map(id));
        assert!(many.len() < MOST_REMEMBERED && last.len() <= MOST_REMEMBERED);
        tokio::time::advance(PAUSE).await;
        assert_eq!(rested(&mut last, [id(3)]), [id(3)], "the old ones are forgotten");
    }
}
