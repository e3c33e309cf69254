//! The pool on disk: one trait, [`Store`], with SQLite and PostgreSQL behind it.
//!
//! The pool in memory is the truth while the program runs; this crate is where it wakes up from. Rows are plain values
//! ([`NodeRow`], [`SourceRow`]), a [`Change`] says what happened to one of them, and a batch of changes is one
//! transaction. [`Writer`] gathers changes behind the caller's back, so that nothing that serves traffic waits for a disk.

mod change;
mod control;
mod copy;
mod decode;
mod description;
mod error;
mod file;
mod history;
mod memory;
mod numbers;
mod open;
mod postgres;
mod recovery;
mod releasable;
mod restore;
mod row;
mod settings;
mod snapshot;
mod sqlite;
mod store;
mod transfer;
mod usage;
mod writer;

pub use change::Change;
pub use control::{AuditQuery, AuditRow, ControlChange, ControlContents, MOST_AUDIT_ROWS, ObjectRow, TokenRow};
pub use copy::{StorePlace, copy_store};
pub use description::{StoreDescription, TableDescription};
pub use error::{Retry, StoreError, WriteFailure};
pub use hezar_child::{create_private_folder, folder_of};
pub use history::{HistoryRow, HistorySample, HistoryStep, NodeSums};
pub use open::{has_contents, in_use, open, open_configured};
pub use postgres::Postgres;
pub use releasable::ReleasableStore;
pub use restore::{RestoreReport, check_backup, restore};
pub use row::{
    AnnotationRow, BanRow, Contents, DashboardKind, DashboardRow, NodeRow, SessionName, SessionRow, SiteBanRow,
    SourceError, SourceNodes, SourceRow, StrangeRow,
};
pub use settings::{StoreSettings, StoreUrl};
pub use snapshot::{BackupFolder, SnapshotFile, SnapshotStatus};
pub use sqlite::{Access, DatabaseSummary, Sqlite, newest_schema};
pub use store::{
    BEAT_EVERY, ChangeListener, ChangePosition, ChangedRows, ChangesSince, Claimed, GONE_AFTER, MemberBeat,
    MemberFigures, MemberRow, Members, SharedStore, Store, StoreIdentity, Wake,
};
pub use transfer::{CopyCounts, CopyReport};
pub use usage::{UsageQuery, UsageRow};
pub use writer::{
    Durability, WriteBehind, WriteSummary, Writer, WriterClosed, WriterConfig, WriterPlace, WriterStatus,
};

#[cfg(test)]
mod tests;
