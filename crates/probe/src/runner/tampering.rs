//! What the prober makes of the canaries that nodes bring, change or do not bring.

use hezar_core::{NodeId, Timestamp};
use hezar_pool::{State, hash_key};

use super::{Look, Outbound, Runner};
use crate::{
    Sight,
    canary::MISSING,
    suspicion::{Blame, Consequences, Witness},
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
    pub(super) fn trust(&mut self, node: &Outbound, looks: &[Look], now: Timestamp) -> Trust {
        let who = witness(node);
        let consequences = self.suspicion.intact(who, PROBE_URL, now);
        self.follow(consequences, now);
        match looks {
            [] => Trust::Fine,
            looks if looks.iter().all(|look| look.found.is_none()) => self.missed(node, who, now),
            looks => self.brought(node, who, looks, now),
        }
    }

    /// It brought none. That says nothing against it unless others bring them; a node that never brought any is not
    /// used before it does.
    fn missed(&mut self, node: &Outbound, who: Witness, now: Timestamp) -> Trust {
        self.shared.metrics.canary("missing");
        self.suspicion.missed(who, now);
        let unproven = node.state() == State::New;
        if unproven && self.suspicion.others_bring(who, now) { Trust::Unsure(MISSING) } else { Trust::Fine }
    }

    fn brought(&mut self, node: &Outbound, who: Witness, looks: &[Look], now: Timestamp) -> Trust {
        for id in self.suspicion.arrived(who, now) {
            if self.shared.pool.node(id).is_some_and(|node| node.quarantine().is_none()) {
                self.quarantine(id, MISSING, now);
            }
        }
        let (mut right, mut caught, mut unsure) = (false, None, None);
        for look in looks {
            match look.found {
                None => {}
                Some(Sight::Intact) => {
                    right = true;
                    self.shared.metrics.canary("intact");
                    let consequences = self.suspicion.intact(who, look.page, now);
                    self.follow(consequences, now);
                }
                Some(Sight::Tampered { code, digest }) => match self.changed(who, look.page, (code, digest), now) {
                    Blame::Node => caught = Some(code),
                    Blame::Nobody => unsure = Some(code),
                    Blame::Page => {}
                },
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
    pub(super) fn changed(&mut self, who: Witness, page: usize, what: (&'static str, u64), now: Timestamp) -> Blame {
        self.shared.metrics.canary("tampered");
        let (blame, consequences) = self.suspicion.changed(who, page, what, now);
        self.follow(consequences, now);
        if blame == Blame::Node {
            self.quarantine(who.id, what.0, now);
        }
        blame
    }

    /// Lets a node out of quarantine: at once when it only never brought a page, after a time when it tampered.
    fn release(&self, node: &Outbound, right: bool, now: Timestamp) {
        let Some(caught) = node.quarantine() else { return };
        let over = now.since(caught.since) >= self.shared.config.quarantine;
        if right && (caught.code == MISSING || over) {
            tracing::info!(node = %node.id(), code = caught.code, "node leaves quarantine");
            self.shared.pool.release(node.id());
        }
    }

    fn follow(&self, consequences: Consequences, now: Timestamp) {
        for (id, code) in consequences.quarantine {
            self.quarantine(id, code, now);
        }
        for id in consequences.release {
            self.shared.pool.release(id);
        }
        if consequences.page_changed {
            tracing::warn!(
                "most nodes bring the same other page: the canary itself has changed, and no node is blamed for it"
            );
        }
    }

    fn quarantine(&self, id: NodeId, code: &'static str, now: Timestamp) {
        tracing::warn!(node = %id, code, "node put into quarantine");
        self.shared.pool.quarantine(id, code, now);
    }
}

/// A node's voice is that of the network it comes out of. On this machine every server counts for itself: there one
/// address says nothing about who runs it.
pub(super) fn witness(node: &Outbound) -> Witness {
    let alone = node.on_loopback() && node.record().exit_ip.is_none();
    Witness { id: node.id(), network: if alone { hash_key(&node.id()) } else { node.exit_network() } }
}
