//! What an instance reads of the changes of others: from one point in the order of commits to a later one.

use std::fmt::Debug;

use async_trait::async_trait;
use hezar_core::NodeId;

use crate::{Change, StoreError, UsageRow};

/// A point in the order of commits. It is worth something in one database alone, and after a failover in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangePosition {
    /// The database, and the timeline of its server.
    pub(crate) database: Box<str>,
    /// The snapshot of what has been seen, as the database writes it.
    pub(crate) seen: Box<str>,
}

impl ChangePosition {
    /// The identity of the database: every instance that shares it has the same, whichever address it uses, and a copy another one.
    #[must_use]
    pub fn database_id(&self) -> &str {
        self.database.split('/').next().unwrap_or_default()
    }
}

/// What has changed since a position.
#[derive(Debug)]
pub enum ChangesSince {
    /// These rows, and no others.
    Rows(Box<ChangedRows>),
    /// That cannot be told: the position is of another database or older than what is kept of removals, or so much has changed that
    /// everything is read faster anew.
    LoadAnew,
}

/// The rows that have changed, each as it is now.
#[derive(Debug)]
pub struct ChangedRows {
    /// What has become of nodes, sources, sessions, bans, annotations and what dashboards keep, as the changes that make it so. A
    /// [`Change::PutNode`] is followed by the [`Change::ListNode`] of the same node. Records are those of the own region, or of
    /// another one where the own says nothing.
    pub changes: Vec<Change>,
    /// Whether objects have changed: [`Store::load_control`](crate::Store::load_control) tells all of them.
    pub objects: bool,
    /// Whether tokens have changed or were used: [`Store::load_tokens`](crate::Store::load_tokens) tells all of them.
    pub tokens: bool,
    /// What users have moved in all on single days.
    pub usage: Vec<UsageRow>,
    /// Where the next reading begins.
    pub next: ChangePosition,
}

/// What wakes those who follow changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Something has changed, or may have: the connection was made anew.
    Changed,
    /// Other instances suspect these nodes; whoever probes them looks at once.
    Suspected(Vec<NodeId>),
}

/// Hears of changes.
#[async_trait]
pub trait ChangeListener: Debug + Send {
    /// Waits until something changes. Not for `select!`: what was half read when this is dropped is lost.
    ///
    /// # Errors
    /// [`StoreError`]: the connection is lost. A new one is to be made, and what has changed meanwhile to be looked for.
    async fn next(&mut self) -> Result<Wake, StoreError>;
}
