//! What another instance says of nodes that were never judged here, and what becomes of it.

use std::sync::Arc;

use hezar_core::{NodeId, Timestamp};

use super::{Pool, list::SLICE};
use crate::{ChangeKind, ChangedNode, Hearsay, Node};

impl<D: Clone + Send + Sync + 'static> Pool<D> {
    /// Lets nodes that were never judged here serve on the word of another instance: each becomes [`State::Suspect`](crate::State), with
    /// what was measured there, so that nodes of which this process knows by itself go before it. The first failure of a probe of our
    /// own makes it dead, and the first success healthy. Nodes that were judged here stay as they are. Returns how many were changed.
    pub fn believe(&self, said: &[(NodeId, Hearsay)], now: Timestamp) -> usize {
        let dead_after = self.rules().dead_after.max(1);
        self.change_each(said, |(id, hearsay)| {
            let node = self.node(*id)?;
            if !node.believe(hearsay, now, dead_after) {
                return None;
            }
            self.atlas.locate(&node);
            Some(node)
        })
    }

    /// Takes [`Pool::believe`] back for nodes that have not been judged here since: they are new again. Returns how many were changed.
    pub fn disbelieve(&self, ids: &[NodeId]) -> usize {
        self.change_each(ids, |id| self.node(*id).filter(|node| node.disbelieve()))
    }

    /// Changes nodes in slices, and brings the views in line with those that did change.
    fn change_each<T>(&self, items: &[T], change: impl Fn(&T) -> Option<Arc<Node<D>>>) -> usize {
        let mut total = 0;
        for slice in items.chunks(SLICE) {
            let mut news = Vec::new();
            let mut index = self.index.lock();
            for node in slice.iter().filter_map(&change) {
                index.place(&node);
                news.push(ChangedNode { id: node.id(), kind: ChangeKind::State });
            }
            if !news.is_empty() {
                self.publish(&index);
            }
            drop(index);
            self.watchers.notify(&news);
            total += news.len();
        }
        total
    }
}
