//! Reading what has changed since a position in the order of commits.
//!
//! Numbers of transactions alone are no such order: one with a smaller number may commit later. So a position is the snapshot of the
//! reading, and the next reading brings the rows whose transactions were not visible in it (PostgreSQL 15, §9.27.8).
//!
//! ```text
//!   transactions by number   … 90 ended │ 91 open │ 92 ended │ 93 open │ 94 not begun     position 91:94:91,93
//!   the next reading brings             what 91, 93 and all from 94 on have written, if they have committed by then
//! ```

use futures_util::TryStreamExt;
use hezar_core::{NodeId, Timestamp};
use sqlx::{Row, postgres::PgRow};

use super::{load, transaction::Transaction, values::node_id};
use crate::{Change, ChangePosition, ChangedRows, ChangesSince, DashboardKind, SessionName, decode, numbers::to_time};

/// More changed nodes than this are read faster with everything else, and that is read in parts.
const MOST_NODES: i64 = 200_000;

/// The database, and the timeline of its server: after a failover the numbers of lost transactions come again (PostgreSQL 15, §26.3.5).
const SELECT_POSITION: &str = "SELECT database_identity.id::text || '/' || CASE WHEN pg_is_in_recovery() THEN 'standby' \
     ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END, pg_current_snapshot()::text FROM database_identity";
const SELECT_CLOCK: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
/// Whether removals since the position are all there, and in which tables something has changed.
const SELECT_OVERVIEW: &str = "SELECT (SELECT version < pg_snapshot_xmin($1::text::pg_snapshot) FROM tombstones_cleared), \
     (SELECT count(*) FROM (SELECT FROM proxies WHERE changed_since(version, $1::text::pg_snapshot) LIMIT $2) AS changed) \
     + (SELECT count(*) FROM (SELECT FROM listings WHERE changed_since(version, $1::text::pg_snapshot) LIMIT $2) AS changed) \
     + (SELECT count(*) FROM (SELECT FROM tombstones WHERE changed_since(version, $1::text::pg_snapshot) AND kind = 'listings' LIMIT $2) AS changed), \
     EXISTS (SELECT FROM records WHERE changed_since(version, $1::text::pg_snapshot)), \
     EXISTS (SELECT FROM tombstones WHERE changed_since(version, $1::text::pg_snapshot) AND kind <> 'listings'), \
     EXISTS (SELECT FROM objects WHERE changed_since(version, $1::text::pg_snapshot)) \
     OR EXISTS (SELECT FROM tombstones WHERE changed_since(version, $1::text::pg_snapshot) AND kind = 'objects'), \
     EXISTS (SELECT FROM usage WHERE changed_since(version, $1::text::pg_snapshot)), \
     EXISTS (SELECT FROM sources WHERE changed_since(version, $1::text::pg_snapshot)), \
     EXISTS (SELECT FROM sessions WHERE changed_since(version, $1::text::pg_snapshot)), \
     EXISTS (SELECT FROM bans WHERE changed_since(version, $1::text::pg_snapshot)) OR EXISTS (SELECT FROM site_bans WHERE changed_since(version, $1::text::pg_snapshot)) \
     OR EXISTS (SELECT FROM annotations WHERE changed_since(version, $1::text::pg_snapshot)) OR EXISTS (SELECT FROM dashboard WHERE changed_since(version, $1::text::pg_snapshot)), \
     EXISTS (SELECT FROM api_tokens WHERE changed_since(version, $1::text::pg_snapshot)) \
     OR EXISTS (SELECT FROM tombstones WHERE changed_since(version, $1::text::pg_snapshot) AND kind = 'api_tokens')";
/// As [`load::node`] reads, and then the sources that list the node.
const SELECT_NODES: &str = "WITH changed AS (SELECT id FROM proxies WHERE changed_since(version, $1::text::pg_snapshot) \
     UNION SELECT proxy FROM listings WHERE changed_since(version, $1::text::pg_snapshot) \
     UNION SELECT key[2]::uuid FROM tombstones WHERE changed_since(version, $1::text::pg_snapshot) AND kind = 'listings') \
     SELECT proxies.id, uri, label, kept_from, unreadable_since, first_seen, unlisted_since, state, failures, last_ok, last_checked, \
     latency_us, exit_ip, exit_seen, country, last_error, failure_stage, unsupported, quarantine, quarantined_at, dead_since, \
     error_rate, http_ability, \
     ARRAY(SELECT source FROM listings WHERE listings.proxy = proxies.id ORDER BY source COLLATE \"C\") \
     FROM changed JOIN proxies ON proxies.id = changed.id LEFT JOIN LATERAL (SELECT * FROM records WHERE records.id = proxies.id \
     ORDER BY region <> $2, last_checked DESC NULLS LAST LIMIT 1) AS best ON true";
/// As [`load::node`] reads, of nodes of which only records have changed. Those of another region count where this one has no record, or
/// one that is 15 minutes older and no prober that was alive within that time: one that is looks at dead nodes more seldom. The freshest
/// comes last.
const SELECT_RECORDS: &str = "SELECT records.id, '', '', NULL::text, NULL::bigint, first_seen, unlisted_since, state, failures, last_ok, \
     last_checked, latency_us, exit_ip, exit_seen, country, last_error, failure_stage, unsupported, quarantine, quarantined_at, \
     dead_since, error_rate, http_ability FROM records JOIN proxies ON proxies.id = records.id \
     WHERE changed_since(records.version, $1::text::pg_snapshot) AND (region = $2 OR NOT EXISTS (SELECT FROM records AS own WHERE own.id = records.id \
     AND own.region = $2 AND (own.last_checked > records.last_checked - 900000 OR EXISTS (SELECT FROM members \
     WHERE members.region = $2 AND NOT members.draining AND 'probe' = ANY (string_to_array(members.roles, ',')) \
     AND members.beat_at > clock_timestamp() - interval '15 minutes')))) ORDER BY records.last_checked NULLS FIRST";
const SELECT_SOURCES: &str = "SELECT name, kind, allow_private, last_fetch, last_ok, next_fetch, validators, error_code, error_text, \
     failures, nodes, rejects, lived_ms, deaths_milli, barren, origin, subscription FROM sources WHERE changed_since(version, $1::text::pg_snapshot)";
const SELECT_SESSIONS: &str = "SELECT listener, username, session, country, began, ends, lasts_ms, exit_ip, proxy FROM sessions \
     WHERE changed_since(version, $1::text::pg_snapshot)";
const SELECT_BANS: &str = "SELECT id, uri, label, since FROM bans WHERE changed_since(version, $1::text::pg_snapshot)";
const SELECT_SITE_BANS: &str =
    "SELECT site, exit, since, until, reason FROM site_bans WHERE changed_since(version, $1::text::pg_snapshot)";
const SELECT_ANNOTATIONS: &str = "SELECT id, uri, disabled, pinned, tags, note, changed FROM annotations WHERE changed_since(version, $1::text::pg_snapshot)";
const SELECT_DASHBOARD: &str =
    "SELECT kind, key, value FROM dashboard WHERE changed_since(version, $1::text::pg_snapshot)";
const SELECT_USAGE: &str =
    "SELECT username, day, up, down FROM usage WHERE changed_since(version, $1::text::pg_snapshot)";
/// What was removed and has not come back.
const SELECT_REMOVED: &str = "SELECT kind, key FROM tombstones AS gone WHERE changed_since(version, $1::text::pg_snapshot) AND CASE kind \
     WHEN 'proxies' THEN NOT EXISTS (SELECT FROM proxies WHERE id = gone.key[1]::uuid) \
     WHEN 'sources' THEN NOT EXISTS (SELECT FROM sources WHERE name = gone.key[1]) \
     WHEN 'sessions' THEN NOT EXISTS (SELECT FROM sessions WHERE listener = gone.key[1] AND username = gone.key[2] \
     AND session = gone.key[3]) \
     WHEN 'bans' THEN NOT EXISTS (SELECT FROM bans WHERE id = gone.key[1]::uuid) \
     WHEN 'site_bans' THEN NOT EXISTS (SELECT FROM site_bans WHERE site = gone.key[1] AND exit = gone.key[2]) \
     WHEN 'annotations' THEN NOT EXISTS (SELECT FROM annotations WHERE id = gone.key[1]::uuid) \
     WHEN 'dashboard' THEN NOT EXISTS (SELECT FROM dashboard AS kept WHERE kept.kind = gone.key[1] AND kept.key = gone.key[2]) \
     ELSE false END";
/// Removals are kept for a day: whoever was away for longer loads everything anew.
const CLEAR: &str = "WITH cleared AS (DELETE FROM tombstones WHERE at < now() - interval '1 day' RETURNING version) \
     UPDATE tombstones_cleared SET version = greatest(version, (SELECT version FROM cleared ORDER BY version DESC LIMIT 1)) \
     WHERE EXISTS (SELECT FROM cleared)";
const SUSPECT: &str = "SELECT pg_notify('hezar_suspects', $1)";

/// The database's clock.
pub(super) async fn clock(transaction: &mut Transaction) -> Result<Timestamp, sqlx::Error> {
    let row = transaction.query(SELECT_CLOCK).fetch_one(&mut **transaction).await?;
    Ok(to_time(row.try_get(0)?))
}

/// The position of this transaction's view.
pub(super) async fn position(transaction: &mut Transaction) -> Result<ChangePosition, sqlx::Error> {
    let row = transaction.query(SELECT_POSITION).fetch_one(&mut **transaction).await?;
    Ok(ChangePosition { database: row.try_get::<&str, _>(0)?.into(), seen: row.try_get::<&str, _>(1)?.into() })
}

/// What has changed since a position, in this transaction's view.
pub(super) async fn since(
    transaction: &mut Transaction,
    region: &str,
    since: &ChangePosition,
) -> Result<ChangesSince, sqlx::Error> {
    let next = position(transaction).await?;
    if next.database != since.database {
        return Ok(ChangesSince::LoadAnew);
    }
    let seen = &*since.seen;
    let query = transaction.query(SELECT_OVERVIEW).bind(seen).bind(MOST_NODES + 1);
    let overview = query.fetch_one(&mut **transaction).await?;
    let (keeps_removals, nodes) = (overview.try_get::<bool, _>(0)?, overview.try_get::<i64, _>(1)?);
    if !keeps_removals || nodes > MOST_NODES {
        return Ok(ChangesSince::LoadAnew);
    }
    let mut changed = ChangedRows {
        changes: Vec::new(),
        objects: overview.try_get(4)?,
        tokens: overview.try_get(9)?,
        usage: Vec::new(),
        next,
    };
    let changes = &mut changed.changes;
    if overview.try_get(3)? {
        for row in rows(transaction, SELECT_REMOVED, seen).await? {
            changes.extend(removal(&row)?);
        }
    }
    if nodes > 0 {
        let mut rows = transaction.query(SELECT_NODES).bind(seen).bind(region).fetch(&mut **transaction);
        while let Some(row) = rows.try_next().await? {
            changes.extend(node(&row)?.into_iter().flatten());
        }
    }
    if overview.try_get(2)? {
        let mut rows = transaction.query(SELECT_RECORDS).bind(seen).bind(region).fetch(&mut **transaction);
        while let Some(row) = rows.try_next().await? {
            changes.extend(load::node(&row)?.map(|node| Change::PutRecord(node.id, node.record)));
        }
    }
    if overview.try_get(6)? {
        for row in rows(transaction, SELECT_SOURCES, seen).await? {
            changes.push(Change::PutSource(decode::source(&row)?));
        }
    }
    if overview.try_get(7)? {
        for row in rows(transaction, SELECT_SESSIONS, seen).await? {
            changes.push(Change::PutSession(load::session(&row)?));
        }
    }
    if overview.try_get(8)? {
        rare(transaction, seen, changes).await?;
    }
    if overview.try_get(5)? {
        for row in rows(transaction, SELECT_USAGE, seen).await? {
            changed.usage.push(decode::usage(&row)?);
        }
    }
    Ok(ChangesSince::Rows(Box::new(changed)))
}

/// What people make, of which there is little.
async fn rare(transaction: &mut Transaction, seen: &str, changes: &mut Vec<Change>) -> Result<(), sqlx::Error> {
    for row in rows(transaction, SELECT_BANS, seen).await? {
        changes.push(Change::PutBan(load::ban(&row)?));
    }
    for row in rows(transaction, SELECT_SITE_BANS, seen).await? {
        changes.extend(decode::site_ban(&row)?.map(Change::PutSiteBan));
    }
    for row in rows(transaction, SELECT_ANNOTATIONS, seen).await? {
        changes.push(Change::PutAnnotation(load::annotation(&row)?));
    }
    for row in rows(transaction, SELECT_DASHBOARD, seen).await? {
        changes.extend(decode::dashboard(&row)?.map(Change::PutDashboard));
    }
    Ok(())
}

async fn rows(transaction: &mut Transaction, sql: &'static str, seen: &str) -> Result<Vec<PgRow>, sqlx::Error> {
    transaction.query(sql).bind(seen).fetch_all(&mut **transaction).await
}

/// A node with who lists it; `None` when its state cannot be understood.
fn node(row: &PgRow) -> Result<Option<[Change; 2]>, sqlx::Error> {
    let Ok(node) = load::node(row)? else { return Ok(None) };
    let sources = row.try_get::<Vec<String>, _>(23)?.into_iter().map(Into::into).collect();
    let id = node.id;
    Ok(Some([Change::PutNode(node), Change::ListNode { id, sources }]))
}

/// What a tombstone says; `None` when it is about a kind of row that a later version knows.
fn removal(row: &PgRow) -> Result<Option<Change>, sqlx::Error> {
    let (kind, key) = (row.try_get::<&str, _>(0)?, row.try_get::<Vec<String>, _>(1)?);
    let id = |text: &str| uuid::Uuid::parse_str(text).ok().map(node_id);
    Ok(match (kind, &*key) {
        ("proxies", [node]) => id(node).map(Change::RemoveNode),
        ("bans", [node]) => id(node).map(Change::RemoveBan),
        ("annotations", [node]) => id(node).map(Change::RemoveAnnotation),
        ("sources", [name]) => Some(Change::RemoveSource(name.as_str().into())),
        ("sessions", [listener, user, session]) => {
            let (listener, user) = (listener.as_str().into(), user.as_str().into());
            let name = SessionName { listener, user, session: session.as_str().into() };
            Some(Change::RemoveSession { name, ends: Change::WHENEVER })
        }
        ("site_bans", [site, exit]) => {
            let lifted = |exit| Change::RemoveSiteBan { site: site.as_str().into(), exit, until: Change::WHENEVER };
            exit.parse().ok().map(lifted)
        }
        ("dashboard", [kind, key]) => {
            DashboardKind::from_name(kind).map(|kind| Change::RemoveDashboard(kind, key.as_str().into()))
        }
        _ => None,
    })
}

/// Clears away removals that are older than a day.
pub(super) async fn clear(transaction: &mut Transaction) -> Result<(), sqlx::Error> {
    transaction.query(CLEAR).execute(&mut **transaction).await?;
    Ok(())
}

/// Tells all instances that nodes are suspected.
pub(super) async fn suspect(transaction: &mut Transaction, ids: &[NodeId]) -> Result<(), sqlx::Error> {
    for ids in ids.chunks(super::listener::MOST_IDS) {
        let payload: Vec<String> = ids.iter().map(ToString::to_string).collect();
        transaction.query(SUSPECT).bind(payload.join(" ")).execute(&mut **transaction).await?;
    }
    Ok(())
}
