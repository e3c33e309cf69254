//! Choosing nodes for requests, and the sessions that keep them.

use std::sync::Arc;

use hezar_core::{NodeId, SessionKey, SiteKey};

use super::Pool;
use crate::{Lease, Pinned, Query, pick, sessions::SessionPin};

impl<D: Clone + Send + Sync + 'static> Pool<D> {
    /// Picks a node and takes a lease on it; nothing when no routable node fits. `rng` is a fresh random number.
    ///
    /// Costs O(1) in the number of nodes (consistent hashing: O(log n)) as long as a fair share of the view fits, and
    /// waits for no writer. When nearly all nodes are excluded it ends with a scan of the view; what the scan finds is tried first by
    /// the next picks that ask the same.
    #[must_use]
    pub fn pick(&self, query: &Query<'_>, rng: u64) -> Option<Lease<D>> {
        let snapshot = self.snapshot.load();
        let node = pick::pick(&snapshot, query, rng, &self.sessions, self.tables());
        node.map(|node| Lease::new(Arc::clone(node)))
    }

    /// Takes a lease on this very node, if it fits the query. The query's strategy and session do not matter.
    #[must_use]
    pub fn pick_node(&self, id: NodeId, query: &Query<'_>) -> Option<Lease<D>> {
        let node = self.node(id)?;
        pick::admits(&self.snapshot.load(), query, self.tables(), &node).then(|| Lease::new(node))
    }

    /// What a session is pinned to.
    #[must_use]
    pub fn pinned(&self, session: SessionKey) -> Option<Pinned> {
        self.sessions.shard(session).get(session).map(|pin| Pinned { node: pin.id, exit: pin.exit })
    }

    /// What a session is pinned to for requests to a site: where the site refuses its exit, the other one that it has there.
    #[must_use]
    pub fn pinned_at(&self, session: SessionKey, site: SiteKey) -> Option<Pinned> {
        let mut found = None;
        for key in pick::keys_at(session, site) {
            let Some(pinned) = self.pinned(key) else { break };
            found = Some(pinned);
            if !self.sites.avoids(site, pinned.node) && !self.sites.bans.contains(site, pinned.exit, None) {
                break;
            }
        }
        found
    }

    /// Pins a session, as it was before a restart. A node that is gone is none of its exits either, so its exit is
    /// given too: the next pick looks for another node behind it.
    pub fn pin(&self, session: SessionKey, pinned: Pinned) {
        let slot = self.node(pinned.node).map_or(u32::MAX, |node| node.slot());
        self.sessions.shard(session).set(session, SessionPin { slot, id: pinned.node, exit: pinned.exit });
    }

    /// Gives a session another exit, if there is any other that fits the query; returns the node.
    pub fn rotate(&self, session: SessionKey, query: &Query<'_>, rng: u64) -> Option<NodeId> {
        let snapshot = self.snapshot.load();
        let old = self.pinned(session).map(|pinned| pinned.exit);
        let node = pick::pick_elsewhere(&snapshot, query, rng, old, self.tables())?;
        self.pin(session, Pinned { node: node.id(), exit: node.exit() });
        Some(node.id())
    }

    /// Forgets what a session is pinned to; says whether it was pinned.
    pub fn end_session(&self, session: SessionKey) -> bool {
        self.sessions.shard(session).end(session)
    }
}
