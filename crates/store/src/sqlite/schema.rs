//! Bringing a file to this program's schema, or saying why not.

use std::path::Path;

use sqlx::{
    SqliteConnection,
    migrate::{MigrateError, Migrator},
};

use super::{convert, queries};
use crate::StoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Checks whose file it is, then runs the migrations that it lacks.
pub(super) async fn upgrade(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let failed = |e| convert::error(path, e);
    let foreign = !ours(connection).await.map_err(failed)? && tables(connection).await.map_err(failed)? > 0;
    if foreign {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    let outcome = MIGRATIONS.run_direct(None, connection, false).await;
    outcome.map_err(|error| migrate_error(path, error))?;
    sqlx::query(queries::SET_APPLICATION).execute(connection).await.map_err(failed)?;
    Ok(())
}

/// Checks that the file has exactly this program's schema.
pub(super) async fn check(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let failed = |e| convert::error(path, e);
    let empty = tables(connection).await.map_err(failed)? == 0;
    if empty {
        return Err(StoreError::Older { path: path.to_owned() });
    }
    if !ours(connection).await.map_err(failed)? {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    let found: i64 = sqlx::query_scalar(queries::SCHEMA_VERSION).fetch_one(connection).await.map_err(failed)?;
    match found.cmp(&newest_schema()) {
        std::cmp::Ordering::Less => Err(StoreError::Older { path: path.to_owned() }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(StoreError::Newer { path: path.to_owned(), found, known: newest_schema() }),
    }
}

/// Whether this program has made the file.
pub(super) async fn is_ours(connection: &mut SqliteConnection, path: &Path) -> Result<bool, StoreError> {
    ours(connection).await.map_err(|e| convert::error(path, e))
}

async fn ours(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let mark: i64 = sqlx::query_scalar(queries::GET_APPLICATION).fetch_one(&mut *connection).await?;
    if mark == queries::APPLICATION_ID {
        return Ok(true);
    }
    // Killed between the first migration and the mark: the migrations table is there, and so is ours.
    let tables: i64 = sqlx::query_scalar(queries::COUNT_OUR_TABLES).fetch_one(connection).await?;
    Ok(tables == 2)
}

async fn tables(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(queries::COUNT_TABLES).fetch_one(connection).await
}

/// The schema to which this program brings a store: the number of its newest migration.
#[must_use]
pub fn newest_schema() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

fn migrate_error(path: &Path, error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(found) | MigrateError::VersionTooNew(found, _) => {
            StoreError::Newer { path: path.to_owned(), found, known: newest_schema() }
        }
        MigrateError::Execute(error) => convert::error(path, error),
        error => StoreError::Migrate { path: path.to_owned(), source: Box::new(error) },
    }
}
