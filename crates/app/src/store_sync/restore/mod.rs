//! From the store's rows to the pool, at the start; what the rows lack or have wrong is written back.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    thread,
    time::Duration,
};

use hezar_core::{GroupMember, Label, Listing, NodeId, NodeSpec, SourceName, Timestamp};
use hezar_formats::{LinkReader, RejectCode, parse_link};
use hezar_pool::{Node, PoolChange, Restored};
use hezar_probe::Geo;
use hezar_store::{
    BanRow, Change, DashboardKind, DashboardRow, NodeRow, SessionRow, SourceNodes, SourceRow, StrangeRow,
};

use super::nodes;
use crate::nodes::{Nodes, Payload};

/// How long a row that no build understands is kept: a newer version may have written it and may come back.
pub(crate) const KEEP_UNREADABLE: Duration = Duration::from_secs(30 * 86_400);
/// Why a row cannot be used whose id or state is none.
const NO_ROW: &str = "not-a-row";

/// What came of the store's rows.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Nodes that serve or are checked now.
    pub(crate) nodes: usize,
    /// Rows that this build does not understand, by the code of the reason. They are kept for [`KEEP_UNREADABLE`].
    pub(crate) unreadable: BTreeMap<&'static str, usize>,
    /// What has to be written so that the store says the same as the pool.
    pub(crate) repairs: Vec<Change>,
    /// Ids that an older build made otherwise, with those of this build.
    pub(crate) renamed: HashMap<NodeId, NodeId>,
}

/// One node, from one row or from several that have become one node.
struct RestoredNode {
    spec: NodeSpec,
    sources: Vec<Listing>,
    row: NodeRow,
}

/// Puts the rows of the store into the pool, part by part.
pub(crate) struct Restorer<'a> {
    pool: &'a Nodes,
    geo: Option<&'a dyn Geo>,
    now: Timestamp,
    listings: StoredListings,
    loaded: Loaded,
    /// Nodes whose rows have the id of another build: several of them, and one that is in the pool already, may be one.
    renamed: BTreeMap<NodeId, RestoredNode>,
    /// Nodes that no source lists and whose rows do not say since when: those of older versions.
    undated: Vec<NodeId>,
}

/// Who lists which node: in a form that is small, since a million nodes are listed.
pub(crate) struct StoredListings {
    /// The sources, with what the configuration allows them now.
    sources: BTreeMap<SourceName, bool>,
    lists: Vec<Listing>,
    /// The nodes, each with the index of a list that names it, in their order.
    listed: Vec<(NodeId, u32)>,
}

impl StoredListings {
    fn new(stored: Vec<SourceNodes>, sources: &[SourceRow]) -> Self {
        let sources: BTreeMap<SourceName, bool> =
            sources.iter().map(|row| (Arc::clone(&row.name), row.allow_private)).collect();
        let mut listings = Self { sources, lists: Vec::new(), listed: Vec::new() };
        for SourceNodes { source, ids } in stored {
            let number = u32::try_from(listings.lists.len()).unwrap_or(u32::MAX);
            listings.listed.extend(ids.into_iter().map(|id| (id, number)));
            listings.lists.push(listings.listing(source));
        }
        listings.listed.sort_unstable();
        listings
    }

    /// Who lists which node, whatever the sources may do.
    pub(crate) fn of_rows(stored: Vec<SourceNodes>) -> Self {
        Self::new(stored, &[])
    }

    /// The sources that list a node.
    pub(crate) fn sources_of(&self, id: NodeId) -> Vec<SourceName> {
        self.of_node(id).into_iter().map(|listing| listing.source).collect()
    }

    /// A listing with the permission that its source has now.
    fn listing(&self, source: SourceName) -> Listing {
        let allow_private = self.sources.get(&source).copied().unwrap_or(false);
        Listing { source, allow_private }
    }

    /// The listings of one node.
    fn of_node(&self, id: NodeId) -> Vec<Listing> {
        let first = self.listed.partition_point(|(listed, _)| *listed < id);
        let named = self.listed.iter().skip(first).take_while(|(listed, _)| *listed == id);
        named.filter_map(|(_, number)| self.lists.get(*number as usize).cloned()).collect()
    }
}

impl<'a> Restorer<'a> {
    /// `listings` is what the store says about who lists what, `sources` which source allows private addresses now.
    pub(crate) fn new(
        listings: Vec<SourceNodes>,
        sources: &[SourceRow],
        pool: &'a Nodes,
        geo: Option<&'a dyn Geo>,
        now: Timestamp,
    ) -> Self {
        Self {
            pool,
            geo,
            now,
            listings: StoredListings::new(listings, sources),
            loaded: Loaded::default(),
            renamed: BTreeMap::new(),
            undated: Vec::new(),
        }
    }

    /// Takes rows in.
    pub(crate) fn take(&mut self, rows: Vec<NodeRow>, strange: Vec<StrangeRow>) {
        let links = read_links(&rows);
        let mut restored = Vec::with_capacity(rows.len());
        for (row, link) in rows.into_iter().zip(links) {
            match link {
                Ok((spec, id)) => restored.extend(self.row(row, spec, id)),
                Err(code) => {
                    self.loaded.unreadable(code.code(), row.id.to_string().into(), row.unreadable_since, self.now);
                }
            }
        }
        for StrangeRow { id, since } in strange {
            self.loaded.unreadable(NO_ROW, id, since, self.now);
        }
        self.pool.restore_part(restored, self.now);
    }

    /// What becomes of one row, whose link describes a node with this id; nothing yet when the row has the id of another build.
    fn row(&mut self, row: NodeRow, spec: NodeSpec, id: NodeId) -> Option<Restored> {
        let stored_id = row.id;
        let sources = self.listings.of_node(stored_id);
        let readable_again = row.unreadable_since.is_some();
        let found = RestoredNode { spec, sources, row: NodeRow { id, unreadable_since: None, ..row } };
        if id == stored_id {
            if readable_again {
                self.loaded.repairs.extend(found.repairs());
            }
            return Some(self.restored(found));
        }
        self.loaded.renamed.insert(stored_id, id);
        self.loaded.repairs.push(Change::RemoveNode(stored_id));
        match self.renamed.get_mut(&id) {
            Some(known) => known.absorb(found),
            None => {
                self.renamed.insert(id, found);
            }
        }
        None
    }

    fn restored(&mut self, found: RestoredNode) -> Restored {
        let RestoredNode { spec, sources, row } = found;
        if sources.is_empty() && row.record.unlisted_since.is_none() {
            self.undated.push(row.id);
        }
        let mut record = row.record;
        let known = record.exit_ip.and_then(|ip| self.geo?.country(ip));
        record.country = known.or(record.country);
        let kept_from = row.kept_from.map(|source| self.listings.listing(source));
        Restored { id: row.id, spec, label: Label::new(&row.label), sources, kept_from, record }
    }

    /// Puts in what had to wait for the last row, and says what came of them all.
    pub(crate) fn finish(mut self) -> Loaded {
        self.pool.finish_restore();
        let mut late = Vec::with_capacity(self.renamed.len());
        for (id, found) in std::mem::take(&mut self.renamed) {
            let found = match self.pool.node(id) {
                Some(node) => {
                    self.pool.apply(PoolChange::Remove(vec![id]), self.now);
                    let mut known = RestoredNode::in_pool(&node);
                    known.absorb(found);
                    known
                }
                None => found,
            };
            self.loaded.repairs.extend(found.repairs());
            late.push(self.restored(found));
        }
        self.pool.apply(PoolChange::Restore(late), self.now);
        let undated = self.undated.iter().filter_map(|id| self.pool.node(*id));
        self.loaded.repairs.extend(undated.map(|node| Change::PutRecord(node.id(), node.record())));
        self.loaded.nodes = self.pool.snapshot().counts().total();
        self.loaded
    }
}

impl RestoredNode {
    /// A node that has been restored from a row with its present id.
    fn in_pool(node: &Node<Payload>) -> Self {
        Self { spec: node.spec().clone(), sources: node.sources(), row: nodes::row(node) }
    }

    /// Another row is the same node.
    fn absorb(&mut self, other: Self) {
        if self.row.label.is_empty() {
            self.row.label = other.row.label;
        }
        for listing in other.sources {
            if !self.sources.iter().any(|known| known.source == listing.source) {
                self.sources.push(listing);
            }
        }
        self.row.record = std::mem::take(&mut self.row.record).merge(other.row.record);
        self.row.kept_from = self.row.kept_from.take().or(other.row.kept_from);
    }

    /// The changes that write the node whole, with who lists it.
    fn repairs(&self) -> [Change; 2] {
        let sources = self.sources.iter().map(|listing| Arc::clone(&listing.source)).collect();
        [Change::PutNode(self.row.clone()), Change::ListNode { id: self.row.id, sources }]
    }
}

impl Loaded {
    /// Counts a row that this build does not understand: it is kept for a while, and then given up.
    fn unreadable(&mut self, reason: &'static str, id: Box<str>, since: Option<Timestamp>, now: Timestamp) {
        *self.unreadable.entry(reason).or_default() += 1;
        match since.filter(|since| *since <= now) {
            None => self.repairs.push(Change::MarkUnreadable(id, now)),
            Some(since) if now.since(since) >= KEEP_UNREADABLE => {
                tracing::warn!(row = %id, reason, "a row that nothing has understood for 30 days is deleted");
                self.repairs.push(Change::RemoveUnreadable(id));
            }
            Some(_) => {}
        }
    }

    /// What dashboards have selected, with the ids that this build gives the nodes.
    pub(crate) fn rename_selections(&mut self, rows: Vec<DashboardRow>) -> Vec<DashboardRow> {
        let mut renamed = Vec::with_capacity(rows.len());
        for mut row in rows {
            let node = match (row.kind, row.value.parse()) {
                (DashboardKind::Selection, Ok(GroupMember::Node(id))) => self.renamed.get(&id),
                _ => None,
            };
            if let Some(id) = node {
                row.value = GroupMember::Node(*id).to_string().into();
                self.repairs.push(Change::PutDashboard(row.clone()));
            }
            renamed.push(row);
        }
        renamed
    }

    /// The sessions with the ids that this build gives their nodes.
    pub(crate) fn rename_sessions(&mut self, rows: Vec<SessionRow>) -> Vec<SessionRow> {
        let mut renamed = Vec::with_capacity(rows.len());
        for mut row in rows {
            if let Some(id) = row.node.and_then(|id| self.renamed.get(&id)) {
                row.node = Some(*id);
                self.repairs.push(Change::PutSession(row.clone()));
            }
            renamed.push(row);
        }
        renamed
    }

    /// Says in the log what could not be read, and what becomes of it.
    pub(crate) fn warn(&self) {
        for (reason, rows) in &self.unreadable {
            tracing::warn!(
                reason,
                rows,
                "the store holds nodes that this version cannot read: they are not used, and deleted after 30 days"
            );
        }
        if !self.renamed.is_empty() {
            tracing::info!(nodes = self.renamed.len(), "nodes have other ids in this version: their rows are moved");
        }
    }
}

/// Reads all links, each with the id that follows from it, on every core: at a start this is what takes time.
pub(crate) fn read_links(rows: &[NodeRow]) -> Vec<Result<(NodeSpec, NodeId), RejectCode>> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(16);
    let share = rows.len().div_ceil(workers).max(1);
    // One reader for all of a share: nodes that go through the same chain share it.
    let read = |rows: &[NodeRow]| {
        let mut links = LinkReader::default();
        let with_id = |(spec, _): (NodeSpec, _)| {
            let id = spec.id();
            (spec, id)
        };
        rows.iter().map(|row| links.read(row.uri.expose()).map(with_id)).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let handles: Vec<_> = rows.chunks(share).map(|rows| (rows, scope.spawn(move || read(rows)))).collect();
        let results = handles.into_iter().flat_map(|(rows, handle)| {
            // Every row has its result, whatever happened to the thread.
            handle.join().unwrap_or_else(|_| rows.iter().map(|_| Err(RejectCode::NotALink)).collect())
        });
        results.collect()
    })
}

/// The bans under the ids that this build makes, and what has to be written for that.
pub(crate) fn bans(rows: Vec<BanRow>) -> (Vec<BanRow>, Vec<Change>) {
    let (mut bans, mut repairs) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        let id = parse_link(row.uri.expose()).map_or(row.id, |(spec, _)| spec.id());
        if id != row.id {
            repairs.push(Change::RemoveBan(row.id));
            repairs.push(Change::PutBan(BanRow { id, ..row.clone() }));
        }
        bans.push(BanRow { id, ..row });
    }
    (bans, repairs)
}

#[cfg(test)]
mod tests;
