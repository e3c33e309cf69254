//! Which source lists which node, how many nodes each server host has, and what is banned.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::{Deref, DerefMut},
    sync::Arc,
};

use arc_swap::ArcSwap;
use hezar_core::{Listing, NodeId, ServerKey, SourceName};
use parking_lot::{Mutex, MutexGuard};

use crate::{Annotation, LeftOut, Node};

/// Slots of nodes.
pub(crate) type SlotSet = HashSet<u32, ahash::RandomState>;

/// The table of sources for those who change it, and a summary that readers see without waiting: merging a long list holds the
/// table for seconds.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    table: Mutex<SourceTable>,
    summary: ArcSwap<SourcesSummary>,
}

/// The sources in numbers, in the order of their names.
#[derive(Debug, Default)]
pub(crate) struct SourcesSummary {
    /// Each source with its permission and the number of nodes that it lists.
    pub(crate) listed: Vec<(SourceName, bool, usize)>,
    /// What the last lists named beyond the bounds, for sources where that is anything.
    pub(crate) left_out: Vec<(SourceName, LeftOut)>,
}

/// The locked table; the summary is made anew when it is released.
pub(crate) struct LockedSources<'a> {
    table: MutexGuard<'a, SourceTable>,
    summary: &'a ArcSwap<SourcesSummary>,
}

impl Sources {
    pub(crate) fn lock(&self) -> LockedSources<'_> {
        LockedSources { table: self.table.lock(), summary: &self.summary }
    }

    /// The sources as they were when the table was last released.
    pub(crate) fn summary(&self) -> Arc<SourcesSummary> {
        self.summary.load_full()
    }
}

impl Drop for LockedSources<'_> {
    fn drop(&mut self) {
        self.summary.store(Arc::new(self.table.summary()));
    }
}

impl Deref for LockedSources<'_> {
    type Target = SourceTable;

    fn deref(&self) -> &SourceTable {
        &self.table
    }
}

impl DerefMut for LockedSources<'_> {
    fn deref_mut(&mut self) -> &mut SourceTable {
        &mut self.table
    }
}

/// The sources and what they list. Slots are given back only under its lock, so they are safe to remember here.
#[derive(Debug, Default)]
pub(crate) struct SourceTable {
    pub(crate) sources: BTreeMap<SourceName, Source>,
    pub(crate) unlisted: SlotSet,
    /// Nodes per server host; loopback hosts are not counted.
    servers: HashMap<ServerKey, usize, ahash::RandomState>,
    /// Nodes that must not come back.
    pub(crate) banned: HashSet<NodeId, ahash::RandomState>,
    /// What operators say about nodes, also about those that are not there.
    pub(crate) annotations: HashMap<NodeId, Arc<Annotation>, ahash::RandomState>,
}

/// One source, and what it lists.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its name and permission, shared by all the nodes that it lists.
    pub(crate) listing: Arc<Listing>,
    /// The slots of the nodes that it lists.
    pub(crate) members: SlotSet,
    /// What its last list named and the bounds left out.
    pub(crate) left_out: LeftOut,
}

impl SourceTable {
    fn summary(&self) -> SourcesSummary {
        let listed = self.sources.iter();
        let left_out = self.sources.iter().filter(|(_, source)| source.left_out.total() > 0);
        SourcesSummary {
            listed: listed.map(|(name, s)| (Arc::clone(name), s.listing.allow_private, s.members.len())).collect(),
            left_out: left_out.map(|(name, source)| (Arc::clone(name), source.left_out)).collect(),
        }
    }

    pub(crate) fn leave_out(&mut self, name: &SourceName, count: usize) {
        if count > 0 {
            self.source(name).left_out.source += count;
        }
    }

    pub(crate) fn count_server<D>(&mut self, node: &Node<D>) {
        if !node.on_loopback() {
            *self.servers.entry(node.server_key()).or_default() += 1;
        }
    }

    pub(crate) fn uncount_server<D>(&mut self, node: &Node<D>) {
        if let Some(count) = self.servers.get_mut(&node.server_key()).filter(|_| !node.on_loopback()) {
            *count -= 1;
            if *count == 0 {
                self.servers.remove(&node.server_key());
            }
        }
    }

    pub(crate) fn on_server<D>(&self, node: &Node<D>) -> usize {
        self.servers.get(&node.server_key()).copied().unwrap_or(0)
    }

    /// The listing that the nodes of this source share; the newest one decides about its permission.
    pub(crate) fn listing(&mut self, listing: &Listing) -> Arc<Listing> {
        let source = self.source(&listing.source);
        source.set_permission(listing.allow_private);
        Arc::clone(&source.listing)
    }

    pub(crate) fn source(&mut self, name: &SourceName) -> &mut Source {
        self.sources.entry(Arc::clone(name)).or_insert_with(|| Source::new(name))
    }
}

impl Source {
    fn new(name: &SourceName) -> Self {
        let listing = Arc::new(Listing { source: Arc::clone(name), allow_private: false });
        Self { listing, members: SlotSet::default(), left_out: LeftOut::default() }
    }

    /// Says whether it allows private server addresses; returns whether that is news.
    pub(crate) fn set_permission(&mut self, allow_private: bool) -> bool {
        let news = self.listing.allow_private != allow_private;
        if news {
            self.listing = Arc::new(Listing { source: Arc::clone(&self.listing.source), allow_private });
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_read_while_the_table_is_locked() {
        let sources = Sources::default();
        sources.lock().source(&"one".into()).members.insert(7);
        sources.lock().leave_out(&"one".into(), 3);
        let mut locked = sources.lock();
        locked.source(&"two".into()).set_permission(true);
        let before = sources.summary();
        assert_eq!(before.listed, [("one".into(), false, 1)]);
        assert_eq!(before.left_out.iter().map(|(_, left_out)| left_out.source).collect::<Vec<_>>(), [3]);
        drop(locked);
        assert_eq!(sources.summary().listed, [("one".into(), false, 1), ("two".into(), true, 0)]);
    }
}
