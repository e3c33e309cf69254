//! What only a store can do that several instances share: PostgreSQL.

mod changes;
mod members;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use hezar_core::{NodeId, Timestamp};

use crate::{SessionRow, SourceRow, Store, StoreError};

pub use changes::{ChangeListener, ChangePosition, ChangedRows, ChangesSince, Wake};
pub use members::{BEAT_EVERY, Claimed, GONE_AFTER, MemberBeat, MemberFigures, MemberRow, Members};

/// Who writes to a shared store, and whose measurements it reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreIdentity {
    /// The name of the instance: rows of the history are its own.
    pub instance: Arc<str>,
    /// Where it measures from; empty when there is one region.
    pub region: Arc<str>,
    /// Whether it leaves what is measured to others: then it writes no records.
    pub is_observer: bool,
}

/// A store that several instances use at once. A record is written only where its evidence ([`Record::last_checked`]) is not older than
/// what is there, or is from before the node was first seen; what is known without measuring (when a node was first seen, since when it is unlisted) comes with
/// [`Change::PutNode`] alone.
///
/// [`Record::last_checked`]: hezar_core::Record::last_checked
/// [`Change::PutNode`]: crate::Change::PutNode
#[async_trait]
pub trait SharedStore: Store {
    /// Says who writes from now on. Without it the instance has no name and measures from the only region.
    fn identify(&self, identity: StoreIdentity);

    /// Says that an instance lives, and returns all members. A beat under the name of another living process does not count, unless
    /// `takes_over` says that this process is dead.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    async fn beat(&self, beat: &MemberBeat, takes_over: bool) -> Result<Members, StoreError>;

    /// Lets another process beat under the name from now on: it takes over from this one.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    async fn hand_over_member(&self, name: &str, incarnation: i64) -> Result<(), StoreError>;

    /// Takes an instance off the list, and gives its claims up.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    async fn leave(&self, name: &str, incarnation: i64) -> Result<(), StoreError>;

    /// Says that an instance is to be drained, or is not any more; it learns so with its next beat. False when there is none of this
    /// name.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    async fn set_draining(&self, name: &str, draining: bool) -> Result<bool, StoreError>;

    /// Claims a source for one reading. Claiming again before the lease has run out lengthens it.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    async fn claim_source(&self, source: &str, holder: &str, lease: Duration) -> Result<Claimed, StoreError>;

    /// Gives a claimed source up.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    async fn release_source(&self, source: &str, holder: &str) -> Result<(), StoreError>;

    /// Asks the instances that read sources to read these now; they learn so with their next beat.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    async fn request_fetch(&self, sources: &[Arc<str>]) -> Result<(), StoreError>;

    /// The row of a source as it is now; `None` when it was never read.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn source(&self, name: &str) -> Result<Option<SourceRow>, StoreError>;

    /// The database's clock.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn clock(&self) -> Result<Timestamp, StoreError>;

    /// The position at this moment: what is read afterwards is of it or later.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn position(&self) -> Result<ChangePosition, StoreError>;

    /// What has been committed since a position, whatever the order in which transactions began.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn changes_since(&self, since: &ChangePosition) -> Result<ChangesSince, StoreError>;

    /// Begins to hear of changes and of suspicions, on a connection of its own.
    ///
    /// # Errors
    /// [`StoreError`] when the connection cannot be made.
    async fn listen(&self) -> Result<Box<dyn ChangeListener>, StoreError>;

    /// Tells all instances that these nodes are suspected. Nothing of it is kept.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    async fn suspect(&self, nodes: &[NodeId]) -> Result<(), StoreError>;

    /// Forgets what was removed more than a day ago; whoever follows from an older position loads everything anew.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    async fn clear_removals(&self) -> Result<(), StoreError>;

    /// Enters a session, unless one of its name runs already; returns the one that is in the store then.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    async fn enter_session(&self, session: &SessionRow) -> Result<SessionRow, StoreError>;
}
