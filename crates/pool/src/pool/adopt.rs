//! Following a store that several processes write to: nodes, records and removals that come from elsewhere.
//!
//! What is taken over is no change of this process: [`Pool::watch_own`] does not tell of it.

use std::sync::Arc;

use hezar_core::{Listing, NodeId, OptionalTime, Record, Timestamp};
use smallvec::SmallVec;

use super::{Pool, list::SLICE};
use crate::{Applied, ChangeKind, ChangedNode, Node, Restored, index::Index, sources::SourceTable};

impl<D: Clone + Send + Sync + 'static> Pool<D> {
    /// Takes over nodes as another process has stored them: their descriptions, and which sources list them, these and no others. Of the
    /// record it takes what [`Pool::adopt_records`] would. Banned nodes are left out.
    pub fn adopt(&self, nodes: Vec<Restored>, measured_here: impl Fn(&Node<D>) -> bool, now: Timestamp) -> Applied {
        let mut applied = Applied::default();
        let mut table = self.sources.lock();
        let mut rest = nodes.into_iter().peekable();
        while rest.peek().is_some() {
            let mut news = Vec::new();
            let mut index = self.index.lock();
            for adopted in rest.by_ref().take(SLICE) {
                if table.banned.contains(&adopted.id) {
                    applied.banned += 1;
                    continue;
                }
                let record = adopted.record.clone();
                let (node, change) = self.adopt_one(&mut table, &mut index, adopted, now, &mut applied);
                let measured = self.adopt_record(&mut index, &node, &record, measured_here(&node), now);
                news.extend([change, measured].into_iter().flatten());
            }
            self.publish(&index);
            drop(index);
            self.watchers.notify_adopted(&news);
        }
        applied
    }

    /// Takes over what other processes have measured of nodes; returns how many records said anything new. A record that is older
    /// than what this process has measured changes nothing where `measured_here` says that it measures the node, and nothing of
    /// the health anywhere.
    pub fn adopt_records(
        &self,
        records: &[(NodeId, Record)],
        measured_here: impl Fn(&Node<D>) -> bool,
        now: Timestamp,
    ) -> usize {
        let mut adopted = 0;
        for slice in records.chunks(SLICE) {
            let mut news = Vec::new();
            let mut index = self.index.lock();
            for (id, record) in slice {
                let Some(node) = self.node(*id) else { continue };
                news.extend(self.adopt_record(&mut index, &node, record, measured_here(&node), now));
            }
            self.publish(&index);
            drop(index);
            self.watchers.notify_adopted(&news);
            adopted += news.len();
        }
        adopted
    }

    /// Takes nodes out that another process has removed; returns how many there were.
    pub fn adopt_removals(&self, ids: &[NodeId]) -> usize {
        let mut table = self.sources.lock();
        let mut removed = 0;
        for slice in ids.chunks(SLICE) {
            let nodes: Vec<Arc<Node<D>>> = slice.iter().filter_map(|id| self.take(*id)).collect();
            self.take_out(&mut table, &nodes);
            let news: Vec<_> =
                nodes.iter().map(|node| ChangedNode { id: node.id(), kind: ChangeKind::Removed }).collect();
            self.watchers.notify_adopted(&news);
            removed += nodes.len();
        }
        removed
    }

    fn adopt_one(
        &self,
        table: &mut SourceTable,
        index: &mut Index<D>,
        adopted: Restored,
        now: Timestamp,
        applied: &mut Applied,
    ) -> (Arc<Node<D>>, Option<ChangedNode>) {
        let Restored { id, spec, label, sources, kept_from, record } = adopted;
        let known = self.node(id);
        let new = known.is_none();
        let node = known.unwrap_or_else(|| {
            let record = record.clone().no_later_than(now);
            let node = Arc::new(Node::new(id, spec, label.clone(), &record, now));
            self.atlas.locate(&node);
            self.insert(table, index, &node);
            node
        });
        let listings: SmallVec<[Arc<Listing>; 1]> = sources.iter().map(|listing| table.listing(listing)).collect();
        let left = node.sources().into_iter().filter(|known| !sources.iter().any(|l| l.source == known.source));
        for listing in left {
            table.source(&listing.source).members.remove(&node.slot());
        }
        let changed = node.relist(|facts| {
            let same = facts.listings.len() == listings.len()
                && listings.iter().all(|new| facts.listings.iter().any(|known| known == new));
            let changed = !same || facts.label != label;
            facts.label = label;
            if !same {
                facts.listings = listings.iter().cloned().collect();
            }
            facts.set_kept_from(kept_from.map(Arc::new));
            let since = record.unlisted_since.or(facts.unlisted_since().get()).unwrap_or(now);
            facts.set_unlisted_since(if facts.listings.is_empty() { since.into() } else { OptionalTime::NONE });
            changed
        });
        for listing in &sources {
            table.source(&listing.source).members.insert(node.slot());
        }
        let relisted = if sources.is_empty() {
            table.unlisted.insert(node.slot());
            false
        } else {
            table.unlisted.remove(&node.slot())
        };
        if changed && !new && index.has_filters() {
            index.place(&node);
        }
        let change = applied
            .count(id, new, changed)
            .map(|change| if relisted && !new { ChangedNode { kind: ChangeKind::Relisted, ..change } } else { change });
        (node, change)
    }

    fn adopt_record(
        &self,
        index: &mut Index<D>,
        node: &Node<D>,
        record: &Record,
        measured_here: bool,
        now: Timestamp,
    ) -> Option<ChangedNode> {
        let observed = node.adopt(record, measured_here, now);
        if !observed.counted {
            return None;
        }
        if observed.moved {
            self.atlas.locate(node);
            index.place(node);
        }
        let kind = if observed.state { ChangeKind::State } else { ChangeKind::Record };
        Some(ChangedNode { id: node.id(), kind })
    }
}
