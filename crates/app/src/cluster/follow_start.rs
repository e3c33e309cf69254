//! Where a process begins to follow the changes of others.

use hezar_core::Timestamp;
use hezar_store::{ChangePosition, SharedStore, StoreError};

use super::DatabaseClock;

/// Where the following begins.
#[derive(Clone, Debug)]
pub(crate) struct FollowStart {
    /// What the pool was filled with is of this position or later; `None` when it was not filled from the store.
    pub(crate) position: Option<ChangePosition>,
    pub(crate) database_clock: DatabaseClock,
    /// Of when the copy is that the pool was filled from instead.
    pub(crate) copy_of: Option<Timestamp>,
}

impl FollowStart {
    /// Finds it, before anything is read: what changes meanwhile is seen again. With `copy_of` the pool is filled from a copy of this
    /// time, since the store cannot be reached.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn find(shared: &dyn SharedStore, copy_of: Option<Timestamp>) -> Result<Self, StoreError> {
        let database_clock = DatabaseClock::default();
        if copy_of.is_some() {
            return Ok(Self { position: None, database_clock, copy_of });
        }
        database_clock.learn(shared, database_clock.clock()).await?;
        Ok(Self { position: Some(shared.position().await?), database_clock, copy_of })
    }
}
