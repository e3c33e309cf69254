//! Writing nodes and who lists them, many at a time.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use hezar_core::{NodeId, Record};
use uuid::Uuid;

use super::{
    records,
    transaction::Transaction,
    values::{optional_text, text, uuid},
};
use crate::{Change, NodeRow, StoreIdentity, change::last_of_each, numbers::from_time};

/// A row that is there already stays as it is, and is no change for those who follow.
const PUT_NODES: &str = "INSERT INTO proxies (id, uri, label, kept_from, unreadable_since, first_seen, unlisted_since) \
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[]) \
     ON CONFLICT (id) DO UPDATE SET uri = excluded.uri, label = excluded.label, kept_from = excluded.kept_from, \
     unreadable_since = excluded.unreadable_since, first_seen = excluded.first_seen, unlisted_since = excluded.unlisted_since, \
     version = DEFAULT \
     WHERE (proxies.uri, proxies.label, proxies.kept_from, proxies.unreadable_since, proxies.first_seen, proxies.unlisted_since) \
     IS DISTINCT FROM (excluded.uri, excluded.label, excluded.kept_from, excluded.unreadable_since, excluded.first_seen, \
     excluded.unlisted_since)";
/// A node that was never measured needs no record; one without evidence is replaced by that.
const FORGET_UNPROVEN: &str = "DELETE FROM records WHERE id = ANY($1) AND region = $2 AND last_checked IS NULL";
/// A node that was forgotten and came back begins anew: what was measured before it was first seen is another life's.
const FORGET_FORMER: &str = "DELETE FROM records USING unnest($1::uuid[], $2::bigint[]) AS born (id, first_seen) \
     WHERE records.id = born.id AND records.region = $3 AND records.last_checked <= born.first_seen";
const DELETE_NODES: [&str; 3] = [
    "DELETE FROM listings WHERE proxy = ANY($1)",
    "DELETE FROM records WHERE id = ANY($1)",
    "DELETE FROM proxies WHERE id = ANY($1)",
];
/// What stays is not written again: most of a list is the same as the last time.
const SHRINK_NODES_LISTED: &str = "DELETE FROM listings WHERE proxy = ANY($1) AND NOT EXISTS (SELECT FROM unnest($2::text[], $3::uuid[]) \
     AS kept (source, proxy) WHERE kept.source = listings.source AND kept.proxy = listings.proxy)";
const GROW_NODES_LISTED: &str =
    "INSERT INTO listings (source, proxy) SELECT * FROM unnest($1::text[], $2::uuid[]) ON CONFLICT DO NOTHING";
const SHRINK_LISTING: &str = "DELETE FROM listings WHERE source = $1 AND NOT EXISTS (SELECT FROM unnest($2::uuid[]) AS kept (proxy) \
     WHERE kept.proxy = listings.proxy)";
const GROW_LISTING: &str = "INSERT INTO listings (source, proxy) SELECT $1, proxy FROM unnest($2::uuid[]) AS news (proxy) ON CONFLICT DO NOTHING";

/// Writes a run of [`Change::PutNode`].
pub(super) async fn put_nodes(
    transaction: &mut Transaction,
    identity: &StoreIdentity,
    run: &[Change],
) -> Result<(), sqlx::Error> {
    let rows = || {
        run.iter().filter_map(|change| match change {
            Change::PutNode(row) => Some((row.id, row)),
            _ => None,
        })
    };
    let mut nodes = last_of_each(rows());
    nodes.sort_unstable_by_key(|row| row.id);
    for rows in nodes.chunks(records::ROWS) {
        put_rows(transaction, rows).await?;
    }
    if identity.is_observer {
        return Ok(());
    }
    forget_former(transaction, identity, rows()).await?;
    let records = rows().map(|(id, row)| (id, &row.record));
    let newest = records::newest(records, records::is_newer_or_of_a_new_life);
    let (unmeasured, measured): (HashMap<_, _>, HashMap<_, _>) =
        newest.into_iter().partition(|(_, record)| is_unmeasured(record));
    if !unmeasured.is_empty() {
        let ids: Vec<Uuid> = unmeasured.keys().map(uuid).collect();
        let query = transaction.query(FORGET_UNPROVEN).bind(ids).bind(&*identity.region);
        query.execute(&mut **transaction).await?;
    }
    records::put(transaction, &identity.region, &measured).await
}

/// Removes records of this region from before the nodes were first seen.
async fn forget_former<'a>(
    transaction: &mut Transaction,
    identity: &StoreIdentity,
    rows: impl Iterator<Item = (NodeId, &'a NodeRow)>,
) -> Result<(), sqlx::Error> {
    let mut born: BTreeMap<Uuid, i64> = BTreeMap::new();
    for (id, row) in rows {
        let first_seen = born.entry(uuid(&id)).or_default();
        *first_seen = from_time(row.record.first_seen).max(*first_seen);
    }
    let (ids, first_seen): (Vec<Uuid>, Vec<i64>) = born.into_iter().unzip();
    let query = transaction.query(FORGET_FORMER).bind(ids).bind(first_seen).bind(&*identity.region);
    query.execute(&mut **transaction).await?;
    Ok(())
}

/// Whether a record says nothing that a missing row would not say.
fn is_unmeasured(record: &Record) -> bool {
    let nothing = Record { first_seen: record.first_seen, unlisted_since: record.unlisted_since, ..Record::default() };
    *record == nothing
}

async fn put_rows(transaction: &mut Transaction, rows: &[&NodeRow]) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = rows.iter().map(|row| uuid(&row.id)).collect();
    let uris: Vec<Cow<'_, str>> = rows.iter().map(|row| text(row.uri.expose())).collect();
    let labels: Vec<Cow<'_, str>> = rows.iter().map(|row| text(&row.label)).collect();
    let kept_from: Vec<Option<Cow<'_, str>>> = rows.iter().map(|row| optional_text(row.kept_from.as_deref())).collect();
    let unreadable: Vec<Option<i64>> = rows.iter().map(|row| row.unreadable_since.map(from_time)).collect();
    let first_seen: Vec<i64> = rows.iter().map(|row| from_time(row.record.first_seen)).collect();
    let unlisted: Vec<Option<i64>> = rows.iter().map(|row| row.record.unlisted_since.map(from_time)).collect();
    let query = transaction.query(PUT_NODES).bind(ids).bind(uris).bind(labels).bind(kept_from);
    query.bind(unreadable).bind(first_seen).bind(unlisted).execute(&mut **transaction).await?;
    Ok(())
}

/// Writes a run of [`Change::PutRecord`].
pub(super) async fn put_records(
    transaction: &mut Transaction,
    identity: &StoreIdentity,
    run: &[Change],
) -> Result<(), sqlx::Error> {
    if identity.is_observer {
        return Ok(());
    }
    let records = run.iter().filter_map(|change| match change {
        Change::PutRecord(id, record) => Some((*id, record)),
        _ => None,
    });
    let newest = records::newest(records, records::is_newer);
    records::put(transaction, &identity.region, &newest).await
}

/// Writes a run of [`Change::RemoveNode`].
pub(super) async fn remove_nodes(transaction: &mut Transaction, run: &[Change]) -> Result<(), sqlx::Error> {
    let ids = run.iter().filter_map(|change| match change {
        Change::RemoveNode(id) => Some(uuid(id)),
        _ => None,
    });
    remove(transaction, ids.collect()).await
}

/// Removes nodes with what is measured of them and who lists them.
pub(super) async fn remove(transaction: &mut Transaction, mut ids: Vec<Uuid>) -> Result<(), sqlx::Error> {
    ids.sort_unstable();
    for statement in DELETE_NODES {
        transaction.query(statement).bind(&ids).execute(&mut **transaction).await?;
    }
    Ok(())
}

/// Writes a run of [`Change::ListNode`].
pub(super) async fn list_nodes(transaction: &mut Transaction, run: &[Change]) -> Result<(), sqlx::Error> {
    let nodes = last_of_each(run.iter().filter_map(|change| match change {
        Change::ListNode { id, sources } => Some((*id, (id, sources))),
        _ => None,
    }));
    let ids: Vec<Uuid> = nodes.iter().map(|(id, _)| uuid(id)).collect();
    let mut pairs: Vec<(Cow<'_, str>, Uuid)> = Vec::with_capacity(ids.len());
    for (id, sources) in nodes {
        pairs.extend(sources.iter().map(|source| (text(source), uuid(id))));
    }
    pairs.sort_unstable();
    let (sources, proxies): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    let query = transaction.query(SHRINK_NODES_LISTED).bind(ids).bind(&sources).bind(&proxies);
    query.execute(&mut **transaction).await?;
    transaction.query(GROW_NODES_LISTED).bind(sources).bind(proxies).execute(&mut **transaction).await?;
    Ok(())
}

/// Writes what a source lists.
pub(super) async fn set_listing(
    transaction: &mut Transaction,
    source: &str,
    ids: &[NodeId],
    complete: bool,
) -> Result<(), sqlx::Error> {
    let source = text(source);
    let mut ids: Vec<Uuid> = ids.iter().map(uuid).collect();
    ids.sort_unstable();
    if complete {
        transaction.query(SHRINK_LISTING).bind(&*source).bind(&ids).execute(&mut **transaction).await?;
    }
    transaction.query(GROW_LISTING).bind(&*source).bind(ids).execute(&mut **transaction).await?;
    Ok(())
}
