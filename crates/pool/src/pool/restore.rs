//! Taking back what the store kept.

use std::sync::Arc;

use hezar_core::{Listing, Timestamp};
use smallvec::SmallVec;

use super::{
    Pool,
    list::{SLICE, join},
};
use crate::{Applied, ChangedNode, Node, Restored, index::Index, sources::SourceTable};

impl<D: Clone + Send + Sync + 'static> Pool<D> {
    pub(crate) fn restore(&self, nodes: Vec<Restored>, now: Timestamp) -> Applied {
        let applied = self.restore_part(nodes, now);
        self.finish_restore();
        applied
    }

    /// Takes in a part of what the store kept, as [`PoolChange::Restore`](crate::PoolChange::Restore) does. [`Pool::node`] finds the
    /// nodes at once; they are neither counted nor chosen until [`Pool::finish_restore`], which builds the views of a million
    /// nodes much faster than they grow. For a program that starts: it finishes before anybody asks for a node.
    pub fn restore_part(&self, nodes: Vec<Restored>, now: Timestamp) -> Applied {
        let mut applied = Applied::default();
        let mut table = self.sources.lock();
        let mut rest = nodes.into_iter().peekable();
        while rest.peek().is_some() {
            let mut news = Vec::new();
            let mut index = self.index.lock();
            for restored in rest.by_ref().take(SLICE) {
                if !table.banned.contains(&restored.id) {
                    news.extend(self.restore_one(&mut table, &mut index, restored, now, &mut applied));
                }
            }
            drop(index);
            self.watchers.notify(&news);
        }
        applied
    }

    /// Makes the nodes of [`Pool::restore_part`] part of the counts and views.
    pub fn finish_restore(&self) {
        let mut index = self.index.lock();
        index.place_unplaced();
        self.publish(&index);
    }

    fn restore_one(
        &self,
        table: &mut SourceTable,
        index: &mut Index<D>,
        restored: Restored,
        now: Timestamp,
        applied: &mut Applied,
    ) -> Option<ChangedNode> {
        let Restored { id, spec, label, sources, kept_from, record } = restored;
        let known = self.node(id);
        let new = known.is_none();
        let node = known.unwrap_or_else(|| {
            let record = record.no_later_than(now);
            let node = Arc::new(Node::new(id, spec, label.clone(), &record, now));
            self.atlas.locate(&node);
            self.enter(table, &node);
            index.add_unplaced(&node);
            node
        });
        let listings: SmallVec<[Arc<Listing>; 1]> = sources.iter().map(|listing| table.listing(listing)).collect();
        let (changed, is_listed) = node.relist(|facts| {
            if let Some(kept) = kept_from.filter(|_| new) {
                facts.set_kept_from(Some(Arc::new(kept)));
            }
            let mut changed = false;
            for listing in &listings {
                changed |= join(facts, listing, &label);
            }
            if facts.listings.is_empty() {
                let since = facts.unlisted_since().get().unwrap_or(now);
                facts.set_unlisted_since(since.into());
            }
            (changed, !facts.listings.is_empty())
        });
        if changed && !new && index.has_filters() {
            index.place(&node);
        }
        for listing in &sources {
            table.source(&listing.source).members.insert(node.slot());
        }
        if is_listed {
            table.unlisted.remove(&node.slot());
        } else {
            table.unlisted.insert(node.slot());
        }
        applied.count(id, new, changed)
    }
}
