//! What every store can do.

mod shared;

use std::{fmt::Debug, path::Path, sync::Arc};

use async_trait::async_trait;
use hezar_core::{Timestamp, UtcDay};
use tokio::sync::mpsc;

use crate::{
    AuditQuery, AuditRow, Change, Contents, ControlChange, ControlContents, HistoryRow, HistoryStep, SnapshotFile,
    SnapshotStatus, StoreDescription, StoreError, TokenRow, UsageQuery, UsageRow,
};

pub use shared::{
    BEAT_EVERY, ChangeListener, ChangePosition, ChangedRows, ChangesSince, Claimed, GONE_AFTER, MemberBeat,
    MemberFigures, MemberRow, Members, SharedStore, StoreIdentity, Wake,
};

/// A pool on disk. All methods may be called from several tasks at once.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// Reads everything in one consistent view and sends it in parts: first the sources, the sessions, the bans and what
    /// each source lists, then the nodes, a few thousand at a time. Ends early when nobody receives any more.
    ///
    /// A row that cannot be understood is left out and named in [`Contents::strange`]; it stays in the store.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn load_in_parts(&self, parts: mpsc::Sender<Contents>) -> Result<(), StoreError>;

    /// Reads everything at once, as [`Store::load_in_parts`] does. Lists name known nodes only.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn load(&self) -> Result<Contents, StoreError> {
        let (parts, mut received) = mpsc::channel(2);
        let join = async {
            let mut whole = Contents::default();
            while let Some(part) = received.recv().await {
                whole.append(part);
            }
            whole.forget_unknown();
            whole
        };
        let (loaded, whole) = tokio::join!(self.load_in_parts(parts), join);
        loaded.map(|()| whole)
    }

    /// Reads everything but the nodes, in one consistent view.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn load_all_but_nodes(&self) -> Result<Contents, StoreError> {
        let (parts, mut received) = mpsc::channel(1);
        // The store stops reading when nobody receives any more.
        let first = async move { received.recv().await };
        let (read, first) = tokio::join!(self.load_in_parts(parts), first);
        read?;
        Ok(Contents { nodes: Vec::new(), ..first.unwrap_or_default() })
    }

    /// The rows of the history that stand for `step` each and began in `[from, to)`, in the order of time.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn history(&self, step: HistoryStep, from: Timestamp, to: Timestamp) -> Result<Vec<HistoryRow>, StoreError>;

    /// The same of what this instance has counted itself, where several write to one store.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn own_history(
        &self,
        step: HistoryStep,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        self.history(step, from, to).await
    }

    /// Writes a batch in one transaction: all of it, or nothing. Changes take effect in their order.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::retry`] says whether the same batch may succeed later. After any error the next
    /// write starts on a fresh connection.
    async fn write(&self, changes: &[Change]) -> Result<(), StoreError>;

    /// Reads what was made while the program ran.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn load_control(&self) -> Result<ControlContents, StoreError>;

    /// Reads the tokens alone.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn load_tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        Ok(self.load_control().await?.tokens)
    }

    /// Writes changes of what was made while the program ran, in one transaction: all of it, or nothing. When it returns, they are on
    /// the disk.
    ///
    /// # Errors
    /// As [`Store::write`].
    async fn write_control(&self, changes: &[ControlChange]) -> Result<(), StoreError>;

    /// Reads lines of the record of changes, the newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditRow>, StoreError>;

    /// Adds what users have moved to what is there, in one transaction: all of it, or nothing. When it returns, it is on the disk.
    ///
    /// # Errors
    /// As [`Store::write`].
    async fn add_usage(&self, growth: &[UsageRow]) -> Result<(), StoreError>;

    /// What every user has moved: each of the last 62 days for which there is anything, and everything before them as the day
    /// 1970-01-01.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn usage_totals(&self) -> Result<Vec<UsageRow>, StoreError>;

    /// What users have moved on single days.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, StoreError>;

    /// Gives up the single days before this one; their sum stays.
    ///
    /// # Errors
    /// As [`Store::write`].
    async fn fold_usage(&self, before: UtcDay) -> Result<(), StoreError>;

    /// Says what the store is and how large.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    async fn describe(&self) -> Result<StoreDescription, StoreError>;

    /// Writes a complete, consistent copy to a file while the store stays in use, and checks it before it gets its name. A name that ends
    /// with `.zst` gets a compressed copy.
    ///
    /// # Errors
    /// [`StoreError::BackupExists`] when there is a file already and `replace` is not set, or why the copy could not be written; then
    /// nothing is left of it, and a file that was there stays.
    async fn backup(&self, to: &Path, replace: bool) -> Result<(), StoreError>;

    /// Takes a snapshot of a store in memory; `None` for one that lies on the disk anyway.
    ///
    /// # Errors
    /// Why it could not be taken. The older snapshots stay as they are.
    async fn snapshot(&self) -> Result<Option<SnapshotFile>, StoreError> {
        Ok(None)
    }

    /// How the snapshots of a store in memory go; `None` for one that lies on the disk or is closed.
    fn snapshot_status(&self) -> Option<SnapshotStatus> {
        None
    }

    /// The same store as one that several instances share; `None` when it is one instance's alone.
    fn shared(&self) -> Option<Arc<dyn SharedStore>> {
        None
    }

    /// Ends every connection and gives the store free for another instance; of a store in memory the last snapshot is taken first.
    /// Later calls fail.
    async fn close(&self);
}
