//! The bytes of users: what each instance counts is added to what is there.

use std::{collections::BTreeMap, io};

use hezar_core::UtcDay;
use parking_lot::Mutex;
use sqlx::Row;

use super::{
    transaction::Transaction,
    values::{optional_text, text},
};
use crate::{UsageQuery, UsageRow, decode, numbers::from_count, usage::RECENT_DAYS};

const ADD: &str = "INSERT INTO usage (username, day, up, down) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) \
     ON CONFLICT (username, day) DO UPDATE SET up = usage.up + excluded.up, down = usage.down + excluded.down, version = DEFAULT";
/// Must follow the order in which [`decode::usage`] reads, as the next one.
const SELECT_TOTALS: &str = "SELECT username, CASE WHEN day + $1 < (SELECT max(day) FROM usage) THEN 0 ELSE day END AS kept, \
     sum(up)::bigint, sum(down)::bigint FROM usage GROUP BY username, kept ORDER BY kept, username COLLATE \"C\"";
const SELECT: &str = "SELECT username, day, up, down FROM usage WHERE day BETWEEN $1 AND $2 AND ($3::text IS NULL OR username = $3) \
     AND (day, username COLLATE \"C\") > ($4, $5 COLLATE \"C\") ORDER BY day, username COLLATE \"C\" LIMIT $6";
const FOLD: [&str; 2] = [
    "INSERT INTO usage (username, day, up, down) SELECT username, 0, sum(up)::bigint, sum(down)::bigint FROM usage \
     WHERE day > 0 AND day < $1 GROUP BY username \
     ON CONFLICT (username, day) DO UPDATE SET up = usage.up + excluded.up, down = usage.down + excluded.down, version = DEFAULT",
    "DELETE FROM usage WHERE day > 0 AND day < $1",
];
/// Two instances that fold at once would add the same days twice.
const LOCK: &str = "LOCK TABLE usage IN SHARE ROW EXCLUSIVE MODE";

/// What became of a transaction; nothing of one that this server has never begun.
const STATUS: &str =
    "SELECT CASE WHEN $1::text::xid8 < pg_snapshot_xmax(pg_current_snapshot()) THEN pg_xact_status($1::text::xid8) END";
const TRANSACTION: &str = "SELECT pg_current_xact_id()::text";

/// Bytes up and down by user and day.
type Sums = BTreeMap<(Box<str>, u32), (u64, u64)>;

/// What may have been added although its writer was told of a failure: the connection can end between a commit and its answer. The writer
/// gives the same again, with what has grown since, and it must not count twice.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// What is known to be added already.
    added: Sums,
    /// The last transaction that tried, and what had been added if it was committed.
    tried: Option<(String, Sums)>,
}

/// Adds what has been moved to what is there, less what an earlier try has added. Whoever commits clears the doubt.
pub(super) async fn add(
    transaction: &mut Transaction,
    growth: &[UsageRow],
    doubt: &Mutex<Doubt>,
) -> Result<(), sqlx::Error> {
    let mut sums = Sums::new();
    for UsageRow { user, day, up, down } in growth {
        let sum = sums.entry((user.clone(), day.0)).or_default();
        *sum = (sum.0.saturating_add(*up), sum.1.saturating_add(*down));
    }
    let added = settle(transaction, doubt).await?;
    // What does not hold all of it was never given before.
    let is_covered =
        added.iter().all(|(key, (up, down))| sums.get(key).is_some_and(|sum| sum.0 >= *up && sum.1 >= *down));
    let added = if is_covered { added } else { Sums::new() };
    let rest = |(key, (up, down)): (&(Box<str>, u32), &(u64, u64))| {
        let (before_up, before_down) = added.get(key).copied().unwrap_or_default();
        (text(&key.0).into_owned(), i64::from(key.1), from_count(up - before_up), from_count(down - before_down))
    };
    let rows: Vec<(String, i64, i64, i64)> = sums.iter().map(rest).collect();
    let users: Vec<&str> = rows.iter().map(|row| row.0.as_str()).collect();
    let days: Vec<i64> = rows.iter().map(|row| row.1).collect();
    let (up, down): (Vec<i64>, Vec<i64>) = rows.iter().map(|row| (row.2, row.3)).unzip();
    let query = transaction.query(ADD).bind(users).bind(days).bind(up).bind(down);
    query.execute(&mut **transaction).await?;
    let name: String = transaction.query(TRANSACTION).fetch_one(&mut **transaction).await?.try_get(0)?;
    *doubt.lock() = Doubt { added, tried: Some((name, sums)) };
    Ok(())
}

/// What is known to be added of what the writer gives again.
async fn settle(transaction: &mut Transaction, doubt: &Mutex<Doubt>) -> Result<Sums, sqlx::Error> {
    let (added, tried) = {
        let doubt = doubt.lock();
        (doubt.added.clone(), doubt.tried.clone())
    };
    let Some((name, sums)) = tried else { return Ok(added) };
    let row = transaction.query(STATUS).bind(name).fetch_one(&mut **transaction).await?;
    match row.try_get::<Option<&str>, _>(0)? {
        Some("committed") => Ok(sums),
        Some("in progress") => {
            Err(sqlx::Error::Io(io::Error::other("the server has not ended an earlier transaction yet")))
        }
        _ => Ok(added),
    }
}

/// Every user with the last days one by one and everything before them in one row.
pub(super) async fn totals(transaction: &mut Transaction) -> Result<Vec<UsageRow>, sqlx::Error> {
    let rows = transaction.query(SELECT_TOTALS).bind(RECENT_DAYS).fetch_all(&mut **transaction).await?;
    rows.iter().map(decode::usage).collect()
}

pub(super) async fn select(transaction: &mut Transaction, query: &UsageQuery) -> Result<Vec<UsageRow>, sqlx::Error> {
    let UsageQuery { user, from, to, after, limit } = query;
    let (day, name) = after.as_ref().map_or((-1, ""), |(day, name)| (i64::from(day.0), name));
    let select =
        transaction.query(SELECT).bind(i64::from(from.0)).bind(i64::from(to.0)).bind(optional_text(user.as_deref()));
    let select = select.bind(day).bind(text(name)).bind(i64::from(*limit));
    let rows = select.fetch_all(&mut **transaction).await?;
    rows.iter().map(decode::usage).collect()
}

/// Folds the days before this one into the row of everything older.
pub(super) async fn fold(transaction: &mut Transaction, before: UtcDay) -> Result<(), sqlx::Error> {
    transaction.query(LOCK).execute(&mut **transaction).await?;
    for statement in FOLD {
        transaction.query(statement).bind(i64::from(before.0)).execute(&mut **transaction).await?;
    }
    Ok(())
}
