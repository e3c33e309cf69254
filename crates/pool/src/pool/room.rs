//! Which nodes are removed first when the pool is full.

use std::{collections::HashSet, sync::Arc};

use hezar_core::NodeId;

use super::{Pool, list::SLICE};
use crate::{Node, State, sources::SourceTable};

/// What a node is worth when there is no room, the least first; nodes without a place in this order stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// It never worked, and no source lists it any more.
    NeverWorked,
    /// It is dead, and no source lists it any more.
    DeadUnlisted,
    /// It is dead and never worked.
    DeadNeverWorked,
    /// It is dead.
    Dead,
}

impl Worth {
    fn of_node<D>(node: &Node<D>) -> Option<Self> {
        if node.pinned() {
            return None;
        }
        let (listed, worked, dead) = (node.listed(), node.ever_worked(), node.state() == State::Dead);
        match (listed, worked) {
            (false, false) => Some(Self::NeverWorked),
            (false, true) if dead => Some(Self::DeadUnlisted),
            (true, false) if dead => Some(Self::DeadNeverWorked),
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
        table: &mut SourceTable,
        count: usize,
        spared: &HashSet<NodeId, ahash::RandomState>,
    ) -> usize {
        if count == 0 {
            return 0;
        }
        let snapshot = self.snapshot();
        let ranked = snapshot.nodes().filter(|node| !spared.contains(&node.id()));
        let mut ranked: Vec<_> =
            ranked.filter_map(|node| Some((Worth::of_node(node)?, node.record().last_checked, node.id()))).collect();
        if ranked.len() > count {
            ranked.select_nth_unstable(count - 1);
            ranked.truncate(count);
        }
        let ids: Vec<NodeId> = ranked.into_iter().map(|(.., id)| id).collect();
        self.remove_all(table, &ids)
    }

    /// Takes nodes out of the pool, in slices; returns how many there were.
    pub(crate) fn remove_all(&self, table: &mut SourceTable, ids: &[NodeId]) -> usize {
        let mut removed = 0;
        for slice in ids.chunks(SLICE) {
            let nodes: Vec<Arc<Node<D>>> = slice.iter().filter_map(|id| self.take(*id)).collect();
            self.discard(table, &nodes);
            removed += nodes.len();
        }
        removed
    }
}
