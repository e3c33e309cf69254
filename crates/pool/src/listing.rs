//! Which source lists which node, and what follows when that changes.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use hezar_core::{Label, NodeId, NodeSpec, Timestamp};

use crate::{Applied, Listing, Node, Pool, Record, Restored, SourceName, Touch, Touched, node::Facts, roster::Roster};

/// Nodes changed per hold of the writer lock.
const SLICE: usize = 2048;

type SlotSet = HashSet<u32, ahash::RandomState>;

/// The sources and what they list. Slots are given back only under its lock, so they are safe to remember here.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sources: BTreeMap<SourceName, Source>,
    unlisted: SlotSet,
}

#[derive(Debug, Default)]
struct Source {
    allow_private: bool,
    members: SlotSet,
}

impl Ledger {
    pub(crate) fn summary(&self) -> Vec<(SourceName, bool, usize)> {
        self.sources.iter().map(|(name, s)| (Arc::clone(name), s.allow_private, s.members.len())).collect()
    }

    fn source(&mut self, name: &SourceName) -> &mut Source {
        self.sources.entry(Arc::clone(name)).or_default()
    }
}

impl Applied {
    /// Counts a node that was listed, and says what became of it.
    fn count(&mut self, id: NodeId, new: bool, changed: bool) -> Option<Touched> {
        self.added += usize::from(new);
        self.updated += usize::from(changed && !new);
        (new || changed).then_some(Touched { id, kind: if new { Touch::Added } else { Touch::Listing } })
    }
}

impl<D: Clone + Send + Sync + 'static> Pool<D> {
    pub(crate) fn list(
        &self,
        name: &SourceName,
        allow_private: bool,
        nodes: Vec<(NodeSpec, Label)>,
        complete: bool,
        now: Timestamp,
    ) -> Applied {
        // Hashing is the costly part and needs no lock.
        let mut nodes: Vec<_> = nodes.into_iter().map(|(spec, label)| (spec.id(), spec, label)).collect();
        let mut applied = Applied::default();
        let mut ledger = self.ledger.lock();
        let listing = Listing { source: Arc::clone(name), allow_private };
        let mut seen = SlotSet::default();
        let mut rest = nodes.drain(..).peekable();
        while rest.peek().is_some() {
            let mut touched = Vec::new();
            let mut roster = self.roster.lock();
            for (id, spec, label) in rest.by_ref().take(SLICE) {
                let known = self.node(id);
                let new = known.is_none();
                let node = known.unwrap_or_else(|| {
                    let record = Record { first_seen: now, ..Record::default() };
                    self.insert(&mut roster, Arc::new(Node::new(id, spec, label.clone(), &record, now)))
                });
                if !seen.insert(node.slot()) {
                    continue;
                }
                ledger.unlisted.remove(&node.slot());
                let changed = node.relist(|facts| join(facts, &listing, &label));
                if changed && roster.filters() {
                    roster.place(&node);
                }
                touched.extend(applied.count(id, new, changed));
            }
            self.publish(&roster);
            drop(roster);
            self.watchers.touch(&touched);
        }
        let source = ledger.source(name);
        let before = std::mem::take(&mut source.members);
        let permission_changed = std::mem::replace(&mut source.allow_private, allow_private) != allow_private;
        let left: Vec<u32> = before.difference(&seen).copied().collect();
        source.members = seen;
        if complete {
            applied.unlisted += self.unlist(&mut ledger, name, &left, true, now);
        } else {
            ledger.source(name).members.extend(&left);
            if permission_changed {
                applied.updated += self.relist(&left, &listing);
            }
        }
        applied
    }

    pub(crate) fn drop_source(&self, name: &SourceName, now: Timestamp) -> Applied {
        let mut ledger = self.ledger.lock();
        let Some(source) = ledger.sources.remove(name) else { return Applied::default() };
        let members: Vec<u32> = source.members.into_iter().collect();
        let unlisted = self.unlist(&mut ledger, name, &members, false, now);
        Applied { unlisted, ..Applied::default() }
    }

    pub(crate) fn remove(&self, ids: &[NodeId]) -> Applied {
        let mut ledger = self.ledger.lock();
        let mut removed = 0;
        for slice in ids.chunks(SLICE) {
            let nodes: Vec<_> = slice.iter().filter_map(|id| self.take(*id)).collect();
            self.discard(&mut ledger, &nodes);
            removed += nodes.len();
        }
        Applied { removed, ..Applied::default() }
    }

    pub(crate) fn restore(&self, nodes: Vec<Restored>, now: Timestamp) -> Applied {
        let mut applied = Applied::default();
        let mut nodes: Vec<_> = nodes.into_iter().map(|restored| (restored.spec.id(), restored)).collect();
        let mut ledger = self.ledger.lock();
        let mut rest = nodes.drain(..).peekable();
        while rest.peek().is_some() {
            let mut touched = Vec::new();
            let mut roster = self.roster.lock();
            for (id, Restored { spec, label, sources, record }) in rest.by_ref().take(SLICE) {
                let known = self.node(id);
                let new = known.is_none();
                let node = known.unwrap_or_else(|| {
                    self.insert(&mut roster, Arc::new(Node::new(id, spec, label.clone(), &record, now)))
                });
                let changed = node.relist(|facts| {
                    let changed = sources.iter().filter(|listing| join(facts, listing, &label)).count() > 0;
                    if facts.listings.is_empty() {
                        facts.unlisted_since = Some(now);
                    }
                    changed
                });
                if changed && roster.filters() {
                    roster.place(&node);
                }
                for listing in &sources {
                    let source = ledger.source(&listing.source);
                    source.allow_private = listing.allow_private;
                    source.members.insert(node.slot());
                }
                if node.relist(|facts| facts.listings.is_empty()) {
                    ledger.unlisted.insert(node.slot());
                } else {
                    ledger.unlisted.remove(&node.slot());
                }
                touched.extend(applied.count(id, new, changed));
            }
            self.publish(&roster);
            drop(roster);
            self.watchers.touch(&touched);
        }
        applied
    }

    pub(crate) fn forget(&self, now: Timestamp) -> usize {
        let mut ledger = self.ledger.lock();
        let mut old = Vec::new();
        {
            let roster = self.roster.lock();
            for slot in &ledger.unlisted {
                let Some(node) = roster.node_at(*slot) else { continue };
                if node.hopeless_since().is_some_and(|since| now.since(since) >= self.rules.forget_after) {
                    old.push(node.id());
                }
            }
        }
        let mut forgotten = 0;
        for slice in old.chunks(SLICE) {
            let nodes: Vec<_> = slice.iter().filter_map(|id| self.take(*id)).collect();
            self.discard(&mut ledger, &nodes);
            forgotten += nodes.len();
        }
        forgotten
    }

    fn insert(&self, roster: &mut Roster<D>, node: Arc<Node<D>>) -> Arc<Node<D>> {
        self.shard(node.id()).write().insert(node.id(), Arc::clone(&node));
        roster.add(Arc::clone(&node));
        node
    }

    fn take(&self, id: NodeId) -> Option<Arc<Node<D>>> {
        self.shard(id).write().remove(&id)
    }

    /// Frees the slots of nodes that have been taken out of the index.
    fn discard(&self, ledger: &mut Ledger, nodes: &[Arc<Node<D>>]) {
        if nodes.is_empty() {
            return;
        }
        let mut roster = self.roster.lock();
        for node in nodes {
            ledger.unlisted.remove(&node.slot());
            for listing in node.sources() {
                ledger.source(&listing.source).members.remove(&node.slot());
            }
            roster.remove(node);
        }
        self.publish(&roster);
        drop(roster);
        let touched: Vec<_> = nodes.iter().map(|node| Touched { id: node.id(), kind: Touch::Removed }).collect();
        self.watchers.touch(&touched);
    }

    /// Takes a source off nodes; returns how many are listed by none now.
    fn unlist(&self, ledger: &mut Ledger, name: &str, slots: &[u32], keep: bool, now: Timestamp) -> usize {
        let (mut unlisted, mut moved) = (0, false);
        let mut touched = Vec::with_capacity(slots.len());
        for slot in slots {
            let Some(node) = self.roster.lock().node_at(*slot).cloned() else { continue };
            let alone = node.relist(|facts| {
                facts.listings.retain(|listing| &*listing.source != name);
                facts.keep_permission = keep;
                if facts.listings.is_empty() {
                    facts.unlisted_since = Some(now);
                }
                facts.listings.is_empty()
            });
            if alone {
                unlisted += 1;
                ledger.unlisted.insert(*slot);
            }
            let mut roster = self.roster.lock();
            moved |= roster.filters() && roster.place(&node);
            drop(roster);
            touched.push(Touched { id: node.id(), kind: Touch::Listing });
        }
        if moved {
            self.publish(&self.roster.lock());
        }
        self.watchers.touch(&touched);
        unlisted
    }

    /// Gives nodes the new permission of one of their sources; returns how many changed.
    fn relist(&self, slots: &[u32], listing: &Listing) -> usize {
        let mut touched = Vec::with_capacity(slots.len());
        for slot in slots {
            let Some(node) = self.roster.lock().node_at(*slot).cloned() else { continue };
            node.relist(|facts| join(facts, listing, &Label::default()));
            touched.push(Touched { id: node.id(), kind: Touch::Listing });
        }
        self.watchers.touch(&touched);
        touched.len()
    }
}

/// Adds a source to a node's listings; says whether anything changed. The first source that names a node names it.
fn join(facts: &mut Facts, listing: &Listing, label: &Label) -> bool {
    facts.unlisted_since = None;
    let place = facts.listings.iter().position(|known| known.source == listing.source);
    let first = place == Some(0) || (place.is_none() && facts.listings.is_empty());
    let rename = !label.is_empty() && *label != facts.label && (first || facts.label.is_empty());
    if rename {
        facts.label = label.clone();
    }
    match place.and_then(|place| facts.listings.get_mut(place)) {
        Some(known) if known.allow_private == listing.allow_private => rename,
        Some(known) => {
            known.allow_private = listing.allow_private;
            true
        }
        None => {
            facts.listings.push(listing.clone());
            true
        }
    }
}
