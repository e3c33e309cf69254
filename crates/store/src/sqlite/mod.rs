//! SQLite behind the [`Store`] trait: one file, one writing instance.

mod apply;
mod control;
mod convert;
mod history;
mod load;
mod queries;
mod schema;
mod usage;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Mutex,
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
    AuditQuery, AuditRow, Change, Contents, ControlChange, ControlContents, HistoryRow, HistoryStep, Store, StoreError,
    UsageQuery, UsageRow,
};

use crate::file;

/// How long closing the connections may take.
const LONGEST_CLOSE: Duration = Duration::from_secs(10);

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
    lock: Mutex<Option<File>>,
}

impl Sqlite {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// [`StoreError`]: what is wrong with the file or its directory, and what to do.
    pub async fn open(path: &Path, access: Access) -> Result<Self, StoreError> {
        let lock = match access {
            Access::Exclusive => Some(file::prepare(path)?),
            Access::ReadOnly => {
                file::check(path)?;
                None
            }
        };
        let pool = |connections, cache| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_lazy_with(options(path, access, cache))
        };
        let (writer, reader) = (pool(1, WRITER_CACHE), pool(2, READER_CACHE));
        let store = Self { path: path.to_owned(), access, writer, reader, lock: Mutex::new(lock) };
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
        self.keep_if_sound(connection, written).await
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

    async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let partial = file::reserve_backup(to)?;
        let result = match partial.to_str() {
            Some(text) => sqlx::query(queries::BACKUP).bind(text).execute(&self.reader).await.map(drop),
            None => Err(sqlx::Error::Configuration("the path of a backup has to be UTF-8".into())),
        };
        if let Err(error) = result {
            let _ = std::fs::remove_file(&partial);
            return Err(convert::error(to, error));
        }
        // Syncing a large file takes the disk's time: not on a thread that carries traffic.
        let to = to.to_owned();
        let finished = tokio::task::spawn_blocking(move || file::finish_backup(&partial, &to)).await;
        finished.unwrap_or(Err(StoreError::Closed))
    }

    async fn close(&self) {
        // A connection that hangs on a dead disk must not keep the program from ending; the process's end closes it.
        let closed = async {
            self.reader.close().await;
            self.writer.close().await;
        };
        let _ = timeout(LONGEST_CLOSE, closed).await;
        // The file lock goes last: until here the write-ahead log was ours.
        drop(self.lock.lock().map(|mut lock| lock.take()));
    }
}
