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
mod write_behind;
mod writer;
mod writer_status;

pub use error::{Retry, StoreError};
pub use open::open;
pub use row::{
    BanRow, Change, Health, Listing, NodeRow, NodeState, SessionName, SessionRow, SourceError, SourceRow, State,
    StrangeRow,
};
pub use sqlite::{Access, Sqlite};
pub use store::Store;
pub use write_behind::WriteBehind;
pub use writer::{Durability, Writer, WriterClosed, WriterConfig, WriterPlace};
pub use writer_status::{WriteFailure, WriteSummary, WriterStatus};

#[cfg(test)]
mod tests;
