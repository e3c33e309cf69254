//! Bringing a database to this program's schema, or saying why not.

use std::{cmp::Ordering, sync::LazyLock};

use sqlx::{
    Connection, Executor, PgConnection,
    migrate::{MigrateError, Migrator},
};

use super::{
    Server,
    error::{place, translate},
};
use crate::StoreError;

/// The table that says which migrations have been made. Other programs that use SQLx may live in the same database.
const TABLE: &str = "hezar_migrations";
static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!("migrations/postgres");
    migrator.dangerous_set_table_name(TABLE);
    // A lock of a session means nothing behind a pooler in transaction mode; `upgrade` takes one of the transaction.
    migrator.set_locking(false);
    migrator
});

/// The first version that has `xid8` and its functions (PostgreSQL 13, release notes).
const OLDEST_SERVER: i32 = 130_000;
const SERVER_VERSION: &str = "SELECT current_setting('server_version_num')::int, current_setting('server_version')";
const IS_MIGRATED: &str = "SELECT to_regclass('hezar_migrations') IS NOT NULL";
const HAS_TABLES: &str = "SELECT to_regclass('proxies') IS NOT NULL OR to_regclass('sources') IS NOT NULL";
const SCHEMA_VERSION: &str = "SELECT coalesce(max(version), 0) FROM hezar_migrations WHERE success";
/// `HEZR` in ASCII: one instance upgrades, the others wait.
pub(super) const LOCK: &str = "SELECT pg_advisory_xact_lock(1212504658)";
const FORGET_STATEMENTS: &str = "DEALLOCATE ALL";
/// One transaction for all: of an upgrade that fails nothing stays. It may wait for other instances that upgrade.
pub(super) const BEGIN: &str =
    "BEGIN; SET LOCAL statement_timeout = '30min'; SET LOCAL idle_in_transaction_session_timeout = '1min'";

/// Brings the database to this program's schema. Any number of instances may do so at once.
pub(super) async fn upgrade(connection: &mut PgConnection, server: &Server) -> Result<(), StoreError> {
    if look(connection, server).await? == Ordering::Equal {
        return Ok(());
    }
    let failed = |error| translate(server, error);
    let mut transaction = connection.begin_with(BEGIN).await.map_err(failed)?;
    transaction.execute(LOCK).await.map_err(failed)?;
    // Another instance may have been first.
    if compare(&mut transaction, server).await? == Ordering::Equal {
        return Ok(());
    }
    let outcome = MIGRATIONS.run_direct(None, &mut *transaction, false).await;
    outcome.map_err(|error| migrate_error(server, error))?;
    if !server.keeps_statements {
        // The connection behind the pooler is somebody else's next, with statements of the same names.
        transaction.execute(FORGET_STATEMENTS).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

/// Checks that the database has exactly this program's schema.
pub(super) async fn check(connection: &mut PgConnection, server: &Server) -> Result<(), StoreError> {
    match look(connection, server).await? {
        Ordering::Equal => Ok(()),
        _ => Err(StoreError::Older { path: place(server) }),
    }
}

/// Checks the server and compares the schema, in a transaction: a pooler may give each its own connection.
async fn look(connection: &mut PgConnection, server: &Server) -> Result<Ordering, StoreError> {
    let mut transaction = connection.begin_with(BEGIN).await.map_err(|error| translate(server, error))?;
    check_server(&mut transaction, server).await?;
    compare(&mut transaction, server).await
}

async fn check_server(connection: &mut PgConnection, server: &Server) -> Result<(), StoreError> {
    let query = sqlx::query_as(SERVER_VERSION).persistent(false);
    let (number, text): (i32, String) = query.fetch_one(connection).await.map_err(|error| translate(server, error))?;
    if number < OLDEST_SERVER {
        return Err(StoreError::OldServer { server: server.name.clone(), found: text.into() });
    }
    Ok(())
}

/// How the schema of the database compares with this program's: older, or equal.
async fn compare(connection: &mut PgConnection, server: &Server) -> Result<Ordering, StoreError> {
    let failed = |error| translate(server, error);
    // Asked in this order, since another instance may upgrade in between, which makes all tables at once: tables that are seen first belong
    // to migrations that are seen then.
    let has_tables = flag(connection, HAS_TABLES).await.map_err(failed)?;
    if !flag(connection, IS_MIGRATED).await.map_err(failed)? {
        return if has_tables { Err(StoreError::Foreign { path: place(server) }) } else { Ok(Ordering::Less) };
    }
    let query = sqlx::query_scalar(SCHEMA_VERSION).persistent(false);
    let found: i64 = query.fetch_one(connection).await.map_err(failed)?;
    match found.cmp(&newest()) {
        Ordering::Greater => Err(StoreError::Newer { path: place(server), found, known: newest() }),
        order => Ok(order),
    }
}

/// The answer of a statement that says yes or no.
pub(super) async fn flag(connection: &mut PgConnection, sql: &'static str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(sql).persistent(false).fetch_one(connection).await
}

/// The schema to which this program brings a database of PostgreSQL.
pub(super) fn newest() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

fn migrate_error(server: &Server, error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(found) | MigrateError::VersionTooNew(found, _) => {
            StoreError::Newer { path: place(server), found, known: newest() }
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => translate(server, error),
        error => StoreError::Migrate { path: place(server), source: Box::new(error) },
    }
}
