//! Writing a batch: neighbours of the same kind share a statement.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    history, nodes, sessions,
    transaction::Transaction,
    values::{optional_text, text, uuid},
};
use crate::{
    AnnotationRow, BanRow, Change, DashboardRow, SiteBanRow, SourceRow, StoreIdentity,
    numbers::{from_duration, from_time},
};

/// Must follow the order in which [`put_source`] binds.
const PUT_SOURCE: &str = "INSERT INTO sources (name, kind, allow_private, last_fetch, last_ok, next_fetch, validators, error_code, \
     error_text, failures, nodes, rejects, lived_ms, deaths_milli, barren, origin, subscription) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) \
     ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, allow_private = excluded.allow_private, last_fetch = excluded.last_fetch, \
     last_ok = excluded.last_ok, next_fetch = excluded.next_fetch, validators = excluded.validators, \
     error_code = excluded.error_code, error_text = excluded.error_text, failures = excluded.failures, nodes = excluded.nodes, \
     rejects = excluded.rejects, lived_ms = excluded.lived_ms, deaths_milli = excluded.deaths_milli, barren = excluded.barren, \
     origin = excluded.origin, subscription = excluded.subscription, version = DEFAULT";
const DELETE_SOURCE: [&str; 2] = ["DELETE FROM listings WHERE source = $1", "DELETE FROM sources WHERE name = $1"];
const PUT_BAN: &str = "INSERT INTO bans (id, uri, label, since) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET \
     uri = excluded.uri, label = excluded.label, since = excluded.since, version = DEFAULT";
const DELETE_BAN: &str = "DELETE FROM bans WHERE id = $1";
const PUT_SITE_BAN: &str = "INSERT INTO site_bans (site, exit, since, until, reason) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (site, exit) DO UPDATE SET since = excluded.since, until = excluded.until, reason = excluded.reason, version = DEFAULT";
/// One that another instance has renewed meanwhile stays.
const DELETE_SITE_BAN: &str = "DELETE FROM site_bans WHERE site = $1 AND exit = $2 AND until <= $3";
const PUT_ANNOTATION: &str = "INSERT INTO annotations (id, uri, disabled, pinned, tags, note, changed) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET uri = excluded.uri, disabled = excluded.disabled, \
     pinned = excluded.pinned, tags = excluded.tags, note = excluded.note, changed = excluded.changed, version = DEFAULT";
const DELETE_ANNOTATION: &str = "DELETE FROM annotations WHERE id = $1";
const PUT_DASHBOARD: &str = "INSERT INTO dashboard (kind, key, value) VALUES ($1, $2, $3) ON CONFLICT (kind, key) DO UPDATE SET \
     value = excluded.value, version = DEFAULT";
const DELETE_DASHBOARD: &str = "DELETE FROM dashboard WHERE kind = $1 AND key = $2";
const MARK_UNREADABLE: &str = "UPDATE proxies SET unreadable_since = $1, version = DEFAULT WHERE id = $2";

/// Applies the changes in their order.
pub(super) async fn batch(
    transaction: &mut Transaction,
    identity: &StoreIdentity,
    changes: &[Change],
) -> Result<(), sqlx::Error> {
    for run in changes.chunk_by(|a, b| std::mem::discriminant(a) == std::mem::discriminant(b)) {
        match run.first() {
            Some(Change::PutNode(_)) => nodes::put_nodes(transaction, identity, run).await?,
            Some(Change::PutRecord(..)) => nodes::put_records(transaction, identity, run).await?,
            Some(Change::RemoveNode(_)) => nodes::remove_nodes(transaction, run).await?,
            Some(Change::ListNode { .. }) => nodes::list_nodes(transaction, run).await?,
            Some(Change::PutSession(_)) => sessions::put(transaction, run).await?,
            Some(Change::RemoveSession { .. }) => sessions::remove(transaction, run).await?,
            _ => one_by_one(transaction, identity, run).await?,
        }
    }
    Ok(())
}

async fn one_by_one(
    transaction: &mut Transaction,
    identity: &StoreIdentity,
    run: &[Change],
) -> Result<(), sqlx::Error> {
    for change in run {
        match change {
            Change::PutSource(row) => put_source(transaction, row).await?,
            Change::RemoveSource(name) => {
                for statement in DELETE_SOURCE {
                    let query = transaction.query(statement).bind(text(name));
                    query.execute(connection(transaction)).await?;
                }
            }
            Change::SetListing { source, ids, complete } => {
                nodes::set_listing(transaction, source, ids, *complete).await?;
            }
            Change::PutBan(row) => put_ban(transaction, row).await?,
            Change::RemoveBan(id) => {
                transaction.query(DELETE_BAN).bind(uuid(id)).execute(connection(transaction)).await?;
            }
            Change::PutSiteBan(row) => put_site_ban(transaction, row).await?,
            Change::RemoveSiteBan { site, exit, until } => {
                let query = transaction.query(DELETE_SITE_BAN).bind(text(site)).bind(exit.to_string());
                query.bind(from_time(*until)).execute(connection(transaction)).await?;
            }
            Change::PutAnnotation(row) => put_annotation(transaction, row).await?,
            Change::RemoveAnnotation(id) => {
                transaction.query(DELETE_ANNOTATION).bind(uuid(id)).execute(connection(transaction)).await?;
            }
            Change::PutDashboard(DashboardRow { kind, key, value }) => {
                let query = transaction.query(PUT_DASHBOARD).bind(kind.name()).bind(text(key)).bind(text(value));
                query.execute(connection(transaction)).await?;
            }
            Change::RemoveDashboard(kind, key) => {
                let query = transaction.query(DELETE_DASHBOARD).bind(kind.name()).bind(text(key));
                query.execute(connection(transaction)).await?;
            }
            Change::MarkUnreadable(id, since) => {
                let Ok(id) = Uuid::parse_str(id) else { continue };
                let query = transaction.query(MARK_UNREADABLE).bind(from_time(*since)).bind(id);
                query.execute(connection(transaction)).await?;
            }
            Change::RemoveUnreadable(id) => {
                let Ok(id) = Uuid::parse_str(id) else { continue };
                nodes::remove(transaction, vec![id]).await?;
            }
            Change::PutHistory(row) => history::put(transaction, identity, row).await?,
            Change::PruneHistory { step, before } => history::prune(transaction, *step, *before).await?,
            Change::PutNode(_)
            | Change::PutRecord(..)
            | Change::RemoveNode(_)
            | Change::ListNode { .. }
            | Change::PutSession(_)
            | Change::RemoveSession { .. } => {}
        }
    }
    Ok(())
}

fn connection(transaction: &mut Transaction) -> &mut PgConnection {
    transaction
}

async fn put_source(transaction: &mut Transaction, row: &SourceRow) -> Result<(), sqlx::Error> {
    // Without `..`: a field that is added must be written here.
    let SourceRow {
        name,
        kind,
        origin,
        subscription,
        allow_private,
        last_fetch,
        last_ok,
        next_fetch,
        validators,
        error,
        failures,
        nodes,
        rejects,
        lived,
        deaths_milli,
        barren,
    } = row;
    let query = transaction.query(PUT_SOURCE).bind(text(name)).bind(text(kind)).bind(*allow_private);
    query
        .bind(last_fetch.map(from_time))
        .bind(last_ok.map(from_time))
        .bind(next_fetch.map(from_time))
        .bind(optional_text(validators.as_deref()))
        .bind(error.as_ref().map(|error| text(&error.code)))
        .bind(error.as_ref().map(|error| text(&error.text)))
        .bind(i64::from(*failures))
        .bind(i64::from(*nodes))
        .bind(i64::from(*rejects))
        .bind(from_duration(*lived))
        .bind(i64::from(*deaths_milli))
        .bind(i64::from(*barren))
        .bind(optional_text(origin.as_deref()))
        .bind(optional_text(subscription.as_deref()))
        .execute(connection(transaction))
        .await?;
    Ok(())
}

async fn put_ban(transaction: &mut Transaction, row: &BanRow) -> Result<(), sqlx::Error> {
    let BanRow { id, uri, label, since } = row;
    let query = transaction.query(PUT_BAN).bind(uuid(id)).bind(text(uri.expose())).bind(text(label));
    query.bind(from_time(*since)).execute(connection(transaction)).await?;
    Ok(())
}

async fn put_site_ban(transaction: &mut Transaction, row: &SiteBanRow) -> Result<(), sqlx::Error> {
    let SiteBanRow { site, exit, since, until, reason } = row;
    let query = transaction.query(PUT_SITE_BAN).bind(text(site)).bind(exit.to_string());
    let query = query.bind(from_time(*since)).bind(from_time(*until)).bind(text(reason));
    query.execute(connection(transaction)).await?;
    Ok(())
}

async fn put_annotation(transaction: &mut Transaction, row: &AnnotationRow) -> Result<(), sqlx::Error> {
    let AnnotationRow { id, uri, disabled, pinned, tags, note, changed } = row;
    let tags = tags.join(" ");
    let query = transaction.query(PUT_ANNOTATION).bind(uuid(id)).bind(text(uri.expose())).bind(*disabled);
    let query = query.bind(*pinned).bind(text(&tags)).bind(text(note)).bind(from_time(*changed));
    query.execute(connection(transaction)).await?;
    Ok(())
}
