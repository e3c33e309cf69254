//! How many nodes the pool takes in, and which ones go first when it is full.

use std::{collections::HashSet, sync::Arc};

use hezar_core::NodeId;

use crate::{Node, Pool, State, ledger::Ledger, listing::SLICE};

/// How many nodes there may be. Lists come from strangers: without bounds one of them fills memory and disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// In all.
    pub total: usize,
    /// Listed by one source.
    pub per_source: usize,
    /// On one server host. It is generous, because thousands of nodes may stand behind one address of a content
    /// network; that a host is not probed too fast is the prober's matter. Loopback hosts are exempt.
    pub per_server: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { total: 1_000_000, per_source: 100_000, per_server: 10_000 }
    }
}

/// Nodes of a list that were not taken in, by the bound that stood against them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Their source lists too many.
    pub source: usize,
    /// Their server has too many.
    pub server: usize,
    /// The pool is full of nodes that are worth more.
    pub pool: usize,
}

impl LeftOut {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.source + self.server + self.pool
    }
}

/// What a node is worth when there is no room, the least first; nodes without a place in this order stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// It never worked, and no source lists it any more.
    Unproven,
    /// It is dead, and no source lists it any more.
    DeadUnlisted,
    /// It is dead and never worked.
    DeadUnproven,
    /// It is dead.
    Dead,
}

impl Worth {
    fn of<D>(node: &Node<D>) -> Option<Self> {
        let (listed, worked, dead) = (node.listed(), node.ever_worked(), node.state() == State::Dead);
        match (listed, worked) {
            (false, false) => Some(Self::Unproven),
            (false, true) if dead => Some(Self::DeadUnlisted),
            (true, false) if dead => Some(Self::DeadUnproven),
            (true, true) if dead => Some(Self::Dead),
            _ => None,
        }
    }
}

impl<D: Clone + Send + Sync + 'static> Pool<D> {
    /// Removes at most `count` nodes, those that are worth least first, among equals those that were checked longest
    /// ago; none of `spared`. Returns how many went.
    pub(crate) fn make_room(
        &self,
        ledger: &mut Ledger,
        count: usize,
        spared: &HashSet<NodeId, ahash::RandomState>,
    ) -> usize {
        if count == 0 {
            return 0;
        }
        let snapshot = self.snapshot();
        let ranked = snapshot.nodes().filter(|node| !spared.contains(&node.id()));
        let mut ranked: Vec<_> =
            ranked.filter_map(|node| Some((Worth::of(node)?, node.record().last_checked, node.id()))).collect();
        if ranked.len() > count {
            ranked.select_nth_unstable(count - 1);
            ranked.truncate(count);
        }
        let ids: Vec<NodeId> = ranked.into_iter().map(|(.., id)| id).collect();
        self.remove_all(ledger, &ids)
    }

    /// Takes nodes out of the pool, in slices; returns how many there were.
    pub(crate) fn remove_all(&self, ledger: &mut Ledger, ids: &[NodeId]) -> usize {
        let mut removed = 0;
        for slice in ids.chunks(SLICE) {
            let nodes: Vec<Arc<Node<D>>> = slice.iter().filter_map(|id| self.take(*id)).collect();
            self.discard(ledger, &nodes);
            removed += nodes.len();
        }
        removed
    }
}
