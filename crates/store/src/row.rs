//! The rows: what a store knows about a node and about a source, and what can happen to them.

use std::{net::IpAddr, sync::Arc, time::Duration};

use hezar_core::{NodeId, Secret, Timestamp};

/// What the prober has made of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NodeState {
    /// Never judged.
    #[default]
    New,
    /// The last verdict was good.
    Healthy,
    /// Was healthy, and has failed less often than makes it dead.
    Suspect,
    /// Failed too often in a row.
    Dead,
}

impl NodeState {
    /// Its text in the column `state`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Healthy => "healthy",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
        }
    }

    /// Reads [`NodeState::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::New, Self::Healthy, Self::Suspect, Self::Dead].into_iter().find(|state| state.name() == name)
    }

    /// The column `healthy`: `None` never judged, `Some(true)` may carry traffic, `Some(false)` dead.
    #[must_use]
    pub const fn healthy(self) -> Option<bool> {
        match self {
            Self::New => None,
            Self::Healthy | Self::Suspect => Some(true),
            Self::Dead => Some(false),
        }
    }
}

/// What is measured about a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The verdict.
    pub state: NodeState,
    /// Failures in a row.
    pub failures: u32,
    /// The last success.
    pub last_ok: Option<Timestamp>,
    /// The last check, whatever it said.
    pub last_checked: Option<Timestamp>,
    /// When the node was first listed.
    pub first_seen: Timestamp,
    /// Smoothed latency; kept in whole milliseconds, rounded up.
    pub latency: Option<Duration>,
    /// The address that targets see.
    pub exit_ip: Option<IpAddr>,
    /// The country of the exit: two ASCII letters (ISO 3166-1).
    pub country: Option<[u8; 2]>,
    /// The code of the last failure.
    pub last_error: Option<Box<str>>,
    /// Why the node is kept and never dialled.
    pub unsupported: Option<Box<str>>,
    /// The code of how it was caught tampering, and when.
    pub quarantine: Option<(Box<str>, Timestamp)>,
}

/// One row of `proxies`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// Its identity.
    pub id: NodeId,
    /// The share link. It holds credentials.
    pub uri: Secret,
    /// The name that its publisher gave it.
    pub label: Box<str>,
    /// What is measured.
    pub health: Health,
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
pub struct Listing {
    /// The source.
    pub source: Arc<str>,
    /// Its nodes, in no particular order, each once; all of them are in [`State::nodes`].
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
    /// The address it came out of, when that was known.
    pub exit_ip: Option<IpAddr>,
    /// The node it used last.
    pub node: Option<NodeId>,
}

/// Everything that a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Every node.
    pub nodes: Vec<NodeRow>,
    /// Every source.
    pub sources: Vec<SourceRow>,
    /// Who lists what; a source without nodes does not appear.
    pub listings: Vec<Listing>,
    /// Every session.
    pub sessions: Vec<SessionRow>,
    /// Rows that could not be understood and were left out.
    pub skipped: u64,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A node is new or has changed: the whole row replaces what was there.
    PutNode(NodeRow),
    /// What is measured about a node has changed. Nothing happens when the node is not there.
    PutHealth(NodeId, Health),
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
    /// A session is new or has changed.
    PutSession(SessionRow),
    /// A session is over.
    RemoveSession(SessionName),
}

impl Change {
    /// How many rows it touches, roughly: what a batch is measured in.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::SetListing { ids, .. } => ids.len().max(1),
            _ => 1,
        }
    }
}
