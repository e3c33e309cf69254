//! From a store URL to a store.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Access, Postgres, Sqlite, Store, StoreError, StoreSettings, StoreUrl, file, memory,
    recovery::{Place, bring_newest, places},
    settings::is_postgres,
    snapshot::Snapshots,
    sqlite::now,
};

/// Opens the store that `url` names: `sqlite:FILE` or `sqlite://FILE`, where a relative file lies in `directory`, or
/// `postgres://USER@HOST/DATABASE`.
///
/// # Errors
/// [`StoreError`]: what is wrong with the URL or the file, and what to do.
pub async fn open(url: &str, directory: &Path, access: Access) -> Result<Arc<dyn Store>, StoreError> {
    let settings = StoreSettings { url: StoreUrl(url.into()), ..StoreSettings::default() };
    open_configured(&settings, directory, access).await
}

/// Opens the store that the settings describe; a relative file lies in `directory`. It begins with the newest of what is there: a database
/// on the disk or in memory, or a snapshot.
///
/// # Errors
/// [`StoreError`]: what is wrong with the URL, the file or the memory, and what to do.
pub async fn open_configured(
    settings: &StoreSettings,
    directory: &Path,
    access: Access,
) -> Result<Arc<dyn Store>, StoreError> {
    if settings.url.is_shared() {
        return Ok(Arc::new(Postgres::open(settings, access).await?));
    }
    let files = StoreFiles::of(settings, directory)?;
    match access {
        Access::Exclusive => files.open_exclusive().await,
        Access::ReadOnly => files.open_for_reading().await,
    }
}

/// Says which instance has the store open for writing, as [`StoreError::InUse`]; `None` when none has, or when there is no store.
/// `url` and `directory` are as in [`open`].
#[must_use]
pub fn in_use(url: &str, directory: &Path) -> Option<StoreError> {
    file::in_use(&file_of(url, directory).ok()?)
}

/// Whether there is anything that a store with these settings would begin with: a database or a snapshot. Also true of
/// one in PostgreSQL, and when the settings cannot be used, which [`open_configured`] explains.
#[must_use]
pub fn has_contents(settings: &StoreSettings, directory: &Path) -> bool {
    settings.url.is_shared() || StoreFiles::of(settings, directory).map_or(true, |files| !files.places().is_empty())
}

pub(crate) fn file_of(url: &str, directory: &Path) -> Result<PathBuf, StoreError> {
    if is_postgres(url) {
        let instead =
            "take a backup into it with `hezar store copy --replace sqlite:FILE postgres://USER@HOST/DATABASE`";
        return Err(StoreError::FileOnly { what: "restoring", instead });
    }
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    if scheme != "sqlite" || rest.is_empty() {
        return Err(StoreError::Url { url: format!("{scheme}:…").into() });
    }
    Ok(directory.join(rest.strip_prefix("//").unwrap_or(rest)))
}

/// Where the contents of a store are, and where they may be from before a change of the settings.
#[derive(Debug)]
pub(crate) struct StoreFiles {
    /// The database on the disk. Its lock is the store's, also while the database lies in memory.
    pub(crate) disk: PathBuf,
    /// The database in memory; absent on machines that have no folder for it.
    pub(crate) memory: Option<PathBuf>,
    /// Whether the database lies in memory.
    pub(crate) in_memory: bool,
    pub(crate) snapshots: Arc<Snapshots>,
}

impl StoreFiles {
    pub(crate) fn of(settings: &StoreSettings, directory: &Path) -> Result<Self, StoreError> {
        let disk = file_of(settings.url.0.expose(), directory)?;
        let memory = memory::file_in_memory(settings.memory_folder.as_deref(), &disk);
        let memory = if settings.memory { Some(memory?) } else { memory.ok() };
        let snapshots = Arc::new(Snapshots::new(&disk, settings.snapshots, settings.snapshot_every));
        Ok(Self { disk, memory, in_memory: settings.memory, snapshots })
    }

    /// The database that is in use.
    pub(crate) fn active(&self) -> &Path {
        self.memory.as_deref().filter(|_| self.in_memory).unwrap_or(&self.disk)
    }

    /// Where contents are, the newest in front.
    fn places(&self) -> Vec<Place> {
        let memory = self.memory.as_deref().filter(|memory| memory::is_trusted(memory, &self.disk));
        places(memory, &self.disk, &self.snapshots)
    }

    async fn open_exclusive(self) -> Result<Arc<dyn Store>, StoreError> {
        let lock = file::lock(&self.disk)?;
        self.snapshots.remove_partial();
        self.bring_newest().await?;
        self.snapshots.note_opened(now());
        let snapshots = self.in_memory.then(|| Arc::clone(&self.snapshots));
        Ok(Arc::new(Sqlite::open_locked(self.active(), Access::Exclusive, Some(lock), snapshots).await?))
    }

    async fn bring_newest(&self) -> Result<(), StoreError> {
        if self.in_memory {
            memory::prepare(self.active())?;
        }
        bring_newest(self.active(), self.places(), self.in_memory, &self.snapshots).await
    }

    /// A database is read where it lies. A snapshot is taken out of its file first, to where the next start looks for it.
    async fn open_for_reading(self) -> Result<Arc<dyn Store>, StoreError> {
        let (is_running, mut places) = (file::in_use(&self.disk).is_some(), self.places());
        if is_running {
            places.retain(|place| matches!(place, Place::Database(_)));
        }
        let newest = match places.into_iter().next() {
            Some(Place::Database(path)) => path,
            Some(Place::Snapshot(_)) => {
                let _lock = file::lock(&self.disk)?;
                self.bring_newest().await?;
                self.active().to_owned()
            }
            // Whoever opens it says what is missing.
            None => self.disk.clone(),
        };
        Ok(Arc::new(Sqlite::open(&newest, Access::ReadOnly).await?))
    }
}
