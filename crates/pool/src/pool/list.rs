//! Merging lists: what follows for the nodes when a source lists them, or lists them no longer.

use std::sync::Arc;

use hezar_core::{Label, Listing, NodeId, NodeSpec, OptionalTime, Record, SourceName, Timestamp};

use super::Pool;
use crate::{
    Applied, ChangeKind, ChangedNode, LeftOut, Node, OwnList,
    node::Facts,
    sources::{SlotSet, SourceTable},
};

/// Nodes changed per hold of the writer lock.
pub(crate) const SLICE: usize = 2048;

/// What one list still may bring.
struct Room {
    /// Members of its source that the source did not have.
    source: usize,
    /// Nodes that the pool did not have.
    pool: usize,
}

impl Applied {
    /// Counts a node that was listed, and says what became of it.
    pub(super) fn count(&mut self, id: NodeId, new: bool, changed: bool) -> Option<ChangedNode> {
        self.added += usize::from(new);
        self.updated += usize::from(changed && !new);
        (new || changed).then_some(ChangedNode { id, kind: if new { ChangeKind::Added } else { ChangeKind::Listing } })
    }
}

impl<D: Clone + Send + Sync + 'static> Pool<D> {
    /// Merges a list, as [`PoolChange::List`](crate::PoolChange::List) does, of nodes whose identities are known already: making them
    /// is the costly part of a long list.
    pub fn list(
        &self,
        name: &SourceName,
        allow_private: bool,
        nodes: Vec<(NodeId, NodeSpec, Label)>,
        complete: bool,
        now: Timestamp,
    ) -> Applied {
        let mut applied = Applied::default();
        let mut table = self.sources.lock();
        let source = table.source(name);
        let permission_changed = source.set_permission(allow_private);
        if nodes.is_empty() && !complete && !permission_changed {
            source.left_out = LeftOut::default();
            return applied;
        }
        let listing = Arc::clone(&source.listing);
        let before = std::mem::take(&mut source.members);
        let kept = self.kept(&table, &nodes, &before);
        let mut left: Vec<u32> = before.difference(&kept).copied().collect();
        let leaves = complete && !left.is_empty();
        // What the list names no longer goes first, so that it makes room for what is new.
        if complete {
            applied.unlisted += self.unlist(&mut table, name, &left, Some(&listing), now);
        }
        let staying = if complete { kept.len() } else { before.len() };
        let mut room = self.room(&mut table, &nodes, staying);
        if !complete {
            // Making room may have removed some of them; their slots belong to nobody, or soon to other nodes.
            let index = self.index.lock();
            left.retain(|slot| index.node_at(*slot).is_some_and(|node| node.listed_by(name)));
        }
        let mut seen = SlotSet::default();
        let mut rest = nodes.into_iter().peekable();
        while rest.peek().is_some() {
            let mut news = Vec::new();
            let mut index = self.index.lock();
            for (id, spec, label) in rest.by_ref().take(SLICE) {
                if table.banned.contains(&id) {
                    applied.banned += 1;
                    continue;
                }
                let known = self.node(id);
                if known.as_ref().is_some_and(|node| seen.contains(&node.slot())) {
                    continue;
                }
                let new = known.is_none();
                let node = known.unwrap_or_else(|| {
                    let record = Record { first_seen: now, ..Record::default() };
                    Arc::new(Node::new(id, spec, label.clone(), &record, now))
                });
                let member = !new && before.contains(&node.slot()) && (!complete || kept.contains(&node.slot()));
                if !member && !self.admit(&table, &node, new, &mut room, &mut applied.left_out) {
                    continue;
                }
                if new {
                    self.insert(&mut table, &mut index, &node);
                }
                seen.insert(node.slot());
                let relisted = table.unlisted.remove(&node.slot());
                let changed = node.relist(|facts| join(facts, &listing, &label));
                if changed && index.has_filters() {
                    index.place(&node);
                }
                let change = applied.count(id, new, changed);
                news.extend(change.map(|change| {
                    if relisted { ChangedNode { kind: ChangeKind::Relisted, ..change } } else { change }
                }));
            }
            self.publish(&index);
            drop(index);
            self.watchers.notify(&news);
        }
        let changed = leaves || applied.added + applied.updated + applied.unlisted > 0;
        self.note_own_list(name, &seen, complete, changed);
        let source = table.source(name);
        source.left_out = applied.left_out;
        source.members = seen;
        if permission_changed {
            self.change_kept(&table, name, Some(&listing));
        }
        if !complete {
            let source = table.source(name);
            source.members.extend(&left);
            source.members.extend(&kept);
            if permission_changed {
                applied.updated += self.relist(&left, &listing);
            }
        }
        applied
    }

    /// Takes nodes off the list of a source, as a complete list without them would; returns how many are listed by none now.
    pub fn unlist_nodes(&self, name: &SourceName, ids: &[NodeId], now: Timestamp) -> usize {
        let mut table = self.sources.lock();
        let source = table.source(name);
        let listing = Arc::clone(&source.listing);
        let slots = ids.iter().filter_map(|id| Some(self.node(*id)?.slot()));
        let slots: Vec<u32> = slots.filter(|slot| source.members.remove(slot)).collect();
        let unlisted = self.unlist(&mut table, name, &slots, Some(&listing), now);
        self.note_own_list(name, &table.source(name).members, true, !slots.is_empty());
        unlisted
    }

    /// Notes what a list has changed, for a store that others write to as well.
    fn note_own_list(&self, name: &SourceName, listed: &SlotSet, complete: bool, changed: bool) {
        if !changed || !self.own_lists.are_kept() {
            return;
        }
        let index = self.index.lock();
        let ids = listed.iter().filter_map(|slot| index.node_at(*slot)).map(|node| node.id()).collect();
        self.own_lists.note(OwnList { source: Arc::clone(name), ids, complete });
    }

    /// The slots of the source's nodes that a list names again: they come before what is new to the source.
    fn kept(&self, table: &SourceTable, nodes: &[(NodeId, NodeSpec, Label)], before: &SlotSet) -> SlotSet {
        if before.is_empty() {
            return SlotSet::default();
        }
        let ids = nodes.iter().map(|(id, ..)| id).filter(|id| !table.banned.contains(id));
        let slots = ids.filter_map(|id| Some(self.node(*id)?.slot()));
        let mut kept = SlotSet::default();
        for slot in slots.filter(|slot| before.contains(slot)) {
            if kept.len() >= self.rules().bounds.per_source {
                break;
            }
            kept.insert(slot);
        }
        kept
    }

    /// What a list may bring whose source keeps `staying` nodes. When the pool is full, room is made for it.
    fn room(&self, table: &mut SourceTable, nodes: &[(NodeId, NodeSpec, Label)], staying: usize) -> Room {
        let bounds = self.rules().bounds;
        let source = bounds.per_source.saturating_sub(staying);
        let ids = || nodes.iter().map(|(id, ..)| *id);
        let new = ids().filter(|id| !table.banned.contains(id) && self.node(*id).is_none()).count().min(source);
        let total = self.snapshot().counts().total();
        let missing = (total + new).saturating_sub(bounds.total);
        let mut made = 0;
        if missing > 0 {
            let spared = ids().collect();
            made = self.make_room(table, missing, &spared);
        }
        Room { source, pool: (bounds.total + made).saturating_sub(total) }
    }

    /// Whether a node that is new to its source is taken in; what stands against it is counted.
    fn admit(&self, table: &SourceTable, node: &Node<D>, new: bool, room: &mut Room, left_out: &mut LeftOut) -> bool {
        let why = if room.source == 0 {
            &mut left_out.source
        } else if new && table.on_server(node) >= self.rules().bounds.per_server {
            &mut left_out.server
        } else if new && room.pool == 0 {
            &mut left_out.pool
        } else {
            room.source -= 1;
            room.pool -= usize::from(new);
            return true;
        };
        *why += 1;
        false
    }

    /// Takes a source off nodes; returns how many are listed by none now. They remember the listing in `keep`.
    pub(super) fn unlist(
        &self,
        table: &mut SourceTable,
        name: &str,
        slots: &[u32],
        keep: Option<&Arc<Listing>>,
        now: Timestamp,
    ) -> usize {
        let (mut unlisted, mut moved) = (0, false);
        let mut news = Vec::with_capacity(slots.len());
        for slot in slots {
            let Some(node) = self.index.lock().node_at(*slot).cloned() else { continue };
            let alone = node.relist(|facts| {
                facts.listings.remove(name);
                facts.set_kept_from(keep.cloned());
                if facts.listings.is_empty() {
                    facts.set_unlisted_since(now.into());
                }
                facts.listings.is_empty()
            });
            if alone {
                unlisted += 1;
                table.unlisted.insert(*slot);
            }
            let mut index = self.index.lock();
            moved |= index.has_filters() && index.place(&node);
            drop(index);
            news.push(ChangedNode { id: node.id(), kind: ChangeKind::Listing });
        }
        if moved {
            self.publish(&self.index.lock());
        }
        self.watchers.notify(&news);
        unlisted
    }

    /// Changes what nodes keep from a source that listed them last: its permission, or nothing when it is gone.
    pub(super) fn change_kept(&self, table: &SourceTable, name: &str, kept: Option<&Arc<Listing>>) {
        let mut news = Vec::new();
        for slot in &table.unlisted {
            let Some(node) = self.index.lock().node_at(*slot).cloned() else { continue };
            let changed = node.relist(|facts| {
                let concerned = facts.kept_from().is_some_and(|known| &*known.source == name);
                if concerned {
                    facts.set_kept_from(kept.cloned());
                }
                concerned
            });
            if changed {
                news.push(ChangedNode { id: node.id(), kind: ChangeKind::Listing });
            }
        }
        self.watchers.notify(&news);
    }

    /// Gives nodes the new permission of one of their sources; returns how many changed.
    fn relist(&self, slots: &[u32], listing: &Arc<Listing>) -> usize {
        let mut news = Vec::with_capacity(slots.len());
        for slot in slots {
            let Some(node) = self.index.lock().node_at(*slot).cloned() else { continue };
            node.relist(|facts| join(facts, listing, &Label::default()));
            news.push(ChangedNode { id: node.id(), kind: ChangeKind::Listing });
        }
        self.watchers.notify(&news);
        news.len()
    }
}

/// Adds a source to a node's listings; says whether anything changed. The first source that names a node names it.
pub(super) fn join(facts: &mut Facts, listing: &Arc<Listing>, label: &Label) -> bool {
    facts.set_unlisted_since(OptionalTime::NONE);
    let place = facts.listings.iter().position(|known| known.source == listing.source);
    let first = place == Some(0) || (place.is_none() && facts.listings.is_empty());
    let rename = !label.is_empty() && *label != facts.label && (first || facts.label.is_empty());
    if rename {
        facts.label = label.clone();
    }
    match place.and_then(|place| facts.listings.get_mut(place)) {
        Some(known) if known.allow_private == listing.allow_private => rename,
        Some(known) => {
            *known = Arc::clone(listing);
            true
        }
        None => {
            facts.listings.push(Arc::clone(listing));
            true
        }
    }
}
