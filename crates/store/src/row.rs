//! The rows: what a store knows about a node and about a source, and what can happen to them.

use std::{collections::HashSet, net::IpAddr, sync::Arc, time::Duration};

use hezar_core::{NodeId, Record, Secret, Timestamp};

use crate::{HistoryRow, HistoryStep};

/// One row of `proxies`.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeRow {
    /// Its identity.
    pub id: NodeId,
    /// The share link. It holds credentials.
    pub uri: Secret,
    /// The name that its publisher gave it.
    pub label: Box<str>,
    /// The source that listed it last, when none does any more.
    pub kept_from: Option<Arc<str>>,
    /// Since when no build has understood its link, as far as this was noted.
    pub unreadable_since: Option<Timestamp>,
    /// What is measured.
    pub record: Record,
}

/// A node that must not come back, whatever lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanRow {
    /// Its identity.
    pub id: NodeId,
    /// The share link, from which the identity can be made anew. It holds credentials.
    pub uri: Secret,
    /// The name that its publisher gave it.
    pub label: Box<str>,
    /// When it was banned.
    pub since: Timestamp,
}

/// An exit that is not used for one site for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteBanRow {
    /// The site: a registrable domain, or an address.
    pub site: Box<str>,
    /// The address that the site sees.
    pub exit: IpAddr,
    /// When it began.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// Who said so and why, for people.
    pub reason: Box<str>,
}

/// What an operator says about a node; it outlives the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnotationRow {
    /// The identity of the node.
    pub id: NodeId,
    /// The share link, from which the identity can be made anew. It holds credentials.
    pub uri: Secret,
    /// It carries nothing and is not probed.
    pub disabled: bool,
    /// It is never forgotten.
    pub pinned: bool,
    /// Words for the expressions of listeners; none holds white space.
    pub tags: Vec<Box<str>>,
    /// A text for people.
    pub note: Box<str>,
    /// When it was changed last.
    pub changed: Timestamp,
}

/// A row of `proxies` that is none of ours: its id or its state cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrangeRow {
    /// The text in its column `id`.
    pub id: Box<str>,
    /// Since when that has been noted.
    pub since: Option<Timestamp>,
}

/// Why the last fetch of a source failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// The stable code.
    pub code: Box<str>,
    /// The text for a person.
    pub text: Box<str>,
}

/// One row of `sources`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRow {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// What it is: `url`, `file`, `inline`, `github`, `telegram`, `manual`, …
    pub kind: Box<str>,
    /// A fingerprint of what exactly it is (its URL, path, repository or channel); `None` in rows of older versions.
    pub origin: Option<Box<str>>,
    /// What the provider says about the subscription, as the fetcher wrote it.
    pub subscription: Option<Box<str>>,
    /// Whether its nodes may have private server addresses.
    pub allow_private: bool,
    /// The last fetch, whatever came of it.
    pub last_fetch: Option<Timestamp>,
    /// The last fetch that succeeded (also when nothing had changed).
    pub last_ok: Option<Timestamp>,
    /// When it is due again.
    pub next_fetch: Option<Timestamp>,
    /// What makes the next fetch conditional, as the fetcher wrote it.
    pub validators: Option<Box<str>>,
    /// Why the last fetch failed; `None` when it did not.
    pub error: Option<SourceError>,
    /// Failed fetches in a row.
    pub failures: u32,
    /// Nodes that the last good fetch listed.
    pub nodes: u32,
    /// Lines that the last good fetch could not use.
    pub rejects: u32,
    /// How long its nodes have lived, all together; fades with time, as the deaths do.
    pub lived: Duration,
    /// How many of them have died meanwhile, in thousandths.
    pub deaths_milli: u32,
    /// Good fetches in a row after which none of its nodes worked.
    pub barren: u32,
}

impl SourceRow {
    /// A source that has never been fetched.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, kind: impl Into<Box<str>>) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            origin: None,
            subscription: None,
            allow_private: false,
            last_fetch: None,
            last_ok: None,
            next_fetch: None,
            validators: None,
            error: None,
            failures: 0,
            nodes: 0,
            rejects: 0,
            lived: Duration::ZERO,
            deaths_milli: 0,
            barren: 0,
        }
    }
}

/// The nodes that one source lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceNodes {
    /// The source.
    pub source: Arc<str>,
    /// Its nodes, in no particular order, each once. [`Store::load`](crate::Store::load) leaves out those that are not in
    /// [`Contents::nodes`].
    pub ids: Vec<NodeId>,
}

/// What names a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionName {
    /// The listener that its user came to.
    pub listener: Box<str>,
    /// Its user.
    pub user: Box<str>,
    /// Its name.
    pub session: Box<str>,
}

/// A session that keeps its exit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Which one.
    pub name: SessionName,
    /// The country that was asked for: two ASCII letters (ISO 3166-1).
    pub country: Option<[u8; 2]>,
    /// Its first request.
    pub began: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// How long it lasts from its first request, or from its last rotation; whole milliseconds.
    pub lasts: Duration,
    /// The address it came out of, when that was known.
    pub exit_ip: Option<IpAddr>,
    /// The node it used last.
    pub node: Option<NodeId>,
}

/// What a dashboard keeps here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DashboardKind {
    /// What is selected in a group of nodes: the key is a [`Group`](hezar_core::Group), the value a
    /// [`GroupMember`](hezar_core::GroupMember).
    Selection,
    /// Settings of its own, as JSON.
    Storage,
}

impl DashboardKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Selection, Self::Storage];

    /// The name in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Selection => "selection",
            Self::Storage => "storage",
        }
    }
}

/// One thing that a dashboard keeps here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DashboardRow {
    /// What it is.
    pub kind: DashboardKind,
    /// Its name, unique among those of its kind.
    pub key: Box<str>,
    /// What is kept.
    pub value: Box<str>,
}

/// Everything that a store holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// Every node.
    pub nodes: Vec<NodeRow>,
    /// Every source.
    pub sources: Vec<SourceRow>,
    /// Who lists what; a source without nodes does not appear.
    pub listings: Vec<SourceNodes>,
    /// Every session.
    pub sessions: Vec<SessionRow>,
    /// Every ban of a node.
    pub bans: Vec<BanRow>,
    /// Every ban of an exit for a site, those that have ended too.
    pub site_bans: Vec<SiteBanRow>,
    /// What operators say about nodes.
    pub annotations: Vec<AnnotationRow>,
    /// What dashboards keep.
    pub dashboard: Vec<DashboardRow>,
    /// Rows of nodes that could not be understood and were left out.
    pub strange: Vec<StrangeRow>,
}

impl Contents {
    /// Adds another part of the same store.
    pub(crate) fn append(&mut self, mut part: Self) {
        self.nodes.append(&mut part.nodes);
        self.sources.append(&mut part.sources);
        self.listings.append(&mut part.listings);
        self.sessions.append(&mut part.sessions);
        self.bans.append(&mut part.bans);
        self.site_bans.append(&mut part.site_bans);
        self.annotations.append(&mut part.annotations);
        self.dashboard.append(&mut part.dashboard);
        self.strange.append(&mut part.strange);
    }

    /// Takes nodes that there are not off the lists, and lists without nodes away.
    pub(crate) fn forget_unknown(&mut self) {
        let known: HashSet<NodeId> = self.nodes.iter().map(|node| node.id).collect();
        self.listings.iter_mut().for_each(|listing| listing.ids.retain(|id| known.contains(id)));
        self.listings.retain(|listing| !listing.ids.is_empty());
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A node is new or has changed: the whole row replaces what was there.
    PutNode(NodeRow),
    /// What is measured about a node has changed. Nothing happens when the node is not there.
    PutRecord(NodeId, Record),
    /// A node is forgotten, and no source lists it any more.
    RemoveNode(NodeId),
    /// A source is new or has changed: the whole row replaces what was there.
    PutSource(SourceRow),
    /// A source is gone, and it lists nothing any more; nodes stay.
    RemoveSource(Arc<str>),
    /// What a source lists. It may name nodes and sources that are put later; those that never are do not appear.
    SetListing {
        /// The source.
        source: Arc<str>,
        /// The nodes it lists.
        ids: Vec<NodeId>,
        /// Whether this is all it lists, or to be added to what it listed before.
        complete: bool,
    },
    /// Which sources list a node: these and no others. Like [`Change::SetListing`], from the node's side.
    ListNode {
        /// The node.
        id: NodeId,
        /// Its sources.
        sources: Vec<Arc<str>>,
    },
    /// A session is new or has changed.
    PutSession(SessionRow),
    /// A session is over.
    RemoveSession(SessionName),
    /// A node must not come back.
    PutBan(BanRow),
    /// A ban is lifted.
    RemoveBan(NodeId),
    /// An exit is not used for a site for a time: the whole row replaces what was there for the two.
    PutSiteBan(SiteBanRow),
    /// The ban of an exit for a site has ended.
    RemoveSiteBan {
        /// The site.
        site: Box<str>,
        /// The address that the site sees.
        exit: IpAddr,
    },
    /// An operator says something about a node: the whole row replaces what was there.
    PutAnnotation(AnnotationRow),
    /// Nothing is said about a node any more.
    RemoveAnnotation(NodeId),
    /// Something that a dashboard keeps is new or has changed.
    PutDashboard(DashboardRow),
    /// A dashboard no longer keeps what has this kind and key.
    RemoveDashboard(DashboardKind, Box<str>),
    /// A row of `proxies` with this text as its id cannot be understood, noted now. A row that is put again can.
    MarkUnreadable(Box<str>, Timestamp),
    /// Such a row is given up.
    RemoveUnreadable(Box<str>),
    /// A row of the history is new or has grown: the whole row replaces what was there.
    PutHistory(HistoryRow),
    /// The rows of the history that stand for `step` each and began before a point in time are forgotten.
    PruneHistory {
        /// Which rows.
        step: HistoryStep,
        /// The point in time.
        before: Timestamp,
    },
}

impl Change {
    /// What it is about, for the log: the kind and the name, no link and no password.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Self::PutNode(row) => format!("node {}", row.id),
            Self::PutRecord(id, _) => format!("record of node {id}"),
            Self::RemoveNode(id) => format!("removal of node {id}"),
            Self::PutSource(row) => format!("source {:?}", row.name),
            Self::RemoveSource(name) => format!("removal of source {name:?}"),
            Self::SetListing { source, .. } => format!("list of source {source:?}"),
            Self::ListNode { id, .. } => format!("sources of node {id}"),
            Self::PutSession(row) => format!("session {:?} of user {:?}", row.name.session, row.name.user),
            Self::RemoveSession(name) => format!("end of session {:?} of user {:?}", name.session, name.user),
            Self::PutBan(row) => format!("ban of node {}", row.id),
            Self::RemoveBan(id) => format!("end of the ban of node {id}"),
            Self::PutSiteBan(row) => format!("ban of exit {} for site {:?}", row.exit, row.site),
            Self::RemoveSiteBan { site, exit } => format!("end of the ban of exit {exit} for site {site:?}"),
            Self::PutAnnotation(row) => format!("annotation of node {}", row.id),
            Self::RemoveAnnotation(id) => format!("end of the annotation of node {id}"),
            Self::PutDashboard(row) => format!("dashboard's {} {:?}", row.kind.name(), row.key),
            Self::RemoveDashboard(kind, key) => format!("removal of the dashboard's {} {key:?}", kind.name()),
            Self::MarkUnreadable(id, _) => format!("mark on the unreadable row {id:?}"),
            Self::RemoveUnreadable(id) => format!("removal of the unreadable row {id:?}"),
            Self::PutHistory(row) => format!("history of {} s from {}", row.step.length().as_secs(), row.at.0),
            Self::PruneHistory { step, before } => {
                format!("end of the history of {} s before {}", step.length().as_secs(), before.0)
            }
        }
    }

    /// How many rows it touches, roughly: what a batch is measured in.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::SetListing { ids, .. } => ids.len().max(1),
            Self::ListNode { sources, .. } => sources.len().max(1),
            _ => 1,
        }
    }
}
