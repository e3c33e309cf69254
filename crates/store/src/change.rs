//! What can happen to rows: the changes of which a batch consists.

use std::{collections::HashSet, net::IpAddr, sync::Arc};

use hezar_core::{NodeId, Record, Timestamp};

use crate::{
    AnnotationRow, BanRow, Contents, DashboardKind, DashboardRow, HistoryRow, HistoryStep, NodeRow, SessionName,
    SessionRow, SiteBanRow, SourceNodes, SourceRow,
};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A node is new or has changed: the whole row replaces what was there.
    PutNode(NodeRow),
    /// What is measured about a node has changed. Nothing happens when the node is not there. A store that is shared keeps what is newer
    /// ([`SharedStore`](crate::SharedStore)).
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
    /// A session is over. A store that is shared keeps one that ends later: it was renewed or begun anew by another instance.
    RemoveSession {
        /// Its name.
        name: SessionName,
        /// When it ends, as far as is known; [`Change::WHENEVER`] for one that must go in any case.
        ends: Timestamp,
    },
    /// A node must not come back.
    PutBan(BanRow),
    /// A ban is lifted.
    RemoveBan(NodeId),
    /// An exit is not used for a site for a time: the whole row replaces what was there for the two.
    PutSiteBan(SiteBanRow),
    /// The ban of an exit for a site has ended. A store that is shared keeps one that ends later: it was renewed by another instance.
    RemoveSiteBan {
        /// The site.
        site: Box<str>,
        /// The address that the site sees.
        exit: IpAddr,
        /// When it ends, as far as is known; [`Change::WHENEVER`] for one that was lifted.
        until: Timestamp,
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
    /// For the end of a session, or of an exit's ban for a site, whenever it would have ended.
    pub const WHENEVER: Timestamp = Timestamp(u64::MAX);

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
            Self::RemoveSession { name, .. } => format!("end of session {:?} of user {:?}", name.session, name.user),
            Self::PutBan(row) => format!("ban of node {}", row.id),
            Self::RemoveBan(id) => format!("end of the ban of node {id}"),
            Self::PutSiteBan(row) => format!("ban of exit {} for site {:?}", row.exit, row.site),
            Self::RemoveSiteBan { site, exit, .. } => format!("end of the ban of exit {exit} for site {site:?}"),
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

impl Contents {
    /// The changes that add all of it to a store, in the order in which they are to be written. What could not be understood is none.
    #[must_use]
    pub fn into_changes(self) -> Vec<Change> {
        let Self { nodes, sources, listings, sessions, bans, site_bans, annotations, dashboard, strange: _ } = self;
        let listed = |SourceNodes { source, ids }| Change::SetListing { source, ids, complete: false };
        let mut changes: Vec<Change> = nodes.into_iter().map(Change::PutNode).collect();
        changes.extend(sources.into_iter().map(Change::PutSource));
        changes.extend(listings.into_iter().map(listed));
        changes.extend(sessions.into_iter().map(Change::PutSession));
        changes.extend(bans.into_iter().map(Change::PutBan));
        changes.extend(site_bans.into_iter().map(Change::PutSiteBan));
        changes.extend(annotations.into_iter().map(Change::PutAnnotation));
        changes.extend(dashboard.into_iter().map(Change::PutDashboard));
        changes
    }
}

/// The last row of each node: one statement must not meet the same row twice.
pub(crate) fn last_of_each<T>(rows: impl DoubleEndedIterator<Item = (NodeId, T)>) -> Vec<T> {
    let mut seen = HashSet::new();
    rows.rev().filter(|(id, _)| seen.insert(*id)).map(|(_, row)| row).collect()
}
