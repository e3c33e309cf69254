//! What was seen of nodes: by probes, by clients' requests, and at single sites.

use hezar_core::{Code, NodeId, SiteKey, Stage, Timestamp};

use super::Pool;
use crate::{
    Anonymity, ChangeKind, ChangedNode, HttpAbility, Node, Outcome, Quarantine, SiteEvidence, SiteVerdict, pick,
};

/// The most nodes behind one exit that a site is spared at once.
const TWINS: usize = 64;

impl<D: Clone + Send + Sync + 'static> Pool<D> {
    /// Takes in evidence about a node. A node that is gone is ignored.
    pub fn report(&self, id: NodeId, outcome: &Outcome, now: Timestamp) {
        self.sites.advance(now);
        let Some(node) = self.node(id) else { return };
        let was_routable = node.routable();
        let observed = node.observe(outcome, now, &self.rules.load());
        if !observed.counted {
            return;
        }
        match &outcome.result {
            Ok(_) => self.servers.close(&node),
            // Of nodes that carry nothing anyway there are too many to remember.
            Err(failure) if failure.stage <= Stage::Connect && was_routable => self.servers.trip(&node, now),
            Err(_) => {}
        }
        if matches!(&outcome.result, Ok(success) if success.exit.is_some()) {
            self.atlas.locate(&node);
        }
        if observed.moved {
            self.place(&node);
        }
        let kind = if observed.state { ChangeKind::State } else { ChangeKind::Record };
        self.watchers.notify(&[ChangedNode { id, kind }]);
    }

    /// Leaves a node alone for a moment that cannot be dialled by no fault of its own: it is not picked for a second, and nothing counts
    /// against it.
    pub fn rest(&self, id: NodeId, now: Timestamp) {
        if let Some(node) = self.node(id) {
            node.rest(now);
        }
    }

    /// Takes in the speed of one transfer through a node, in bytes a second. It counts for the node and for its exit.
    pub fn record_throughput(&self, id: NodeId, bytes_per_sec: f32, now: Timestamp) {
        let Some(node) = self.node(id) else { return };
        node.record_throughput(bytes_per_sec, now);
        self.exit_throughputs.record(node.exit(), bytes_per_sec, now);
    }

    /// The smoothed speed of clients' transfers through a node in bytes a second, or of those behind its exit while the node
    /// itself has moved little; see [`Node::throughput`]. It is learned anew after a restart.
    #[must_use]
    pub fn throughput(&self, node: &Node<D>) -> Option<f32> {
        self.tables().throughput(node)
    }

    /// Takes in what was seen of a node at one site. It
    /// says nothing about the node at any other site, and is forgotten after some hours. A site that refuses a node
    /// refuses the address it comes from, so the other nodes behind that exit are spared it, too, if it is known.
    pub fn report_site(&self, id: NodeId, site: SiteKey, verdict: SiteVerdict, now: Timestamp) {
        self.sites.note(site, id, verdict, now);
        if verdict != SiteVerdict::Blocked {
            return;
        }
        let Some(node) = self.node(id).filter(|node| node.record().exit_ip.is_some()) else { return };
        let snapshot = self.snapshot.load();
        for twin in pick::behind(&snapshot, node.exit(), TWINS).filter(|twin| *twin != id) {
            self.sites.note(site, twin, verdict, now);
        }
    }

    /// What is known of a node at one site, if anything speaks against it there.
    #[must_use]
    pub fn site_evidence(&self, id: NodeId, site: SiteKey) -> Option<SiteEvidence> {
        self.sites.evidence(site, id)
    }

    /// Takes a node out of service because it was caught changing what passes through it. It is still checked.
    pub fn quarantine(&self, id: NodeId, code: impl Into<Code>, now: Timestamp) {
        self.set_quarantine(id, Some(Quarantine { code: code.into(), since: now }));
    }

    /// Lets a node out of quarantine.
    pub fn release(&self, id: NodeId) {
        self.set_quarantine(id, None);
    }

    fn set_quarantine(&self, id: NodeId, quarantine: Option<Quarantine>) {
        let Some(node) = self.node(id) else { return };
        if node.set_quarantine(quarantine) {
            self.place(&node);
            self.watchers.notify(&[ChangedNode { id, kind: ChangeKind::State }]);
        }
    }

    /// Notes what an HTTP proxy was seen to carry, for [`Query::need`](crate::Query::need). What it was seen to give away stays known.
    pub fn set_http_ability(&self, id: NodeId, ability: HttpAbility) {
        self.update_http_ability(id, |known| {
            known.seen_anonymity().map_or(ability, |seen| ability.with_anonymity(seen))
        });
    }

    /// Notes how much an HTTP proxy was seen to give away to the targets of plain requests.
    pub fn set_anonymity(&self, id: NodeId, seen: Anonymity) {
        self.update_http_ability(id, |known| known.with_anonymity(seen));
    }

    fn update_http_ability(&self, id: NodeId, change: impl Fn(HttpAbility) -> HttpAbility) {
        let Some(node) = self.node(id) else { return };
        let (before, now) = node.update_http_ability(change);
        if before == now {
            return;
        }
        if before.anonymity() != now.anonymity() {
            // A filter may ask for it.
            self.place(&node);
        }
        self.watchers.notify(&[ChangedNode { id, kind: ChangeKind::Record }]);
    }

    /// Marks a node that no dialer can be built for: it is kept and counted, but neither probed nor routed. `code` is
    /// the stable code of the reason. Listing or restoring does not undo it; [`Pool::clear_unsupported`] does, and a new process asks again.
    pub fn mark_unsupported(&self, id: NodeId, code: impl Into<Code>) {
        let Some(node) = self.node(id) else { return };
        if node.set_unsupported(Some(code.into())) {
            self.place(&node);
            self.watchers.notify(&[ChangedNode { id, kind: ChangeKind::State }]);
        }
    }

    /// Takes [`Pool::mark_unsupported`] back: the node is probed again, and routed as its state says.
    pub fn clear_unsupported(&self, id: NodeId) {
        let Some(node) = self.node(id) else { return };
        if node.set_unsupported(None) {
            self.place(&node);
            self.watchers.notify(&[ChangedNode { id, kind: ChangeKind::State }]);
        }
    }
}
