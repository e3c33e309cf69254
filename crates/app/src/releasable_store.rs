//! A store that can be released for another process, and taken back when that one fails.

use std::{
    fmt,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use async_trait::async_trait;
use hezar_core::{Timestamp, UtcDay};
use hezar_store::{
    AuditQuery, AuditRow, Change, Contents, ControlChange, ControlContents, HistoryRow, HistoryStep, SnapshotFile,
    SnapshotStatus, Store, StoreError, UsageQuery, UsageRow,
};
use parking_lot::RwLock;
use tokio::sync::mpsc;

/// Opens a store.
type Opener = Box<dyn Fn() -> Opening + Send + Sync>;
type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn Store>, StoreError>> + Send>>;

/// A store that is open, or released. Whoever uses it while it is released gets an error that passes, as while the disk is full.
pub(crate) struct ReleasableStore {
    opener: Opener,
    /// What is named while it is released.
    folder: PathBuf,
    open: RwLock<Option<Arc<dyn Store>>>,
}

impl fmt::Debug for ReleasableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReleasableStore").field("open", &*self.open.read()).finish_non_exhaustive()
    }
}

impl ReleasableStore {
    /// Opens a store with `opener`, which also opens it again; `folder` is where it lies.
    ///
    /// # Errors
    /// Those of `opener`.
    pub(crate) async fn open<T>(
        folder: &Path,
        opener: impl Fn() -> T + Send + Sync + 'static,
    ) -> Result<Self, StoreError>
    where
        T: Future<Output = Result<Arc<dyn Store>, StoreError>> + Send + 'static,
    {
        let opener: Opener = Box::new(move || Box::pin(opener()));
        let store = opener().await?;
        Ok(Self { opener, folder: folder.to_owned(), open: RwLock::new(Some(store)) })
    }

    /// Closes the store, so that another process can open it.
    pub(crate) async fn release(&self) {
        let store = self.open.write().take();
        if let Some(store) = store {
            store.close().await;
        }
    }

    /// Opens the store again after [`ReleasableStore::release`].
    ///
    /// # Errors
    /// Another process has it, or it cannot be opened: then it stays released.
    pub(crate) async fn take_back(&self) -> Result<(), StoreError> {
        let store = (self.opener)().await?;
        *self.open.write() = Some(store);
        Ok(())
    }

    fn get(&self) -> Result<Arc<dyn Store>, StoreError> {
        let open = self.open.read().clone();
        open.ok_or_else(|| StoreError::InUse { path: self.folder.clone(), pid: None })
    }
}

#[async_trait]
impl Store for ReleasableStore {
    async fn load_in_parts(&self, parts: mpsc::Sender<Contents>) -> Result<(), StoreError> {
        self.get()?.load_in_parts(parts).await
    }

    async fn history(&self, step: HistoryStep, from: Timestamp, to: Timestamp) -> Result<Vec<HistoryRow>, StoreError> {
        self.get()?.history(step, from, to).await
    }

    async fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        self.get()?.write(changes).await
    }

    async fn load_control(&self) -> Result<ControlContents, StoreError> {
        self.get()?.load_control().await
    }

    async fn write_control(&self, changes: &[ControlChange]) -> Result<(), StoreError> {
        self.get()?.write_control(changes).await
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
        self.get()?.audit(query).await
    }

    async fn add_usage(&self, growth: &[UsageRow]) -> Result<(), StoreError> {
        self.get()?.add_usage(growth).await
    }

    async fn usage_totals(&self) -> Result<Vec<UsageRow>, StoreError> {
        self.get()?.usage_totals().await
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
        self.get()?.usage(query).await
    }

    async fn fold_usage(&self, before: UtcDay) -> Result<(), StoreError> {
        self.get()?.fold_usage(before).await
    }

    async fn backup(&self, to: &Path, replace: bool) -> Result<(), StoreError> {
        self.get()?.backup(to, replace).await
    }

    async fn snapshot(&self) -> Result<Option<SnapshotFile>, StoreError> {
        self.get()?.snapshot().await
    }

    fn snapshot_status(&self) -> Option<SnapshotStatus> {
        self.get().ok()?.snapshot_status()
    }

    async fn close(&self) {
        self.release().await;
    }
}

#[cfg(test)]
mod tests {
    use hezar_store::{Access, Retry};

    use super::*;

    #[tokio::test]
    async fn another_process_can_have_it_and_it_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let open = move || {
            let path = path.clone();
            async move { hezar_store::open("sqlite:p.db", &path, Access::Exclusive).await }
        };
        let store = ReleasableStore::open(folder.path(), open.clone()).await.unwrap();
        assert!(open().await.is_err(), "it is in use");
        store.release().await;
        // Writers try again until it is back.
        let refused = store.add_usage(&[]).await.unwrap_err();
        assert_eq!((refused.code(), refused.retry()), ("store-in-use", Retry::Soon));
        let other = open().await.unwrap();
        assert!(store.take_back().await.is_err());
        other.close().await;
        store.take_back().await.unwrap();
        store.add_usage(&[]).await.unwrap();
    }
}
