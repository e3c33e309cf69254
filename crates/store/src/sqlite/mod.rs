//! SQLite behind the [`Store`] trait: one file, one writing instance.

mod apply;
mod control;
mod convert;
mod copies;
mod history;
mod inspect;
mod load;
mod queries;
mod schema;
mod usage;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use hezar_core::{Timestamp, UtcDay};
use sqlx::{
    ConnectOptions, SqlitePool,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use tokio::{sync::mpsc, time::timeout};

use crate::{
    AuditQuery, AuditRow, Change, Contents, ControlChange, ControlContents, HistoryRow, HistoryStep, SnapshotFile,
    SnapshotStatus, Store, StoreDescription, StoreError, UsageQuery, UsageRow, file,
    snapshot::{Pace, Snapshots},
};

pub(crate) use copies::{blocking, now};
pub use inspect::DatabaseSummary;
pub(crate) use inspect::{copy_database, summary, upgrade_file, verify};
pub use schema::newest_schema;

/// How long closing the connections may take.
const LONGEST_CLOSE: Duration = Duration::from_secs(10);
/// How much of a database is compressed in a second beside a program that serves.
const SNAPSHOT_PACE: Pace = Pace::BytesPerSecond(64 << 20);

/// What the writing connection keeps of the file in memory (`PRAGMA cache_size`, in KiB when negative): upper pages of its indexes.
const WRITER_CACHE: &str = "-16384";
/// What each reading connection keeps: it reads every page once, in order.
const READER_CACHE: &str = "-2048";

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For reading and writing, by one instance at a time; the file is created and upgraded when needed.
    Exclusive,
    /// For reading, also while another instance writes.
    ReadOnly,
}

/// A store in one SQLite file (write-ahead log, `synchronous = FULL`): what has been committed survives `kill -9` and a
/// power failure. Changes come in batches, so the disk is asked to sync once a batch.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    access: Access,
    /// One connection: writes queue here instead of running into each other's locks.
    writer: SqlitePool,
    /// Loading and backup, beside the writer.
    reader: SqlitePool,
    lock: Mutex<Option<file::FileLock>>,
    /// Where snapshots go; absent when the file itself lies on the disk.
    snapshots: Option<Arc<Snapshots>>,
}

impl Sqlite {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// [`StoreError`]: what is wrong with the file or its directory, and what to do.
    pub async fn open(path: &Path, access: Access) -> Result<Self, StoreError> {
        let lock = if access == Access::Exclusive { Some(file::lock(path)?) } else { None };
        Self::open_locked(path, access, lock, None).await
    }

    /// Opens or creates the file under a lock that is held already. With `snapshots` it is a file in memory, which is removed when it is
    /// closed and the last snapshot has been taken.
    pub(crate) async fn open_locked(
        path: &Path,
        access: Access,
        lock: Option<file::FileLock>,
        snapshots: Option<Arc<Snapshots>>,
    ) -> Result<Self, StoreError> {
        match access {
            Access::Exclusive => file::prepare(path)?,
            Access::ReadOnly => file::check(path)?,
        }
        let pool = |connections, cache| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_lazy_with(options(path, access, cache))
        };
        let (writer, reader) = (pool(1, WRITER_CACHE), pool(2, READER_CACHE));
        let store = Self { path: path.to_owned(), access, writer, reader, lock: Mutex::new(lock), snapshots };
        let mut connection = store.writer.acquire().await.map_err(|e| store.error(e))?;
        match access {
            Access::Exclusive => schema::upgrade(&mut connection, path).await?,
            Access::ReadOnly => schema::check(&mut connection, path).await?,
        }
        drop(connection);
        Ok(store)
    }

    /// Gives a connection back after a success and closes it after a failure: SQLite rolls back by itself on some errors
    /// (a full disk, I/O), SQLx goes on counting the transaction as open, and every later one on that connection fails.
    async fn keep_if_sound<T>(
        &self,
        connection: PoolConnection<sqlx::Sqlite>,
        result: Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        if result.is_err() {
            // Whatever closing says, the next connection starts afresh.
            let _ = connection.close().await;
        }
        result.map_err(|error| self.error(error))
    }

    fn error(&self, error: sqlx::Error) -> StoreError {
        convert::error(&self.path, error)
    }

    /// Whether the store is open for writing and has not been closed.
    fn is_locked(&self) -> bool {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

fn options(path: &Path, access: Access, cache: &'static str) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_secs(5))
        // The default of 50 rows makes loading wait for the other thread all the time.
        .row_buffer_size(2048)
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", cache)
        .disable_statement_logging();
    match access {
        Access::Exclusive => options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", "67108864"),
        Access::ReadOnly => options.read_only(true),
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn load_in_parts(&self, parts: mpsc::Sender<Contents>) -> Result<(), StoreError> {
        let mut connection = self.reader.acquire().await.map_err(|e| self.error(e))?;
        let loaded = load::in_parts(&mut connection, &parts).await;
        self.keep_if_sound(connection, loaded).await
    }

    async fn history(&self, step: HistoryStep, from: Timestamp, to: Timestamp) -> Result<Vec<HistoryRow>, StoreError> {
        let mut connection = self.reader.acquire().await.map_err(|e| self.error(e))?;
        let rows = history::read(&mut connection, step, from, to).await;
        self.keep_if_sound(connection, rows).await
    }

    async fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        if self.access == Access::ReadOnly {
            return Err(StoreError::ReadOnly { path: self.path.clone() });
        }
        let mut connection = self.writer.acquire().await.map_err(|e| self.error(e))?;
        let written = apply::transaction(&mut connection, changes).await;
        self.keep_if_sound(connection, written).await
    }

    async fn load_control(&self) -> Result<ControlContents, StoreError> {
        let mut connection = self.reader.acquire().await.map_err(|e| self.error(e))?;
        let loaded = control::load(&mut connection).await;
        self.keep_if_sound(connection, loaded).await
    }

    async fn write_control(&self, changes: &[ControlChange]) -> Result<(), StoreError> {
        if self.access == Access::ReadOnly {
            return Err(StoreError::ReadOnly { path: self.path.clone() });
        }
        let mut connection = self.writer.acquire().await.map_err(|e| self.error(e))?;
        let written = control::write(&mut connection, changes).await;
        let written = self.keep_if_sound(connection, written).await;
        if let Some(snapshots) = &self.snapshots {
            snapshots.status.lock().is_urgent = true;
        }
        written
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
        let mut connection = self.reader.acquire().await.map_err(|e| self.error(e))?;
        let read = control::audit(&mut connection, query).await;
        self.keep_if_sound(connection, read).await
    }

    async fn add_usage(&self, growth: &[UsageRow]) -> Result<(), StoreError> {
        if self.access == Access::ReadOnly {
            return Err(StoreError::ReadOnly { path: self.path.clone() });
        }
        let mut connection = self.writer.acquire().await.map_err(|e| self.error(e))?;
        let written = usage::add(&mut connection, growth).await;
        self.keep_if_sound(connection, written).await
    }

    async fn usage_totals(&self) -> Result<Vec<UsageRow>, StoreError> {
        let mut connection = self.reader.acquire().await.map_err(|e| self.error(e))?;
        let read = usage::totals(&mut connection).await;
        self.keep_if_sound(connection, read).await
    }

    async fn usage(&self, query: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
        let mut connection = self.reader.acquire().await.map_err(|e| self.error(e))?;
        let read = usage::select(&mut connection, query).await;
        self.keep_if_sound(connection, read).await
    }

    async fn fold_usage(&self, before: UtcDay) -> Result<(), StoreError> {
        if self.access == Access::ReadOnly {
            return Err(StoreError::ReadOnly { path: self.path.clone() });
        }
        let mut connection = self.writer.acquire().await.map_err(|e| self.error(e))?;
        let folded = usage::fold(&mut connection, before).await;
        self.keep_if_sound(connection, folded).await
    }

    async fn describe(&self) -> Result<StoreDescription, StoreError> {
        let mut connection = self.reader.acquire().await.map_err(|e| self.error(e))?;
        let described = inspect::describe(&mut connection, &self.path).await;
        self.keep_if_sound(connection, described).await
    }

    async fn backup(&self, to: &Path, replace: bool) -> Result<(), StoreError> {
        self.write_backup(to, replace).await
    }

    async fn snapshot(&self) -> Result<Option<SnapshotFile>, StoreError> {
        match &self.snapshots {
            Some(snapshots) => self.take_snapshot(snapshots, SNAPSHOT_PACE).await.map(Some),
            None => Ok(None),
        }
    }

    fn snapshot_status(&self) -> Option<SnapshotStatus> {
        let snapshots = self.snapshots.as_ref().filter(|_| self.is_locked())?;
        Some(snapshots.status.lock().clone())
    }

    async fn close(&self) {
        let is_kept = match &self.snapshots {
            Some(snapshots) if self.is_locked() => self.last_snapshot(snapshots).await,
            _ => false,
        };
        // A connection that hangs on a dead disk must not keep the program from ending; the process's end closes it.
        let closed = async {
            self.reader.close().await;
            self.writer.close().await;
        };
        let is_closed = timeout(LONGEST_CLOSE, closed).await.is_ok();
        if is_kept && is_closed {
            let _ = file::remove(&self.path);
            // Its folder in memory, which is this database's alone.
            let _ = self.path.parent().map(std::fs::remove_dir);
        }
        // The file lock goes last: until here the write-ahead log was ours.
        drop(self.lock.lock().map(|mut lock| lock.take()));
    }
}
