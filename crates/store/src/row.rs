//! The rows: what a store knows about nodes, sources, sessions and bans.

use std::{collections::HashSet, net::IpAddr, sync::Arc, time::Duration};

use hezar_core::{NodeId, Record, Secret, Timestamp};

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

    /// The kind of this name; `None` when a later version knows it.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
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
