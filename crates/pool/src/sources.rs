//! Which source lists which node, how many nodes each server host has, and what is banned.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use hezar_core::{Listing, NodeId, ServerKey, SourceName};

use crate::{Annotation, LeftOut, Node};

/// Slots of nodes.
pub(crate) type SlotSet = HashSet<u32, ahash::RandomState>;

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
    pub(crate) fn summary(&self) -> Vec<(SourceName, bool, usize)> {
        self.sources.iter().map(|(name, s)| (Arc::clone(name), s.listing.allow_private, s.members.len())).collect()
    }

    pub(crate) fn left_out(&self) -> Vec<(SourceName, LeftOut)> {
        let sources = self.sources.iter().filter(|(_, source)| source.left_out.total() > 0);
        sources.map(|(name, source)| (Arc::clone(name), source.left_out)).collect()
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
