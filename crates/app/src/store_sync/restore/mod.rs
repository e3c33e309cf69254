//! From the store's rows to the pool, at the start; what the rows lack or have wrong is written back.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    thread,
    time::Duration,
};

use hezar_core::{Label, NodeId, NodeSpec, Timestamp};
use hezar_formats::{LinkReader, RejectCode, parse_link};
use hezar_pool::{Listing, PoolChange, Restored, SourceName};
use hezar_probe::Geo;
use hezar_store::{BanRow, Change, Contents, NodeRow, SessionRow, SourceRow, StrangeRow};

use crate::{geo::Countries, nodes::Nodes};

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
struct Found {
    spec: NodeSpec,
    label: Box<str>,
    sources: Vec<Listing>,
    row: NodeRow,
    /// Whether its row has to be written anew.
    changed: bool,
}

/// Puts everything that the store held into the pool. `sources` says which source allows private addresses now.
pub(crate) fn restore(
    state: &Contents,
    sources: &[SourceRow],
    pool: &Nodes,
    geo: Option<&Countries>,
    now: Timestamp,
) -> Loaded {
    let private: HashMap<&str, bool> = sources.iter().map(|row| (&*row.name, row.allow_private)).collect();
    let allows = |source: &str| private.get(source).copied().unwrap_or(false);
    let mut listed = listings(state, allows);
    let mut loaded = Loaded::default();
    let mut found: HashMap<NodeId, Found> = HashMap::with_capacity(state.nodes.len());
    let mut order = Vec::with_capacity(state.nodes.len());
    for (row, link) in state.nodes.iter().zip(read_links(&state.nodes)) {
        let sources = listed.remove(&row.id).unwrap_or_default();
        match link {
            Ok(spec) => take(&mut found, &mut order, &mut loaded, spec, row, sources),
            Err(code) => loaded.unreadable(code.code(), row.id.to_string().into(), row.unreadable_since, now),
        }
    }
    for StrangeRow { id, since } in &state.strange {
        loaded.unreadable(NO_ROW, id.clone(), *since, now);
    }
    let mut restored = Vec::with_capacity(order.len());
    let mut unlisted = Vec::new();
    for id in order {
        let Some(found) = found.remove(&id) else { continue };
        // The store of an older version does not say since when.
        if found.sources.is_empty() && found.row.record.unlisted_since.is_none() {
            unlisted.push(id);
        }
        if found.changed {
            loaded.repairs.extend(repairs(&found));
        }
        restored.push(restored_node(found, allows, geo));
    }
    loaded.nodes = restored.len();
    pool.apply(PoolChange::Restore(restored), now);
    let noted = unlisted.iter().filter_map(|id| pool.node(*id));
    loaded.repairs.extend(noted.map(|node| Change::PutRecord(node.id(), node.record())));
    loaded
}

/// Who lists which node.
fn listings(state: &Contents, allows: impl Fn(&str) -> bool) -> HashMap<NodeId, Vec<Listing>> {
    let mut listed: HashMap<NodeId, Vec<Listing>> = HashMap::new();
    for listing in &state.listings {
        let allow_private = allows(&listing.source);
        for id in &listing.ids {
            let source: SourceName = Arc::clone(&listing.source);
            listed.entry(*id).or_default().push(Listing { source, allow_private });
        }
    }
    listed
}

/// Takes one row in, under the id that this build gives it.
fn take(
    found: &mut HashMap<NodeId, Found>,
    order: &mut Vec<NodeId>,
    loaded: &mut Loaded,
    spec: NodeSpec,
    row: &NodeRow,
    sources: Vec<Listing>,
) {
    let id = spec.id();
    let renamed = id != row.id;
    if renamed {
        loaded.renamed.insert(row.id, id);
        loaded.repairs.push(Change::RemoveNode(row.id));
    }
    let changed = renamed || row.unreadable_since.is_some();
    let row = NodeRow { id, unreadable_since: None, ..row.clone() };
    match found.get_mut(&id) {
        Some(known) => known.absorb(row, sources),
        None => {
            order.push(id);
            found.insert(id, Found { spec, label: row.label.clone(), sources, row, changed });
        }
    }
}

impl Found {
    /// Another row has become the same node.
    fn absorb(&mut self, row: NodeRow, sources: Vec<Listing>) {
        self.changed = true;
        if self.label.is_empty() {
            self.label = row.label;
        }
        for listing in sources {
            if !self.sources.iter().any(|known| known.source == listing.source) {
                self.sources.push(listing);
            }
        }
        self.row.record = std::mem::take(&mut self.row.record).merge(row.record);
        self.row.kept_from = self.row.kept_from.take().or(row.kept_from);
    }
}

/// The changes that write a node whole, with who lists it.
fn repairs(found: &Found) -> [Change; 2] {
    let row = NodeRow { label: found.label.clone(), ..found.row.clone() };
    let id = row.id;
    let sources = found.sources.iter().map(|listing| Arc::clone(&listing.source)).collect();
    [Change::PutNode(row), Change::ListNode { id, sources }]
}

fn restored_node(found: Found, allows: impl Fn(&str) -> bool, geo: Option<&Countries>) -> Restored {
    let Found { spec, label, sources, row, .. } = found;
    let mut record = row.record;
    let known = record.exit_ip.and_then(|ip| geo?.country(ip));
    record.country = known.or(record.country);
    let kept_from = row.kept_from.map(|source| Listing { allow_private: allows(&source), source });
    Restored { spec, label: Label::new(&label), sources, kept_from, record }
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

/// Reads all links, on every core: at a start this is what takes time.
fn read_links(rows: &[NodeRow]) -> Vec<Result<NodeSpec, RejectCode>> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(16);
    let share = rows.len().div_ceil(workers).max(1);
    // One reader for all of a share: nodes that go through the same chain share it.
    let read = |rows: &[NodeRow]| {
        let mut links = LinkReader::default();
        rows.iter().map(|row| links.read(row.uri.expose()).map(|(spec, _)| spec)).collect::<Vec<_>>()
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
