//! A store that can be released for another process, and taken back when that one fails.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use hezar_core::{Timestamp, UtcDay};
use parking_lot::RwLock;
use tokio::sync::mpsc;

use crate::{
    Access, AuditQuery, AuditRow, Change, Contents, ControlChange, ControlContents, HistoryRow, HistoryStep, Postgres,
    SharedStore, SnapshotFile, SnapshotStatus, Store, StoreDescription, StoreError, StoreSettings, TokenRow,
    UsageQuery, UsageRow, open_configured, restore,
};

/// The copy that is made before another version of the program opens the store.
const BEFORE_UPGRADE: &str = "before-upgrade.db";

/// A store that is open, or released. Whoever uses it while it is released gets an error that passes, as while the disk is full.
#[derive(Debug)]
pub struct ReleasableStore {
    settings: StoreSettings,
    folder: PathBuf,
    open: RwLock<Option<Arc<dyn Store>>>,
    /// A store that several instances share stays open while it is released: only this process's writers must not use it.
    resting: RwLock<Option<Arc<dyn Store>>>,
}

impl ReleasableStore {
    /// Opens the store that the settings describe, alone; a relative file lies in `folder`.
    ///
    /// # Errors
    /// Those of [`open_configured`].
    pub async fn open(settings: &StoreSettings, folder: &Path) -> Result<Self, StoreError> {
        Ok(Self::with(open_configured(settings, folder, Access::Exclusive).await?, settings, folder))
    }

    /// A store in PostgreSQL whose server cannot be reached now; it connects when it can.
    ///
    /// # Errors
    /// [`StoreError`]: what is wrong with the settings.
    pub fn open_later(settings: &StoreSettings, folder: &Path) -> Result<Self, StoreError> {
        Ok(Self::with(Arc::new(Postgres::open_later(settings, Access::Exclusive)?), settings, folder))
    }

    fn with(store: Arc<dyn Store>, settings: &StoreSettings, folder: &Path) -> Self {
        Self {
            settings: settings.clone(),
            folder: folder.to_owned(),
            open: RwLock::new(Some(store)),
            resting: RwLock::default(),
        }
    }

    /// Keeps a copy from which [`ReleasableStore::take_back`] can go back to this program's schema.
    ///
    /// # Errors
    /// The copy cannot be written.
    pub async fn keep_copy(&self) -> Result<(), StoreError> {
        let store = self.get()?;
        if store.shared().is_some() {
            // Others may have written meanwhile: nobody can go back.
            return Ok(());
        }
        store.backup(&self.copy(), true).await
    }

    fn copy(&self) -> PathBuf {
        self.folder.join(BEFORE_UPGRADE)
    }

    /// Closes the store, so that another process can open it.
    pub async fn release(&self) {
        let mut closing = None;
        match self.open.write().take() {
            Some(store) if store.shared().is_some() => *self.resting.write() = Some(store),
            Some(store) => closing = Some(store),
            None => {}
        }
        if let Some(store) = closing {
            store.close().await;
        }
    }

    /// Opens the store again after [`ReleasableStore::release`]. One that another version has changed meanwhile is put aside, and the copy
    /// of before takes its place.
    ///
    /// # Errors
    /// Another process has it, or it cannot be opened: then it stays released.
    pub async fn take_back(&self) -> Result<(), StoreError> {
        if let Some(store) = self.resting.write().take() {
            *self.open.write() = Some(store);
            return Ok(());
        }
        let opened = match open_configured(&self.settings, &self.folder, Access::Exclusive).await {
            Err(StoreError::Newer { .. }) if self.copy().exists() => {
                let report = restore(&self.settings, &self.folder, &self.copy()).await?;
                tracing::warn!(kept = ?report.kept, "another version had changed the store: the copy of before is used");
                open_configured(&self.settings, &self.folder, Access::Exclusive).await
            }
            opened => opened,
        };
        *self.open.write() = Some(opened?);
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

    async fn load_all_but_nodes(&self) -> Result<Contents, StoreError> {
        self.get()?.load_all_but_nodes().await
    }

    async fn history(&self, step: HistoryStep, from: Timestamp, to: Timestamp) -> Result<Vec<HistoryRow>, StoreError> {
        self.get()?.history(step, from, to).await
    }

    async fn own_history(
        &self,
        step: HistoryStep,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        self.get()?.own_history(step, from, to).await
    }

    async fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        self.get()?.write(changes).await
    }

    async fn load_control(&self) -> Result<ControlContents, StoreError> {
        self.get()?.load_control().await
    }

    async fn load_tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        self.get()?.load_tokens().await
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

    async fn describe(&self) -> Result<StoreDescription, StoreError> {
        self.get()?.describe().await
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

    fn shared(&self) -> Option<Arc<dyn SharedStore>> {
        let store = self.open.read().clone().or_else(|| self.resting.read().clone());
        store?.shared()
    }

    async fn close(&self) {
        self.release().await;
        let resting = self.resting.write().take();
        if let Some(store) = resting {
            store.close().await;
        }
    }
}
