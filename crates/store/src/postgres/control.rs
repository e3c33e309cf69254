//! Objects, tokens and the record of changes in PostgreSQL.

use super::{
    transaction::Transaction,
    values::{optional_text, text},
};
use crate::{
    AuditQuery, AuditRow, ControlChange, ControlContents, MOST_AUDIT_ROWS, ObjectRow, TokenRow, decode,
    numbers::from_time,
};

/// Must follow the order in which [`decode::object`] reads.
const SELECT_OBJECTS: &str =
    "SELECT kind, name, value, changed FROM objects ORDER BY kind COLLATE \"C\", name COLLATE \"C\"";
const PUT_OBJECT: &str = "INSERT INTO objects (kind, name, value, changed) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (kind, name) DO UPDATE SET value = excluded.value, changed = excluded.changed, version = DEFAULT";
const DELETE_OBJECT: &str = "DELETE FROM objects WHERE kind = $1 AND name = $2";
/// Must follow the order in which [`decode::token`] reads.
const SELECT_TOKENS: &str = "SELECT name, hash, scope, created, last_used FROM api_tokens ORDER BY name COLLATE \"C\"";
const PUT_TOKEN: &str = "INSERT INTO api_tokens (name, hash, scope, created, last_used) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, scope = excluded.scope, created = excluded.created, \
     last_used = excluded.last_used, version = DEFAULT";
const DELETE_TOKEN: &str = "DELETE FROM api_tokens WHERE name = $1";
/// Several instances note when a token was used; the latest counts, and an older one is no change.
const USE_TOKEN: &str = "UPDATE api_tokens SET last_used = greatest(last_used, $1), version = DEFAULT WHERE name = $2 \
     AND last_used IS DISTINCT FROM greatest(last_used, $1)";
/// Must follow the order in which [`decode::audit`] reads. An absent filter is NULL and lets every row through.
const SELECT_AUDIT: &str = "SELECT id, at, who, via, action, kind, name, old_value, new_value FROM audit \
     WHERE id < coalesce($1, 9223372036854775807) AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR name = $3) \
     AND ($4::text IS NULL OR who = $4) ORDER BY id DESC LIMIT $5";
const PUT_AUDIT: &str = "INSERT INTO audit (at, who, via, action, kind, name, old_value, new_value) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const TRIM_AUDIT: &str = "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - $1";

/// Reads all objects and tokens.
pub(super) async fn load(transaction: &mut Transaction) -> Result<ControlContents, sqlx::Error> {
    let objects = transaction.query(SELECT_OBJECTS).fetch_all(&mut **transaction).await?;
    Ok(ControlContents {
        objects: objects.iter().map(decode::object).collect::<Result<_, _>>()?,
        tokens: tokens(transaction).await?,
    })
}

/// Reads all tokens.
pub(super) async fn tokens(transaction: &mut Transaction) -> Result<Vec<TokenRow>, sqlx::Error> {
    let tokens = transaction.query(SELECT_TOKENS).fetch_all(&mut **transaction).await?;
    tokens.iter().map(decode::token).collect()
}

/// Writes all the changes in their order.
pub(super) async fn write(transaction: &mut Transaction, changes: &[ControlChange]) -> Result<(), sqlx::Error> {
    for change in changes {
        apply(transaction, change).await?;
    }
    if changes.iter().any(|change| matches!(change, ControlChange::Audit(_))) {
        transaction.query(TRIM_AUDIT).bind(MOST_AUDIT_ROWS).execute(&mut **transaction).await?;
    }
    Ok(())
}

async fn apply(transaction: &mut Transaction, change: &ControlChange) -> Result<(), sqlx::Error> {
    let query = match change {
        ControlChange::PutObject(ObjectRow { kind, name, value, changed }) => {
            let query = transaction.query(PUT_OBJECT).bind(text(kind)).bind(text(name)).bind(text(value.expose()));
            query.bind(from_time(*changed))
        }
        ControlChange::RemoveObject { kind, name } => {
            transaction.query(DELETE_OBJECT).bind(text(kind)).bind(text(name))
        }
        ControlChange::PutToken(TokenRow { name, hash, scope, created, last_used }) => {
            let query = transaction.query(PUT_TOKEN).bind(text(name)).bind(text(hash)).bind(text(scope));
            query.bind(from_time(*created)).bind(last_used.map(from_time))
        }
        ControlChange::RemoveToken(name) => transaction.query(DELETE_TOKEN).bind(text(name)),
        ControlChange::TokensUsed(used) => {
            for (name, at) in used {
                let query = transaction.query(USE_TOKEN).bind(from_time(*at)).bind(text(name));
                query.execute(&mut **transaction).await?;
            }
            return Ok(());
        }
        ControlChange::Audit(AuditRow { id: _, at, who, via, action, kind, name, old, new }) => {
            let query = transaction.query(PUT_AUDIT).bind(from_time(*at)).bind(text(who)).bind(text(via));
            let query = query.bind(text(action)).bind(text(kind)).bind(text(name));
            query.bind(optional_text(old.as_deref())).bind(optional_text(new.as_deref()))
        }
    };
    query.execute(&mut **transaction).await?;
    Ok(())
}

/// Reads lines of the record, the newest first.
pub(super) async fn audit(transaction: &mut Transaction, query: &AuditQuery) -> Result<Vec<AuditRow>, sqlx::Error> {
    let AuditQuery { before, kind, name, who, limit } = query;
    let select = transaction
        .query(SELECT_AUDIT)
        .bind(*before)
        .bind(optional_text(kind.as_deref()))
        .bind(optional_text(name.as_deref()));
    let rows = select.bind(optional_text(who.as_deref())).bind(i64::from(*limit)).fetch_all(&mut **transaction).await?;
    rows.iter().map(decode::audit).collect()
}
