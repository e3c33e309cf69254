//! Objects, tokens and the record of changes in SQLite.

use sqlx::{Connection, SqliteConnection};

use super::convert::from_time;
use crate::{AuditQuery, AuditRow, ControlChange, ControlContents, MOST_AUDIT_ROWS, ObjectRow, TokenRow, decode};

/// Must follow the order in which [`decode::object`] reads.
const SELECT_OBJECTS: &str = "SELECT kind, name, value, changed FROM objects ORDER BY kind, name";
const PUT_OBJECT: &str = "INSERT INTO objects (kind, name, value, changed) VALUES (?, ?, ?, ?) \
     ON CONFLICT (kind, name) DO UPDATE SET value = excluded.value, changed = excluded.changed";
const DELETE_OBJECT: &str = "DELETE FROM objects WHERE kind = ? AND name = ?";
/// Must follow the order in which [`decode::token`] reads.
const SELECT_TOKENS: &str = "SELECT name, hash, scope, created, last_used FROM api_tokens ORDER BY name";
const PUT_TOKEN: &str = "INSERT INTO api_tokens (name, hash, scope, created, last_used) VALUES (?, ?, ?, ?, ?) \
     ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, scope = excluded.scope, created = excluded.created, \
     last_used = excluded.last_used";
const DELETE_TOKEN: &str = "DELETE FROM api_tokens WHERE name = ?";
const USE_TOKEN: &str = "UPDATE api_tokens SET last_used = ? WHERE name = ?";
/// Must follow the order in which [`decode::audit`] reads. An absent filter is NULL and lets every row through.
const SELECT_AUDIT: &str = "SELECT id, at, who, via, action, kind, name, old_value, new_value FROM audit \
     WHERE id < coalesce(?1, 9223372036854775807) AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR name = ?3) \
     AND (?4 IS NULL OR who = ?4) ORDER BY id DESC LIMIT ?5";
const PUT_AUDIT: &str = "INSERT INTO audit (at, who, via, action, kind, name, old_value, new_value) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
const TRIM_AUDIT: &str = "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?";

/// Reads all objects and tokens in one consistent view.
pub(super) async fn load(connection: &mut SqliteConnection) -> Result<ControlContents, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let objects = sqlx::query(SELECT_OBJECTS).fetch_all(&mut *transaction).await?;
    let tokens = sqlx::query(SELECT_TOKENS).fetch_all(&mut *transaction).await?;
    transaction.rollback().await?;
    Ok(ControlContents {
        objects: objects.iter().map(decode::object).collect::<Result<_, _>>()?,
        tokens: tokens.iter().map(decode::token).collect::<Result<_, _>>()?,
    })
}

/// Writes all the changes in their order, or nothing.
pub(super) async fn write(connection: &mut SqliteConnection, changes: &[ControlChange]) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for change in changes {
        apply(&mut transaction, change).await?;
    }
    transaction.commit().await
}

async fn apply(connection: &mut SqliteConnection, change: &ControlChange) -> Result<(), sqlx::Error> {
    match change {
        ControlChange::PutObject(ObjectRow { kind, name, value, changed }) => {
            let query = sqlx::query(PUT_OBJECT).bind(&**kind).bind(&**name).bind(value.expose());
            query.bind(from_time(*changed)).execute(connection).await?;
        }
        ControlChange::RemoveObject { kind, name } => {
            sqlx::query(DELETE_OBJECT).bind(&**kind).bind(&**name).execute(connection).await?;
        }
        ControlChange::PutToken(TokenRow { name, hash, scope, created, last_used }) => {
            let query = sqlx::query(PUT_TOKEN).bind(&**name).bind(&**hash).bind(&**scope);
            query.bind(from_time(*created)).bind(last_used.map(from_time)).execute(connection).await?;
        }
        ControlChange::RemoveToken(name) => {
            sqlx::query(DELETE_TOKEN).bind(&**name).execute(connection).await?;
        }
        ControlChange::TokensUsed(used) => {
            for (name, at) in used {
                sqlx::query(USE_TOKEN).bind(from_time(*at)).bind(&**name).execute(&mut *connection).await?;
            }
        }
        ControlChange::Audit(row) => put_audit(connection, row).await?,
    }
    Ok(())
}

async fn put_audit(connection: &mut SqliteConnection, row: &AuditRow) -> Result<(), sqlx::Error> {
    let AuditRow { id: _, at, who, via, action, kind, name, old, new } = row;
    let query = sqlx::query(PUT_AUDIT).bind(from_time(*at)).bind(&**who).bind(&**via).bind(&**action);
    let query = query.bind(&**kind).bind(&**name).bind(old.as_deref()).bind(new.as_deref());
    query.execute(&mut *connection).await?;
    sqlx::query(TRIM_AUDIT).bind(MOST_AUDIT_ROWS).execute(connection).await?;
    Ok(())
}

/// Reads lines of the record, the newest first.
pub(super) async fn audit(connection: &mut SqliteConnection, query: &AuditQuery) -> Result<Vec<AuditRow>, sqlx::Error> {
    let AuditQuery { before, kind, name, who, limit } = query;
    let select = sqlx::query(SELECT_AUDIT).bind(*before).bind(kind.as_deref()).bind(name.as_deref());
    let rows = select.bind(who.as_deref()).bind(i64::from(*limit)).fetch_all(connection).await?;
    rows.iter().map(decode::audit).collect()
}
