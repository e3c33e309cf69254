//! Changes that wait to be written, at most one per node, source and session, however often they change.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    net::IpAddr,
    sync::Arc,
};

use hezar_core::{NodeId, Record, Timestamp};

use crate::{
    AnnotationRow, BanRow, Change, DashboardKind, DashboardRow, HistoryRow, HistoryStep, NodeRow, SessionName,
    SessionRow, SiteBanRow, SourceRow,
};

/// What has gathered. Writing [`Pending::take`]'s changes has the same effect as writing everything that was added, in
/// its order.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    // Ordered by id: neighbours in the table are written together.
    nodes: BTreeMap<NodeId, NodeNews>,
    sources: BTreeMap<Arc<str>, SourceNews>,
    listings: BTreeMap<Arc<str>, ListingNews>,
    /// Newer than `listings`.
    listed: BTreeMap<NodeId, Vec<Arc<str>>>,
    sessions: BTreeMap<SessionName, SessionNews>,
    /// `None` = lifted.
    bans: BTreeMap<NodeId, Option<BanRow>>,
    site_bans: BTreeMap<(Box<str>, IpAddr), SiteBanNews>,
    /// `None` = removed.
    annotations: BTreeMap<NodeId, Option<AnnotationRow>>,
    /// `None` = removed.
    dashboard: BTreeMap<(DashboardKind, Box<str>), Option<DashboardRow>>,
    /// `None` = given up.
    unreadable: BTreeMap<Box<str>, Option<Timestamp>>,
    history: BTreeMap<(HistoryStep, Timestamp), HistoryRow>,
    /// Older rows than these are forgotten.
    pruned: BTreeMap<HistoryStep, Timestamp>,
}

#[derive(Debug, Default)]
struct NodeNews {
    /// Removed at least once: what listed it must be forgotten before it comes back.
    removed: bool,
    put: Option<Put>,
}

#[derive(Debug)]
enum Put {
    Row(NodeRow),
    Record(Record),
}

#[derive(Debug)]
enum SessionNews {
    Put(SessionRow),
    Removed { ends: Timestamp },
}

#[derive(Debug)]
enum SiteBanNews {
    Put(SiteBanRow),
    Removed { until: Timestamp },
}

#[derive(Debug, Default)]
struct SourceNews {
    removed: bool,
    put: Option<SourceRow>,
}

#[derive(Debug, Default)]
struct ListingNews {
    complete: bool,
    ids: HashSet<NodeId>,
}

impl Pending {
    /// Rows that wait, roughly.
    pub(crate) fn weight(&self) -> usize {
        let listed: usize = self.listings.values().map(|listing| listing.ids.len().max(1)).sum();
        let rest = self.sources.len() + self.sessions.len() + self.bans.len() + self.site_bans.len();
        let rest = rest
            + self.annotations.len()
            + self.dashboard.len()
            + self.unreadable.len()
            + self.history.len()
            + self.pruned.len();
        self.nodes.len() + self.listed.len() + listed + rest
    }

    pub(crate) fn add(&mut self, change: Change) {
        match change {
            Change::PutNode(row) => {
                let news = self.nodes.entry(row.id).or_default();
                news.put = Some(Put::Row(row));
            }
            Change::PutRecord(id, record) => self.put_record(id, record),
            Change::RemoveNode(id) => self.remove_node(id),
            Change::PutSource(row) => {
                let news = self.sources.entry(Arc::clone(&row.name)).or_default();
                news.put = Some(row);
            }
            Change::RemoveSource(name) => {
                self.listings.remove(&name);
                self.listed.values_mut().for_each(|sources| sources.retain(|source| *source != name));
                *self.sources.entry(name).or_default() = SourceNews { removed: true, put: None };
            }
            Change::SetListing { source, ids, complete } => self.set_listing(source, ids, complete),
            Change::ListNode { id, sources } => {
                self.listed.insert(id, sources);
            }
            Change::PutSession(row) => {
                self.sessions.insert(row.name.clone(), SessionNews::Put(row));
            }
            Change::RemoveSession { name, ends } => {
                self.sessions.insert(name, SessionNews::Removed { ends });
            }
            Change::PutBan(row) => {
                self.bans.insert(row.id, Some(row));
            }
            Change::RemoveBan(id) => {
                self.bans.insert(id, None);
            }
            Change::PutSiteBan(row) => {
                self.site_bans.insert((row.site.clone(), row.exit), SiteBanNews::Put(row));
            }
            Change::RemoveSiteBan { site, exit, until } => {
                self.site_bans.insert((site, exit), SiteBanNews::Removed { until });
            }
            Change::PutAnnotation(row) => {
                self.annotations.insert(row.id, Some(row));
            }
            Change::RemoveAnnotation(id) => {
                self.annotations.insert(id, None);
            }
            Change::PutDashboard(row) => {
                self.dashboard.insert((row.kind, row.key.clone()), Some(row));
            }
            Change::RemoveDashboard(kind, key) => {
                self.dashboard.insert((kind, key), None);
            }
            Change::MarkUnreadable(id, since) => {
                self.unreadable.insert(id, Some(since));
            }
            Change::RemoveUnreadable(id) => {
                self.unreadable.insert(id, None);
            }
            Change::PutHistory(row) => {
                self.history.insert((row.step, row.at), row);
            }
            Change::PruneHistory { step, before } => self.prune_history(step, before),
        }
    }

    fn put_record(&mut self, id: NodeId, record: Record) {
        let news = self.nodes.entry(id).or_default();
        match &mut news.put {
            Some(Put::Row(row)) => row.record = record,
            Some(Put::Record(old)) => *old = record,
            // Removed and not put again: there is nothing to measure.
            None if news.removed => {}
            None => news.put = Some(Put::Record(record)),
        }
    }

    fn prune_history(&mut self, step: HistoryStep, before: Timestamp) {
        self.history.retain(|(known, at), _| *known != step || *at >= before);
        let latest = self.pruned.entry(step).or_default();
        *latest = before.max(*latest);
    }

    fn remove_node(&mut self, id: NodeId) {
        *self.nodes.entry(id).or_default() = NodeNews { removed: true, put: None };
        self.listed.remove(&id);
        for listing in self.listings.values_mut() {
            listing.ids.remove(&id);
        }
    }

    fn set_listing(&mut self, source: Arc<str>, ids: Vec<NodeId>, complete: bool) {
        if complete {
            self.listed.values_mut().for_each(|sources| sources.retain(|known| *known != source));
        }
        for id in &ids {
            if let Some(sources) = self.listed.get_mut(id).filter(|sources| !sources.contains(&source)) {
                sources.push(Arc::clone(&source));
            }
        }
        let listing = self.listings.entry(source).or_default();
        if complete {
            listing.complete = true;
            listing.ids.clear();
        }
        listing.ids.extend(ids);
    }

    /// Takes everything, in the order in which it has to be written: unreadable rows first, so that a node that is put is
    /// readable again; then nodes are removed, put and changed; then sources, what they list, sessions, bans, annotations and the
    /// history.
    pub(crate) fn take(&mut self) -> Vec<Change> {
        let (nodes, sources, listings) =
            (std::mem::take(&mut self.nodes), std::mem::take(&mut self.sources), std::mem::take(&mut self.listings));
        let unreadable = std::mem::take(&mut self.unreadable).into_iter();
        let mut changes: Vec<Change> = unreadable
            .map(|(id, since)| match since {
                Some(since) => Change::MarkUnreadable(id, since),
                None => Change::RemoveUnreadable(id),
            })
            .collect();
        let gone = nodes.iter().filter(|(_, news)| news.removed).map(|(id, _)| Change::RemoveNode(*id));
        changes.extend(gone);
        let mut measured = Vec::new();
        for (id, news) in nodes {
            match news.put {
                Some(Put::Row(row)) => changes.push(Change::PutNode(row)),
                Some(Put::Record(record)) => measured.push(Change::PutRecord(id, record)),
                None => {}
            }
        }
        changes.append(&mut measured);
        for (name, news) in sources {
            changes.extend(news.removed.then_some(Change::RemoveSource(name)));
            changes.extend(news.put.map(Change::PutSource));
        }
        changes.extend(listings.into_iter().map(|(source, news)| Change::SetListing {
            source,
            ids: news.ids.into_iter().collect(),
            complete: news.complete,
        }));
        let listed = std::mem::take(&mut self.listed).into_iter();
        changes.extend(listed.map(|(id, sources)| Change::ListNode { id, sources }));
        let sessions = std::mem::take(&mut self.sessions).into_iter();
        changes.extend(sessions.map(|(name, news)| match news {
            SessionNews::Put(row) => Change::PutSession(row),
            SessionNews::Removed { ends } => Change::RemoveSession { name, ends },
        }));
        let bans = std::mem::take(&mut self.bans).into_iter();
        changes.extend(bans.map(|(id, row)| row.map_or(Change::RemoveBan(id), Change::PutBan)));
        let site_bans = std::mem::take(&mut self.site_bans).into_iter();
        changes.extend(site_bans.map(|((site, exit), news)| match news {
            SiteBanNews::Put(row) => Change::PutSiteBan(row),
            SiteBanNews::Removed { until } => Change::RemoveSiteBan { site, exit, until },
        }));
        let pruned = std::mem::take(&mut self.pruned).into_iter();
        changes.extend(pruned.map(|(step, before)| Change::PruneHistory { step, before }));
        changes.extend(std::mem::take(&mut self.history).into_values().map(Change::PutHistory));
        let annotations = std::mem::take(&mut self.annotations).into_iter();
        changes.extend(annotations.map(|(id, row)| row.map_or(Change::RemoveAnnotation(id), Change::PutAnnotation)));
        let dashboard = std::mem::take(&mut self.dashboard).into_iter();
        changes
            .extend(dashboard.map(|((kind, key), row)| {
                row.map_or_else(|| Change::RemoveDashboard(kind, key), Change::PutDashboard)
            }));
        changes
    }
}

/// Cuts changes into batches of about `limit` rows, each of at least one change.
pub(crate) fn split(changes: Vec<Change>, limit: usize) -> VecDeque<Vec<Change>> {
    let mut batches = VecDeque::new();
    let (mut batch, mut weight) = (Vec::new(), 0);
    for change in changes {
        if !batch.is_empty() && weight + change.weight() > limit {
            batches.push_back(std::mem::take(&mut batch));
            weight = 0;
        }
        weight += change.weight();
        batch.push(change);
    }
    if !batch.is_empty() {
        batches.push_back(batch);
    }
    batches
}
