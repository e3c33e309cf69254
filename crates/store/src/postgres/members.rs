//! Members, claims and requests. Times are compared with the database's clock alone: that of an instance may be wrong.

use std::{sync::Arc, time::Duration};

use hezar_core::Roles;
use sqlx::{Row, postgres::PgRow};

use super::{changes, transaction::Transaction, values::text};
use crate::{
    Claimed, GONE_AFTER, MemberBeat, MemberFigures, MemberRow, Members, SourceRow, decode,
    numbers::{from_count, from_duration, from_time, to_count, to_duration, to_time, to_u32},
};

/// The kind of claims on sources.
const SOURCE: &str = "source";
/// A process may beat under a name that nobody beats under: one that is new, that was handed over, or whose process is gone. Draining ends
/// with a process that is gone, and not with one that hands over.
const BEAT: &str = "INSERT INTO members (name, incarnation, roles, region, host, pid, version, proxy, api, started, tunnels, routable, \
     owned, queue, claims, lag_ms, cpu_percent, memory_bytes, joined_at, beat_at, draining) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, clock_timestamp(), clock_timestamp(), false) \
     ON CONFLICT (name) DO UPDATE SET incarnation = excluded.incarnation, roles = excluded.roles, region = excluded.region, \
     host = excluded.host, pid = excluded.pid, version = excluded.version, proxy = excluded.proxy, api = excluded.api, \
     started = excluded.started, tunnels = excluded.tunnels, routable = excluded.routable, owned = excluded.owned, \
     queue = excluded.queue, claims = excluded.claims, lag_ms = excluded.lag_ms, cpu_percent = excluded.cpu_percent, \
     memory_bytes = excluded.memory_bytes, beat_at = excluded.beat_at, \
     draining = members.draining AND members.incarnation IN (0, excluded.incarnation), \
     joined_at = CASE WHEN members.beat_at < clock_timestamp() - $20 * interval '1 millisecond' THEN excluded.joined_at \
                 ELSE members.joined_at END \
     WHERE members.incarnation IN (0, excluded.incarnation) OR $19 \
        OR members.beat_at < clock_timestamp() - $20 * interval '1 millisecond'";
const FORGET: &str = "DELETE FROM members WHERE beat_at < clock_timestamp() - interval '1 hour'";
/// A source that nobody reads is not asked for for ever.
const FORGET_REQUESTS: &str = "DELETE FROM fetch_requests WHERE at < clock_timestamp() - interval '10 minutes'";
/// Must follow the order in which [`member`] reads.
const SELECT: &str = "SELECT name, incarnation, roles, region, host, pid, version, proxy, api, started, tunnels, routable, owned, queue, \
     claims, lag_ms, cpu_percent, memory_bytes, (extract(epoch FROM clock_timestamp() - beat_at) * 1000)::bigint, \
     (extract(epoch FROM clock_timestamp() - joined_at) * 1000)::bigint, draining FROM members ORDER BY name COLLATE \"C\"";
const REQUESTED: &str = "SELECT source FROM fetch_requests ORDER BY at LIMIT 1000";
const HAND_OVER: &str = "UPDATE members SET incarnation = 0 WHERE name = $1 AND incarnation = $2";
const LEAVE: &str = "DELETE FROM members WHERE name = $1 AND incarnation = $2";
const DRAIN: &str = "UPDATE members SET draining = $2 WHERE name = $1";
/// Whoever comes second waits for the first one's transaction, sees its row, and changes nothing.
const CLAIM: &str = "INSERT INTO claims (kind, name, holder, until) \
     VALUES ($1, $2, $3, clock_timestamp() + $4 * interval '1 millisecond') \
     ON CONFLICT (kind, name) DO UPDATE SET holder = excluded.holder, until = excluded.until \
     WHERE claims.until < clock_timestamp() OR claims.holder = excluded.holder";
const RELEASE: &str = "DELETE FROM claims WHERE kind = $1 AND name = $2 AND holder = $3";
const RELEASE_ALL: &str = "DELETE FROM claims WHERE holder = $1";
const REQUEST: &str = "INSERT INTO fetch_requests (source, at) SELECT source, clock_timestamp() FROM unnest($1::text[]) AS asked (source) \
     ON CONFLICT (source) DO NOTHING";
const TAKE_REQUEST: &str = "DELETE FROM fetch_requests WHERE source = $1";
const SOURCE_ROW: &str = "SELECT name, kind, allow_private, last_fetch, last_ok, next_fetch, validators, error_code, error_text, \
     failures, nodes, rejects, lived_ms, deaths_milli, barren, origin, subscription FROM sources WHERE name = $1";

/// Writes a beat and reads what an instance learns with it. `takes_over` lets it count although another process beats under the name.
pub(super) async fn beat(
    transaction: &mut Transaction,
    beat: &MemberBeat,
    takes_over: bool,
) -> Result<Members, sqlx::Error> {
    let MemberBeat { name, incarnation, roles, region, host, pid, version, proxy, api, started, figures } = beat;
    let MemberFigures { tunnels, routable, owned, queue, claims, lag_ms, cpu_percent, memory_bytes } = figures;
    let optional = |number: &Option<u64>| number.map(from_count);
    let query = transaction.query(BEAT).bind(text(name)).bind(*incarnation).bind(roles.to_string());
    let query = query.bind(text(region)).bind(text(host)).bind(i64::from(*pid)).bind(text(version));
    let query = query.bind(text(proxy)).bind(text(api)).bind(from_time(*started));
    let query = query.bind(from_count(*tunnels)).bind(from_count(*routable)).bind(from_count(*owned));
    let query = query.bind(from_count(*queue)).bind(from_count(*claims));
    let query = query.bind(optional(lag_ms)).bind(optional(cpu_percent)).bind(optional(memory_bytes));
    let query = query.bind(takes_over).bind(from_duration(GONE_AFTER));
    let written = query.execute(&mut **transaction).await?;
    transaction.query(FORGET).execute(&mut **transaction).await?;
    transaction.query(FORGET_REQUESTS).execute(&mut **transaction).await?;
    let now = changes::clock(transaction).await?;
    let requested = transaction.query(REQUESTED).fetch_all(&mut **transaction).await?;
    let requested = requested.iter().map(|row| row.try_get::<&str, _>(0).map(Arc::from));
    Ok(Members {
        is_accepted: written.rows_affected() > 0,
        now,
        requested: requested.collect::<Result<_, _>>()?,
        rows: members(transaction).await?,
    })
}

/// All instances by name.
async fn members(transaction: &mut Transaction) -> Result<Vec<MemberRow>, sqlx::Error> {
    let rows = transaction.query(SELECT).fetch_all(&mut **transaction).await?;
    rows.iter().map(member).collect()
}

fn member(row: &PgRow) -> Result<MemberRow, sqlx::Error> {
    let text = |column: usize| row.try_get::<&str, _>(column).map(Box::<str>::from);
    let count = |column: usize| row.try_get(column).map(to_count);
    let optional = |column: usize| row.try_get::<Option<i64>, _>(column).map(|number| number.map(to_count));
    Ok(MemberRow {
        beat: MemberBeat {
            name: row.try_get::<&str, _>(0)?.into(),
            incarnation: row.try_get(1)?,
            // Another version may know other roles; what it does then is its own.
            roles: text(2)?.parse().unwrap_or_else(|_| Roles::all()),
            region: text(3)?,
            host: text(4)?,
            pid: to_u32(row.try_get(5)?),
            version: text(6)?,
            proxy: text(7)?,
            api: text(8)?,
            started: to_time(row.try_get(9)?),
            figures: MemberFigures {
                tunnels: count(10)?,
                routable: count(11)?,
                owned: count(12)?,
                queue: count(13)?,
                claims: count(14)?,
                lag_ms: optional(15)?,
                cpu_percent: optional(16)?,
                memory_bytes: optional(17)?,
            },
        },
        age: to_duration(row.try_get(18)?),
        member_for: to_duration(row.try_get(19)?),
        draining: row.try_get(20)?,
    })
}

/// Lets another process beat under the name.
pub(super) async fn hand_over(transaction: &mut Transaction, name: &str, incarnation: i64) -> Result<(), sqlx::Error> {
    transaction.query(HAND_OVER).bind(text(name)).bind(incarnation).execute(&mut **transaction).await?;
    Ok(())
}

/// Removes an instance and what it has claimed.
pub(super) async fn leave(transaction: &mut Transaction, name: &str, incarnation: i64) -> Result<(), sqlx::Error> {
    let left = transaction.query(LEAVE).bind(text(name)).bind(incarnation).execute(&mut **transaction).await?;
    if left.rows_affected() > 0 {
        transaction.query(RELEASE_ALL).bind(text(name)).execute(&mut **transaction).await?;
    }
    Ok(())
}

/// Returns whether there is such an instance.
pub(super) async fn set_draining(
    transaction: &mut Transaction,
    name: &str,
    draining: bool,
) -> Result<bool, sqlx::Error> {
    let changed = transaction.query(DRAIN).bind(text(name)).bind(draining).execute(&mut **transaction).await?;
    Ok(changed.rows_affected() > 0)
}

pub(super) async fn claim_source(
    transaction: &mut Transaction,
    source: &str,
    holder: &str,
    lease: Duration,
) -> Result<Claimed, sqlx::Error> {
    if !claim(transaction, SOURCE, source, holder, lease).await? {
        return Ok(Claimed::Held);
    }
    let taken = transaction.query(TAKE_REQUEST).bind(text(source)).execute(&mut **transaction).await?;
    Ok(Claimed::Granted { is_requested: taken.rows_affected() > 0 })
}

/// Returns whether the claim is the holder's now, for as long as the lease lasts.
async fn claim(
    transaction: &mut Transaction,
    kind: &str,
    name: &str,
    holder: &str,
    lease: Duration,
) -> Result<bool, sqlx::Error> {
    let query = transaction.query(CLAIM).bind(text(kind)).bind(text(name)).bind(text(holder));
    let claimed = query.bind(from_duration(lease)).execute(&mut **transaction).await?;
    Ok(claimed.rows_affected() > 0)
}

pub(super) async fn release_source(
    transaction: &mut Transaction,
    source: &str,
    holder: &str,
) -> Result<(), sqlx::Error> {
    let query = transaction.query(RELEASE).bind(SOURCE).bind(text(source)).bind(text(holder));
    query.execute(&mut **transaction).await?;
    Ok(())
}

pub(super) async fn request_fetch(transaction: &mut Transaction, sources: &[Arc<str>]) -> Result<(), sqlx::Error> {
    let names: Vec<_> = sources.iter().map(|source| text(source)).collect();
    transaction.query(REQUEST).bind(names).execute(&mut **transaction).await?;
    Ok(())
}

pub(super) async fn source(transaction: &mut Transaction, name: &str) -> Result<Option<SourceRow>, sqlx::Error> {
    let row = transaction.query(SOURCE_ROW).bind(text(name)).fetch_optional(&mut **transaction).await?;
    row.as_ref().map(decode::source).transpose()
}
