//! The pool: every known node, changed by listings and evidence, asked for the best one.

mod adopt;
mod by_id;
mod evidence;
mod explain;
mod hearsay;
mod list;
mod membership;
mod operator;
mod picking;
mod restore;
mod room;

pub use explain::{Candidate, Excluded, Explanation};

use std::{collections::HashSet, net::IpAddr, sync::Arc};

use arc_swap::ArcSwap;
use hezar_core::{NodeId, Timestamp};
use parking_lot::{Mutex, RwLock};

use by_id::NodeById;

use crate::{
    Applied, Atlas, ChangeKind, Filter, FilterId, INSECURE, LeftOut, Node, OwnList, PoolChange, Rules, SiteBan,
    SiteBanChange, Snapshot, SourceName, TooManyFilters, Watch, atlas::CurrentAtlas, exit_throughput::ExitThroughputs,
    index::Index, own_lists::OwnLists, pick::Tables, rare_fits::RareFits, servers::ServerTable, sessions::SessionTable,
    sites::SiteTable, sources::Sources, watch::Watchers,
};

/// Parts of the index by id; a power of two.
const SHARDS: usize = 16;

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
    sources: Sources,
    sessions: SessionTable,
    pub(crate) sites: SiteTable,
    servers: ServerTable,
    pub(crate) atlas: CurrentAtlas,
    exit_throughputs: ExitThroughputs,
    rare_fits: RareFits,
    watchers: Watchers,
    own_lists: OwnLists,
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
            rare_fits: RareFits::new(),
            rules: ArcSwap::from_pointee(rules),
            by_id: std::array::from_fn(|_| RwLock::default()),
            snapshot: ArcSwap::from_pointee(index.publish()),
            index: Mutex::new(index),
            sources: Sources::default(),
            watchers: Watchers::new(),
            own_lists: OwnLists::default(),
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
                let nodes = nodes.into_iter().map(|(spec, label)| (spec.id(), spec, label)).collect();
                self.list(&source, allow_private, nodes, complete, now)
            }
            PoolChange::DropSource(source) => self.drop_source(&source, now),
            PoolChange::Remove(ids) => self.remove(&ids),
            PoolChange::Restore(nodes) => self.restore(nodes, now),
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

    /// Takes over the ban of an exit from another process; it is none of [`Pool::take_exit_ban_changes`].
    pub fn adopt_exit_ban(&self, ban: SiteBan) {
        self.sites.bans.adopt(ban);
    }

    /// Takes over that another process has ended the ban of an exit.
    pub fn adopt_exit_ban_end(&self, site: &str, exit: IpAddr) {
        self.sites.bans.adopt_end(site, exit);
    }

    /// The bans that hold now, those that end first in front.
    #[must_use]
    pub fn exit_bans(&self, now: Timestamp) -> Vec<SiteBan> {
        self.sites.bans.list(now)
    }

    /// Takes what has become of these bans since it was taken last, each once and as it is now. For one consumer. While nobody takes it, at
    /// most 196,608 changes are kept.
    #[must_use]
    pub fn take_exit_ban_changes(&self) -> Vec<SiteBanChange> {
        self.sites.bans.take_changes()
    }

    /// Keeps views for a filter from now on, for [`Query::filter`](crate::Query::filter).
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

    /// The sources, each with its permission and the number of nodes that it lists, in the order of their names. A list that is being
    /// merged now does not count yet, and nobody waits for it here.
    #[must_use]
    pub fn sources(&self) -> Vec<(SourceName, bool, usize)> {
        self.sources.summary().listed.clone()
    }

    /// Counts nodes of a source's last list that were not even given to the pool, because it lists too many.
    pub fn leave_out(&self, source: &SourceName, count: usize) {
        self.sources.lock().leave_out(source, count);
    }

    /// What the last list of each source named beyond the bounds, for sources where that is anything. A list that is being merged now
    /// does not count yet, and nobody waits for it here.
    #[must_use]
    pub fn left_out(&self) -> Vec<(SourceName, LeftOut)> {
        self.sources.summary().left_out.clone()
    }

    /// A list of the nodes that change from now on, in whatever way.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.watchers.subscribe(ChangeKind::Record)
    }

    /// A list of the nodes that this process changes from now on; what [`Pool::adopt`] and its like take over from other processes
    /// is not in it. For whoever writes to a store that other processes write to as well.
    #[must_use]
    pub fn watch_own(&self) -> Watch {
        self.watchers.subscribe_own()
    }

    /// A list of the nodes that come, go, change their state or their listings from now on.
    #[must_use]
    pub fn watch_states(&self) -> Watch {
        self.watchers.subscribe(ChangeKind::State)
    }

    /// Forgets the nodes that no source lists and that were dead, or never worked, for long enough, and what is beyond
    /// the bounds; returns how many. Cheap when there is nothing to do; call it about once a minute.
    pub fn tick(&self, now: Timestamp) -> usize {
        self.advance(now);
        self.forget(now)
    }

    /// Ends bans of exits and forgets old evidence of sites, and no node: for a process that leaves forgetting nodes to another one.
    pub fn advance(&self, now: Timestamp) {
        self.sites.advance(now);
        self.sites.bans.expire(now);
    }

    /// Keeps from now on what this process merges of each source, for [`Pool::take_own_lists`].
    pub fn keep_own_lists(&self) {
        self.own_lists.keep();
    }

    /// Takes what this process has merged since it was taken last: one list a source, and none of a source of which nothing has changed.
    /// Nothing before [`Pool::keep_own_lists`]. For one consumer.
    #[must_use]
    pub fn take_own_lists(&self) -> Vec<OwnList> {
        self.own_lists.take()
    }

    /// Brings the views in line with one node.
    fn place(&self, node: &Node<D>) {
        let mut index = self.index.lock();
        if index.place(node) {
            self.publish(&index);
        }
    }

    fn tables(&self) -> Tables<'_> {
        Tables { sites: &self.sites, servers: &self.servers, exits: &self.exit_throughputs, rare: &self.rare_fits }
    }

    fn publish(&self, index: &Index<D>) {
        self.snapshot.store(Arc::new(index.publish()));
    }

    fn shard(&self, id: NodeId) -> &RwLock<ById<D>> {
        // Identities are hashes: any byte will do, but not one that the ring sorts by.
        &self.by_id[id.as_bytes()[15] as usize % SHARDS]
    }
}
