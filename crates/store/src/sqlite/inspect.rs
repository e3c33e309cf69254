//! Database files that are not open as a store: whether they are sound, what they hold, and copies of them.

use std::path::Path;

use hezar_core::Timestamp;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{convert, copies::not_utf8, queries, schema};
use crate::{StoreDescription, StoreError, TableDescription, file};

/// What a database holds, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseSummary {
    /// Nodes of any state.
    pub nodes: u64,
    /// Nodes that carry traffic: healthy and suspect ones.
    pub routable: u64,
    /// Sources that have been read, those of the configuration too.
    pub sources: u64,
    /// Users that were made while the program ran.
    pub users: u64,
    /// When something was measured last; `None` when nothing was.
    pub last_change: Option<Timestamp>,
}

/// Checks that a file is a database of this program, of a version that this one reads, and undamaged.
///
/// # Errors
/// [`StoreError`]: what is wrong with it.
pub(crate) async fn verify(path: &Path) -> Result<(), StoreError> {
    file::check(path)?;
    let mut connection = connect(path).await?;
    let checked = verify_over(&mut connection, path).await;
    finish(connection, path, checked).await
}

async fn verify_over(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let said = sqlx::query_scalar(queries::QUICK_CHECK).fetch_one(&mut *connection).await;
    let said: String = said.map_err(|error| convert::error(path, error))?;
    if said != "ok" {
        return Err(StoreError::Corrupt { path: path.to_owned(), detail: said.into() });
    }
    match schema::check(connection, path).await {
        // It is brought up to date when it is used.
        Err(StoreError::Older { .. }) if schema::is_ours(connection, path).await? => Ok(()),
        Err(StoreError::Older { .. }) => Err(StoreError::Foreign { path: path.to_owned() }),
        checked => checked,
    }
}

/// Brings a database file to this program's schema.
pub(crate) async fn upgrade_file(path: &Path) -> Result<(), StoreError> {
    let mut connection = connect(path).await?;
    let upgraded = schema::upgrade(&mut connection, path).await;
    finish(connection, path, upgraded).await
}

/// What a database of this program's schema holds.
pub(crate) async fn summary(path: &Path) -> Result<DatabaseSummary, StoreError> {
    let mut connection = connect(path).await?;
    let counted = count(&mut connection).await.map_err(|error| convert::error(path, error));
    finish(connection, path, counted).await
}

async fn count(connection: &mut SqliteConnection) -> Result<DatabaseSummary, sqlx::Error> {
    let (nodes, routable, sources) = (
        number(connection, queries::COUNT_NODES).await?,
        number(connection, queries::COUNT_ROUTABLE).await?,
        number(connection, queries::COUNT_SOURCES).await?,
    );
    let users = number(connection, queries::COUNT_USERS).await?;
    let last_change = Some(Timestamp(number(connection, queries::LAST_CHANGE).await?)).filter(|at| at.0 > 0);
    Ok(DatabaseSummary { nodes, routable, sources, users, last_change })
}

async fn number(connection: &mut SqliteConnection, query: &'static str) -> Result<u64, sqlx::Error> {
    sqlx::query_scalar(query).fetch_one(connection).await.map(convert::to_count)
}

/// What a database is and how large.
pub(super) async fn describe(connection: &mut SqliteConnection, path: &Path) -> Result<StoreDescription, sqlx::Error> {
    let version: String = sqlx::query_scalar(queries::SQLITE_VERSION).fetch_one(&mut *connection).await?;
    let names: Vec<String> = sqlx::query_scalar(queries::TABLE_NAMES).fetch_all(&mut *connection).await?;
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        // The name is the database's own.
        let count = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM \"{name}\"")));
        let rows: i64 = count.fetch_one(&mut *connection).await?;
        tables.push(TableDescription { name: name.into(), rows: convert::to_count(rows), bytes: None });
    }
    Ok(StoreDescription {
        database: format!("SQLite {version}").into(),
        place: path.display().to_string().into(),
        schema: sqlx::query_scalar(queries::SCHEMA_VERSION).fetch_one(&mut *connection).await?,
        bytes: number(connection, queries::DATABASE_BYTES).await?,
        tables,
    })
}

/// Writes a consistent copy of a database that nobody has open to the empty file `to`.
pub(crate) async fn copy_database(from: &Path, to: &Path) -> Result<(), StoreError> {
    let text = to.to_str().ok_or_else(|| not_utf8(to))?;
    let mut connection = connect(from).await?;
    let copied = sqlx::query(queries::BACKUP).bind(text).execute(&mut connection).await;
    let copied = copied.map(drop).map_err(|error| convert::error(from, error));
    finish(connection, from, copied).await
}

async fn connect(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new().filename(path).pragma("temp_store", "MEMORY").disable_statement_logging();
    options.connect().await.map_err(|error| convert::error(path, error))
}

/// Closes the connection before anybody moves the file, and passes the result on.
async fn finish<T>(connection: SqliteConnection, path: &Path, done: Result<T, StoreError>) -> Result<T, StoreError> {
    let closed = connection.close().await;
    let done = done?;
    closed.map_err(|error| convert::error(path, error))?;
    Ok(done)
}
