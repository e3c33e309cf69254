//! Judges nodes by the canaries that they deliver intact, deliver changed or do not deliver.

use hezar_core::{NetworkKey, NodeId, Timestamp, hash64};
use hezar_pool::State;

use super::{CanaryFetch, PoolNode, Runner};
use crate::{
    CanaryResult,
    canary::MISSING,
    tamper_tracker::{Blame, Consequences, Observer},
};

/// The probe URL's number among the canaries: a node that shows another certificate for it tampers, too.
pub(super) const PROBE_URL: usize = usize::MAX;

/// Whether a node that works may carry traffic, judged by the canaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CanaryVerdict {
    /// It may carry traffic.
    Trusted,
    /// It did not deliver what others deliver, or what it delivered cannot be judged yet. The code says which.
    Undecided(&'static str),
    /// It tampers, and is in quarantine.
    Tampered(&'static str),
}

impl Runner {
    /// Judges a node that works by its canaries.
    pub(super) fn judge_canaries(
        &mut self,
        node: &PoolNode,
        canaries: &[CanaryFetch],
        now: Timestamp,
    ) -> CanaryVerdict {
        let observer = observer_of(node);
        let consequences = self.tamper_tracker.intact(observer, PROBE_URL, now);
        self.apply_consequences(consequences, now);
        match canaries {
            [] => CanaryVerdict::Trusted,
            canaries if canaries.iter().all(|fetch| fetch.found.is_none()) => self.judge_missing(node, observer, now),
            canaries => self.judge_delivered(node, observer, canaries, now),
        }
    }

    /// The node delivered none. That is only held against it when others deliver them; a new node is not used until it
    /// delivers one.
    fn judge_missing(&mut self, node: &PoolNode, observer: Observer, now: Timestamp) -> CanaryVerdict {
        self.context.metrics.canary("missing");
        self.tamper_tracker.missed(observer, now);
        let unproven = node.state() == State::New;
        if unproven && self.tamper_tracker.others_deliver(observer, now) {
            CanaryVerdict::Undecided(MISSING)
        } else {
            CanaryVerdict::Trusted
        }
    }

    /// The node delivered at least one, intact or changed.
    fn judge_delivered(
        &mut self,
        node: &PoolNode,
        observer: Observer,
        canaries: &[CanaryFetch],
        now: Timestamp,
    ) -> CanaryVerdict {
        for id in self.tamper_tracker.delivered(observer, now) {
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
                    let consequences = self.tamper_tracker.intact(observer, fetch.page, now);
                    self.apply_consequences(consequences, now);
                }
                Some(CanaryResult::Tampered { code, digest }) => {
                    match self.judge_changed(observer, fetch.page, (code, digest), now) {
                        Blame::Node => caught = Some(code),
                        Blame::Nobody => unsure = Some(code),
                        Blame::Page => {}
                    }
                }
            }
        }
        if let Some(code) = caught {
            return CanaryVerdict::Tampered(code);
        }
        self.release(node, right, now);
        // Another page came intact: that it is unknown whether this one has changed is not held against the node.
        unsure.filter(|_| !right).map_or(CanaryVerdict::Trusted, CanaryVerdict::Undecided)
    }

    /// A node delivered other bytes, or showed another certificate.
    pub(super) fn judge_changed(
        &mut self,
        observer: Observer,
        page: usize,
        what: (&'static str, u64),
        now: Timestamp,
    ) -> Blame {
        self.context.metrics.canary("tampered");
        let (blame, consequences) = self.tamper_tracker.changed(observer, page, what, now);
        self.apply_consequences(consequences, now);
        if blame == Blame::Node {
            self.quarantine(observer.id, what.0, now);
        }
        blame
    }

    /// Lets a node out of quarantine: at once when it only had delivered no page, after a time when it tampered.
    fn release(&self, node: &PoolNode, right: bool, now: Timestamp) {
        let Some(caught) = node.quarantine() else { return };
        let over = now.since(caught.since) >= self.context.config.quarantine;
        if right && (caught.code == MISSING || over) {
            tracing::info!(node = %node.id(), code = caught.code.as_str(), "node leaves quarantine");
            self.context.pool.release(node.id());
        }
    }

    /// Applies what an observation means for other nodes.
    fn apply_consequences(&self, consequences: Consequences, now: Timestamp) {
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

/// The observer that a node counts as: its exit network. On loopback every server counts on its own, since addresses there
/// say nothing about who runs a server.
pub(super) fn observer_of(node: &PoolNode) -> Observer {
    let alone = node.on_loopback() && node.record().exit_ip.is_none();
    Observer {
        id: node.id(),
        network: if alone { NetworkKey(hash64(node.id().as_bytes())) } else { node.exit_network() },
    }
}
