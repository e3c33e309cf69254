//! Taking back what the store kept.

use std::sync::Arc;

use hezar_core::Timestamp;
use smallvec::SmallVec;

use super::{
    Pool,
    list::{SLICE, join},
};
use crate::{Applied, Node, Restored};

impl<D: Clone + Send + Sync + 'static> Pool<D> {
    pub(crate) fn restore(&self, nodes: Vec<Restored>, now: Timestamp) -> Applied {
        let mut applied = Applied::default();
        let mut table = self.sources.lock();
        let mut rest = nodes.into_iter().peekable();
        while rest.peek().is_some() {
            let mut news = Vec::new();
            let mut index = self.index.lock();
            for Restored { id, spec, label, sources, kept_from, record } in rest.by_ref().take(SLICE) {
                if table.banned.contains(&id) {
                    continue;
                }
                let known = self.node(id);
                let new = known.is_none();
                let node = known.unwrap_or_else(|| {
                    let record = record.no_later_than(now);
                    let node = Arc::new(Node::new(id, spec, label.clone(), &record, now));
                    self.atlas.locate(&node);
                    self.insert(&mut table, &mut index, &node);
                    node
                });
                let listings: SmallVec<[_; 1]> = sources.iter().map(|listing| table.listing(listing)).collect();
                let changed = node.relist(|facts| {
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
                    changed
                });
                if changed && index.has_filters() {
                    index.place(&node);
                }
                for listing in &sources {
                    table.source(&listing.source).members.insert(node.slot());
                }
                if node.relist(|facts| facts.listings.is_empty()) {
                    table.unlisted.insert(node.slot());
                } else {
                    table.unlisted.remove(&node.slot());
                }
                news.extend(applied.count(id, new, changed));
            }
            self.publish(&index);
            drop(index);
            self.watchers.notify(&news);
        }
        applied
    }
}
