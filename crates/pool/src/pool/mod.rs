//! The pool: every known node, changed by listings and evidence, asked for the best one.

mod by_id;
mod explain;
mod list;
mod room;

pub use explain::{Candidate, Excluded, Explanation};

use std::{collections::HashSet, net::IpAddr, sync::Arc};

use arc_swap::ArcSwap;
use hezar_core::{Code, NodeId, SessionKey, SiteKey, Stage, Timestamp};
use parking_lot::{Mutex, RwLock};

use by_id::NodeById;

use crate::{
    Annotation, Anonymity, Applied, Atlas, ChangeKind, ChangedNode, Filter, FilterId, HttpAbility, INSECURE, Lease,
    LeftOut, Node, Outcome, Pinned, PoolChange, Quarantine, Query, Rules, SiteBan, SiteEvidence, SiteVerdict, Snapshot,
    SourceName, TooManyFilters, Watch,
    atlas::CurrentAtlas,
    exit_throughput::ExitThroughputs,
    index::Index,
    pick::{self, Tables},
    servers::ServerTable,
    sessions::{SessionPin, SessionTable},
    sites::SiteTable,
    sources::SourceTable,
    watch::Watchers,
};

/// Parts of the index by id; a power of two.
const SHARDS: usize = 16;
/// The most nodes behind one exit that a site is spared at once.
const TWINS: usize = 64;

/// All known nodes, each with a payload `D` built on first use (in practice its dialer).
///
/// Deterministic: the time and the randomness are arguments, and no task runs inside. Lock order, outermost first:
/// sources, index, a part of the table by id, the facts of one node, the queue of one watch. [`Pool::pick`] takes none of
/// them, only a part of the table of sessions when the query has one.
#[derive(Debug)]
pub struct Pool<D> {
    rules: ArcSwap<Rules>,
    by_id: [RwLock<ById<D>>; SHARDS],
    snapshot: ArcSwap<Snapshot<D>>,
    index: Mutex<Index<D>>,
    sources: Mutex<SourceTable>,
    sessions: SessionTable,
    pub(crate) sites: SiteTable,
    servers: ServerTable,
    pub(crate) atlas: CurrentAtlas,
    exit_throughputs: ExitThroughputs,
    watchers: Watchers,
}

/// The nodes by their identity, which each holds itself.
type ById<D> = HashSet<NodeById<D>, ahash::RandomState>;

impl<D: Clone + Send + Sync + 'static> Pool<D> {
    /// An empty pool.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        let index = Index::new();
        Self {
            sessions: SessionTable::new(rules.sessions),
            sites: SiteTable::new(),
            servers: ServerTable::new(),
            atlas: CurrentAtlas::default(),
            exit_throughputs: ExitThroughputs::new(),
            rules: ArcSwap::from_pointee(rules),
            by_id: std::array::from_fn(|_| RwLock::default()),
            snapshot: ArcSwap::from_pointee(index.publish()),
            index: Mutex::new(index),
            sources: Mutex::new(SourceTable::default()),
            watchers: Watchers::new(),
        }
    }

    /// The thresholds.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Changes the thresholds. They decide about what comes from now on; where there are too many nodes now, the next
    /// [`Pool::tick`] removes some. Nodes that take any certificate are used or left out at once.
    pub fn set_rules(&self, rules: Rules) {
        self.sessions.set_most(rules.sessions);
        let allow_insecure = rules.allow_insecure;
        // No node comes in between by the old rule and is missed.
        let _sources = self.sources.lock();
        if self.rules.swap(Arc::new(rules)).allow_insecure == allow_insecure {
            return;
        }
        for node in self.snapshot().nodes().filter(|node| node.insecure()) {
            match node.unsupported() {
                Some(code) if allow_insecure && code == INSECURE => self.clear_unsupported(node.id()),
                None if !allow_insecure => self.mark_unsupported(node.id(), INSECURE),
                _ => {}
            }
        }
    }

    /// Changes the set of nodes. Large changes are published in slices, so that reports need not wait long.
    pub fn apply(&self, change: PoolChange, now: Timestamp) -> Applied {
        match change {
            PoolChange::List { source, allow_private, nodes, complete } => {
                self.list(&source, allow_private, nodes, complete, now)
            }
            PoolChange::DropSource(source) => self.drop_source(&source, now),
            PoolChange::Remove(ids) => self.remove(&ids),
            PoolChange::Restore(nodes) => self.restore(nodes, now),
        }
    }

    /// Picks a node and takes a lease on it; nothing when no routable node fits. `rng` is a fresh random number.
    ///
    /// Costs O(1) in the number of nodes (consistent hashing: O(log n)) as long as a fair share of the view fits, and
    /// waits for no writer. When nearly all nodes are excluded it ends with one scan of the view.
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

    /// What is known of exit addresses from now on; every node is looked up again.
    pub fn set_atlas(&self, atlas: Option<Arc<dyn Atlas>>) {
        self.atlas.set(atlas.clone());
        let Some(atlas) = atlas else { return };
        self.snapshot().nodes().for_each(|node| node.locate(&*atlas));
    }

    /// Whether it is known to which autonomous systems exits belong.
    #[must_use]
    pub fn knows_asn(&self) -> bool {
        self.atlas.get().is_some_and(|atlas| atlas.knows_asn())
    }

    /// Whether it is known in which cities exits are.
    #[must_use]
    pub fn knows_city(&self) -> bool {
        self.atlas.get().is_some_and(|atlas| atlas.knows_city())
    }

    /// Does not use an exit for a site until the ban ends, unless the site refuses all others. There are at most 65,536 bans; one more
    /// ends the one that would end first.
    pub fn ban_exit(&self, ban: SiteBan) {
        self.sites.bans.insert(ban);
    }

    /// Ends the ban of an exit for a site; says whether there was one.
    pub fn lift_exit_ban(&self, site: &str, exit: IpAddr) -> bool {
        self.sites.bans.remove(site, exit)
    }

    /// The bans that hold now, those that end first in front.
    #[must_use]
    pub fn exit_bans(&self, now: Timestamp) -> Vec<SiteBan> {
        self.sites.bans.list(now)
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

    /// Keeps nodes away from now on, whatever lists them; those that are there stay until they are removed.
    pub fn ban(&self, ids: impl IntoIterator<Item = NodeId>) {
        self.sources.lock().banned.extend(ids);
    }

    /// Lets a banned node come back with the next list that names it; says whether it was banned.
    pub fn lift(&self, id: NodeId) -> bool {
        self.sources.lock().banned.remove(&id)
    }

    /// Notes what an operator says about nodes from now on, also about those that are not there; `None` = nothing.
    pub fn annotate(&self, annotations: Vec<(NodeId, Option<Annotation>)>) {
        // Held to the end: a node that comes meanwhile has its annotation too.
        let mut table = self.sources.lock();
        for slice in annotations.chunks(list::SLICE) {
            let mut news = Vec::new();
            let mut index = self.index.lock();
            for (id, annotation) in slice {
                let annotation = annotation.clone().map(Arc::new);
                match &annotation {
                    Some(annotation) => table.annotations.insert(*id, Arc::clone(annotation)),
                    None => table.annotations.remove(id),
                };
                let Some(node) = self.node(*id) else { continue };
                node.set_annotation(annotation);
                index.place(&node);
                news.push(ChangedNode { id: *id, kind: ChangeKind::State });
            }
            self.publish(&index);
            drop(index);
            self.watchers.notify(&news);
        }
    }

    /// What is known of a node at one site, if anything speaks against it there.
    #[must_use]
    pub fn site_evidence(&self, id: NodeId, site: SiteKey) -> Option<SiteEvidence> {
        self.sites.evidence(site, id)
    }

    /// Notes what an HTTP proxy was seen to carry, for [`Query::need`]. What it was seen to give away stays known.
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

    /// Keeps views for a filter from now on, for [`Query::filter`].
    ///
    /// # Errors
    /// [`TooManyFilters`]: the number of views is bounded.
    pub fn add_filter(&self, filter: Filter) -> Result<FilterId, TooManyFilters> {
        let mut index = self.index.lock();
        let id = index.add_filter(filter)?;
        self.publish(&index);
        Ok(id)
    }

    /// Ends the views of a filter; says whether there was such a filter. A query that still names it finds no node.
    pub fn remove_filter(&self, id: FilterId) -> bool {
        let mut index = self.index.lock();
        let removed = index.remove_filter(id);
        if removed {
            self.publish(&index);
        }
        removed
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

    /// The node with this id.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<Arc<Node<D>>> {
        self.shard(id).read().get(&id).map(|node| Arc::clone(&node.0))
    }

    /// The pool at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot<D>> {
        self.snapshot.load_full()
    }

    /// The sources, each with its permission and the number of nodes that it lists, in the order of their names.
    #[must_use]
    pub fn sources(&self) -> Vec<(SourceName, bool, usize)> {
        self.sources.lock().summary()
    }

    /// Counts nodes of a source's last list that were not even given to the pool, because it lists too many.
    pub fn leave_out(&self, source: &SourceName, count: usize) {
        self.sources.lock().leave_out(source, count);
    }

    /// What the last list of each source named beyond the bounds, for sources where that is anything.
    #[must_use]
    pub fn left_out(&self) -> Vec<(SourceName, LeftOut)> {
        self.sources.lock().left_out()
    }

    /// A list of the nodes that change from now on, in whatever way.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.watchers.subscribe(ChangeKind::Record)
    }

    /// A list of the nodes that come, go, change their state or their listings from now on.
    #[must_use]
    pub fn watch_states(&self) -> Watch {
        self.watchers.subscribe(ChangeKind::State)
    }

    /// Forgets the nodes that no source lists and that were dead, or never worked, for long enough, and what is beyond
    /// the bounds; returns how many. Cheap when there is nothing to do; call it about once a minute.
    pub fn tick(&self, now: Timestamp) -> usize {
        self.sites.advance(now);
        self.sites.bans.expire(now);
        self.forget(now)
    }

    /// Brings the views in line with one node.
    fn place(&self, node: &Node<D>) {
        let mut index = self.index.lock();
        if index.place(node) {
            self.publish(&index);
        }
    }

    fn tables(&self) -> Tables<'_> {
        Tables { sites: &self.sites, servers: &self.servers, exits: &self.exit_throughputs }
    }

    fn publish(&self, index: &Index<D>) {
        self.snapshot.store(Arc::new(index.publish()));
    }

    fn shard(&self, id: NodeId) -> &RwLock<ById<D>> {
        // Identities are hashes: any byte will do, but not one that the ring sorts by.
        &self.by_id[id.as_bytes()[15] as usize % SHARDS]
    }
}
