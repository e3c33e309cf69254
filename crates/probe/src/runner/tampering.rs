//! What the prober makes of the canaries that nodes bring, change or do not bring.

use hezar_core::{NetworkKey, NodeId, Timestamp, hash64};
use hezar_pool::State;

use super::{CanaryFetch, PoolNode, Runner};
use crate::{
    CanaryResult,
    canary::MISSING,
    tamper_tracker::{Blame, Consequences, Observer},
};

/// The number that the probe URL has among the canaries: a node that shows another certificate for it tampers too.
pub(super) const PROBE_URL: usize = usize::MAX;

/// Whether a node that works may carry traffic, by what it made of the canaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Nothing speaks against it.
    Fine,
    /// It did not bring what others bring, or what it brought cannot be judged yet. The code says which.
    Unsure(&'static str),
    /// It was caught, and is in quarantine.
    Caught(&'static str),
}

impl Runner {
    /// Judges what a node that works made of the canaries.
    pub(super) fn trust(&mut self, node: &PoolNode, canaries: &[CanaryFetch], now: Timestamp) -> Trust {
        let who = observer_of(node);
        let consequences = self.tamper_tracker.intact(who, PROBE_URL, now);
        self.follow(consequences, now);
        match canaries {
            [] => Trust::Fine,
            canaries if canaries.iter().all(|fetch| fetch.found.is_none()) => self.missed(node, who, now),
            canaries => self.brought(node, who, canaries, now),
        }
    }

    /// It brought none. That says nothing against it unless others bring them; a node that never brought any is not
    /// used before it does.
    fn missed(&mut self, node: &PoolNode, who: Observer, now: Timestamp) -> Trust {
        self.context.metrics.canary("missing");
        self.tamper_tracker.missed(who, now);
        let unproven = node.state() == State::New;
        if unproven && self.tamper_tracker.others_bring(who, now) { Trust::Unsure(MISSING) } else { Trust::Fine }
    }

    fn brought(&mut self, node: &PoolNode, who: Observer, canaries: &[CanaryFetch], now: Timestamp) -> Trust {
        for id in self.tamper_tracker.arrived(who, now) {
            if self.context.pool.node(id).is_some_and(|node| node.quarantine().is_none()) {
                self.quarantine(id, MISSING, now);
            }
        }
        let (mut right, mut caught, mut unsure) = (false, None, None);
        for fetch in canaries {
            match fetch.found {
                None => {}
                Some(CanaryResult::Intact) => {
                    right = true;
                    self.context.metrics.canary("intact");
                    let consequences = self.tamper_tracker.intact(who, fetch.page, now);
                    self.follow(consequences, now);
                }
                Some(CanaryResult::Tampered { code, digest }) => {
                    match self.changed(who, fetch.page, (code, digest), now) {
                        Blame::Node => caught = Some(code),
                        Blame::Nobody => unsure = Some(code),
                        Blame::Page => {}
                    }
                }
            }
        }
        if let Some(code) = caught {
            return Trust::Caught(code);
        }
        self.release(node, right, now);
        // Another page came as it should: that nobody can say whether this one has changed is not held against the node.
        unsure.filter(|_| !right).map_or(Trust::Fine, Trust::Unsure)
    }

    /// A node brought other bytes, or another certificate.
    pub(super) fn changed(&mut self, who: Observer, page: usize, what: (&'static str, u64), now: Timestamp) -> Blame {
        self.context.metrics.canary("tampered");
        let (blame, consequences) = self.tamper_tracker.changed(who, page, what, now);
        self.follow(consequences, now);
        if blame == Blame::Node {
            self.quarantine(who.id, what.0, now);
        }
        blame
    }

    /// Lets a node out of quarantine: at once when it only never brought a page, after a time when it tampered.
    fn release(&self, node: &PoolNode, right: bool, now: Timestamp) {
        let Some(caught) = node.quarantine() else { return };
        let over = now.since(caught.since) >= self.context.config.quarantine;
        if right && (caught.code == MISSING || over) {
            tracing::info!(node = %node.id(), code = caught.code.as_str(), "node leaves quarantine");
            self.context.pool.release(node.id());
        }
    }

    fn follow(&self, consequences: Consequences, now: Timestamp) {
        for (id, code) in consequences.quarantine {
            self.quarantine(id, code, now);
        }
        for id in consequences.release {
            self.context.pool.release(id);
        }
        if consequences.page_changed {
            tracing::warn!(
                "most nodes bring the same other page: the canary itself has changed, and no node is blamed for it"
            );
        }
    }

    fn quarantine(&self, id: NodeId, code: &'static str, now: Timestamp) {
        tracing::warn!(node = %id, code, "node put into quarantine");
        self.context.pool.quarantine(id, code, now);
    }
}

/// A node observes for the network that it comes out of. On loopback every server counts for itself: there an address says
/// nothing about who runs it.
pub(super) fn observer_of(node: &PoolNode) -> Observer {
    let alone = node.on_loopback() && node.record().exit_ip.is_none();
    Observer {
        id: node.id(),
        network: if alone { NetworkKey(hash64(node.id().as_bytes())) } else { node.exit_network() },
    }
}
