//! The pool on disk: one trait, [`Store`], and SQLite behind it.
//!
//! The pool in memory is the truth while the program runs; this crate is where it wakes up from. Rows are plain values
//! ([`NodeRow`], [`SourceRow`]), a [`Change`] says what happened to one of them, and a batch of changes is one
//! transaction. [`Writer`] gathers changes behind the caller's back, so that nothing that serves traffic waits for a disk.

mod error;
mod open;
mod pending;
mod row;
mod sqlite;
mod store;
mod writer;

pub use error::StoreError;
pub use open::open;
pub use row::{Change, Health, Listing, NodeRow, NodeState, SessionName, SessionRow, SourceError, SourceRow, State};
pub use sqlite::{Access, Sqlite};
pub use store::Store;
pub use writer::{WriteBehind, WriteSummary, Writer, WriterClosed, WriterConfig};

#[cfg(test)]
mod tests;
