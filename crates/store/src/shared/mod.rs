//! What only a store can do that several instances share: PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;

use crate::Store;

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
/// what is there, and what is known without measuring (when a node was first seen, since when it is unlisted) comes with
/// [`Change::PutNode`] alone.
///
/// [`Record::last_checked`]: hezar_core::Record::last_checked
/// [`Change::PutNode`]: crate::Change::PutNode
#[async_trait]
pub trait SharedStore: Store {
    /// Says who writes from now on. Without it the instance has no name and measures from the only region.
    fn identify(&self, identity: StoreIdentity);
}
