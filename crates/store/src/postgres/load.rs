//! Reading everything, row by row, and sending it in parts.

use futures_util::TryStreamExt;
use hezar_core::{Code, HttpAbility, LastFailure, Quarantine, Record, Secret, Stage, State};
use sqlx::{Row, postgres::PgRow};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{transaction::Transaction, values::node_id};
use crate::{
    AnnotationRow, BanRow, Contents, NodeRow, SessionRow, SourceNodes, StrangeRow, decode,
    numbers::{to_latency, to_time, to_u32},
};

/// How many nodes one part holds.
const PART: usize = 8192;

/// Of each node the record of this region, or else the freshest of the others. Must follow the order in which [`node`] reads.
const SELECT_NODES: &str = "WITH best AS (SELECT DISTINCT ON (id) * FROM records \
     ORDER BY id, region <> $1, last_checked DESC NULLS LAST) \
     SELECT proxies.id, uri, label, kept_from, unreadable_since, first_seen, unlisted_since, state, failures, last_ok, last_checked, \
     latency_us, exit_ip, exit_seen, country, last_error, failure_stage, unsupported, quarantine, quarantined_at, dead_since, \
     error_rate, http_ability FROM proxies LEFT JOIN best ON best.id = proxies.id";
/// Must follow the order in which [`decode::source`] reads.
const SELECT_SOURCES: &str = "SELECT name, kind, allow_private, last_fetch, last_ok, next_fetch, validators, error_code, error_text, \
     failures, nodes, rejects, lived_ms, deaths_milli, barren, origin, subscription FROM sources ORDER BY name COLLATE \"C\"";
/// Must follow the order in which [`decode::session`] reads.
const SELECT_SESSIONS: &str =
    "SELECT listener, username, session, country, began, ends, lasts_ms, exit_ip, proxy FROM sessions";
const SELECT_BANS: &str = "SELECT id, uri, label, since FROM bans";
const SELECT_SITE_BANS: &str = "SELECT site, exit, since, until, reason FROM site_bans";
const SELECT_ANNOTATIONS: &str = "SELECT id, uri, disabled, pinned, tags, note, changed FROM annotations";
const SELECT_DASHBOARD: &str = "SELECT kind, key, value FROM dashboard";
const SELECT_LISTINGS: &str = "SELECT source, array_agg(proxy) FROM listings GROUP BY source";

/// Sends the whole store as [`Store::load_in_parts`](crate::Store::load_in_parts) says.
pub(super) async fn in_parts(
    transaction: &mut Transaction,
    region: &str,
    parts: &mpsc::Sender<Contents>,
) -> Result<(), sqlx::Error> {
    let first = everything_but_nodes(transaction).await?;
    if parts.send(first).await.is_ok() {
        nodes(transaction, region, parts).await?;
    }
    Ok(())
}

/// Everything but the nodes. Whoever reads all in parts, and stops at the first one, has let the database begin to send the nodes.
pub(super) async fn everything_but_nodes(transaction: &mut Transaction) -> Result<Contents, sqlx::Error> {
    let mut part = Contents::default();
    for row in rows(transaction, SELECT_SOURCES).await? {
        part.sources.push(decode::source(&row)?);
    }
    for row in rows(transaction, SELECT_SESSIONS).await? {
        part.sessions.push(session(&row)?);
    }
    for row in rows(transaction, SELECT_BANS).await? {
        part.bans.push(ban(&row)?);
    }
    for row in rows(transaction, SELECT_SITE_BANS).await? {
        part.site_bans.extend(decode::site_ban(&row)?);
    }
    for row in rows(transaction, SELECT_ANNOTATIONS).await? {
        part.annotations.push(annotation(&row)?);
    }
    for row in rows(transaction, SELECT_DASHBOARD).await? {
        part.dashboard.extend(decode::dashboard(&row)?);
    }
    for row in rows(transaction, SELECT_LISTINGS).await? {
        let ids: Vec<Uuid> = row.try_get(1)?;
        let source = row.try_get::<&str, _>(0)?.into();
        part.listings.push(SourceNodes { source, ids: ids.into_iter().map(node_id).collect() });
    }
    Ok(part)
}

async fn rows(transaction: &mut Transaction, sql: &'static str) -> Result<Vec<PgRow>, sqlx::Error> {
    transaction.query(sql).fetch_all(&mut **transaction).await
}

async fn nodes(transaction: &mut Transaction, region: &str, parts: &mpsc::Sender<Contents>) -> Result<(), sqlx::Error> {
    let mut part = Contents::default();
    let mut rows = transaction.query(SELECT_NODES).bind(region).fetch(&mut **transaction);
    while let Some(row) = rows.try_next().await? {
        match node(&row)? {
            Ok(node) => part.nodes.push(node),
            Err(strange) => part.strange.push(strange),
        }
        if part.nodes.len() + part.strange.len() >= PART && parts.send(std::mem::take(&mut part)).await.is_err() {
            // What is left of the answer is read when the transaction ends: nobody may stop loading half-way for that.
            return Ok(());
        }
    }
    // Nobody may receive any more.
    let _ = parts.send(part).await;
    Ok(())
}

/// A node with its record; of one whose state cannot be understood, what names it.
pub(super) fn node(row: &PgRow) -> Result<Result<NodeRow, StrangeRow>, sqlx::Error> {
    let id = node_id(row.try_get(0)?);
    let unreadable_since = row.try_get::<Option<i64>, _>(4)?.map(to_time);
    let state = match row.try_get::<Option<&str>, _>(7)? {
        Some(name) => State::from_name(name),
        None => Some(State::default()),
    };
    let Some(state) = state else {
        return Ok(Err(StrangeRow { id: id.to_string().into(), since: unreadable_since }));
    };
    let mut record = if row.try_get::<Option<i64>, _>(8)?.is_some() { record(row, state)? } else { Record::default() };
    record.first_seen = to_time(row.try_get(5)?);
    record.unlisted_since = row.try_get::<Option<i64>, _>(6)?.map(to_time);
    Ok(Ok(NodeRow {
        id,
        uri: Secret::new(row.try_get::<&str, _>(1)?),
        label: row.try_get::<&str, _>(2)?.into(),
        kept_from: row.try_get::<Option<&str>, _>(3)?.map(Into::into),
        unreadable_since,
        record,
    }))
}

/// What is measured; the times that come with the node are left empty.
fn record(row: &PgRow, state: State) -> Result<Record, sqlx::Error> {
    let text = |column: usize| row.try_get::<Option<&str>, _>(column);
    let number = |column: usize| row.try_get::<Option<i64>, _>(column);
    let time = |column: usize| number(column).map(|number| number.map(to_time));
    let code = |column: usize| text(column).map(|text| text.map(Code::from_text));
    let stage = text(16)?.and_then(Stage::from_name);
    let quarantined_at = time(19)?.unwrap_or_default();
    Ok(Record {
        state,
        failures: to_u32(number(8)?.unwrap_or_default()),
        first_seen: hezar_core::Timestamp::default(),
        last_ok: time(9)?,
        last_checked: time(10)?,
        dead_since: time(20)?,
        unlisted_since: None,
        latency: number(11)?.map(to_latency),
        error_rate: row.try_get(21)?,
        exit_ip: text(12)?.and_then(|text| text.parse().ok()),
        exit_seen: time(13)?,
        country: text(14)?.and_then(|text| text.as_bytes().try_into().ok()),
        failure: stage.zip(code(15)?).map(|(stage, code)| LastFailure { stage, code }),
        unsupported: code(17)?,
        http_ability: HttpAbility::from_byte(u8::try_from(row.try_get::<i16, _>(22)?).unwrap_or_default()),
        quarantine: code(18)?.map(|code| Quarantine { code, since: quarantined_at }),
    })
}

pub(super) fn ban(row: &PgRow) -> Result<BanRow, sqlx::Error> {
    decode::ban(row, node_id(row.try_get(0)?))
}

pub(super) fn annotation(row: &PgRow) -> Result<AnnotationRow, sqlx::Error> {
    decode::annotation(row, node_id(row.try_get(0)?))
}

pub(super) fn session(row: &PgRow) -> Result<SessionRow, sqlx::Error> {
    decode::session(row, row.try_get::<Option<Uuid>, _>(8)?.map(node_id))
}
