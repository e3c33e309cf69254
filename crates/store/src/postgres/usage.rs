//! The bytes of users: what each instance counts is added to what is there.

use std::{borrow::Cow, collections::BTreeMap};

use hezar_core::UtcDay;
use sqlx::{Row, postgres::PgRow};

use super::{
    transaction::Transaction,
    values::{optional_text, text},
};
use crate::{
    UsageQuery, UsageRow,
    numbers::{from_count, to_count},
};

/// Days that are told one by one when everything is read: more than a calendar month.
const RECENT_DAYS: i64 = 62;
const ADD: &str = "INSERT INTO usage (username, day, up, down) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) \
     ON CONFLICT (username, day) DO UPDATE SET up = usage.up + excluded.up, down = usage.down + excluded.down, version = DEFAULT";
/// Must follow the order in which [`row`] reads, as the next one.
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

/// Adds what has been moved to what is there.
pub(super) async fn add(transaction: &mut Transaction, growth: &[UsageRow]) -> Result<(), sqlx::Error> {
    // One statement must not meet the same row twice.
    let mut sums: BTreeMap<(&str, u32), (u64, u64)> = BTreeMap::new();
    for UsageRow { user, day, up, down } in growth {
        let sum = sums.entry((user, day.0)).or_default();
        *sum = (sum.0.saturating_add(*up), sum.1.saturating_add(*down));
    }
    let users: Vec<Cow<'_, str>> = sums.keys().map(|(user, _)| text(user)).collect();
    let days: Vec<i64> = sums.keys().map(|(_, day)| i64::from(*day)).collect();
    let (up, down): (Vec<i64>, Vec<i64>) = sums.values().map(|(up, down)| (from_count(*up), from_count(*down))).unzip();
    let query = transaction.query(ADD).bind(users).bind(days).bind(up).bind(down);
    query.execute(&mut **transaction).await?;
    Ok(())
}

/// Every user with the last days one by one and everything before them in one row.
pub(super) async fn totals(transaction: &mut Transaction) -> Result<Vec<UsageRow>, sqlx::Error> {
    let rows = transaction.query(SELECT_TOTALS).bind(RECENT_DAYS).fetch_all(&mut **transaction).await?;
    rows.iter().map(row).collect()
}

pub(super) async fn select(transaction: &mut Transaction, query: &UsageQuery) -> Result<Vec<UsageRow>, sqlx::Error> {
    let UsageQuery { user, from, to, after, limit } = query;
    let (day, name) = after.as_ref().map_or((-1, ""), |(day, name)| (i64::from(day.0), name));
    let select =
        transaction.query(SELECT).bind(i64::from(from.0)).bind(i64::from(to.0)).bind(optional_text(user.as_deref()));
    let select = select.bind(day).bind(text(name)).bind(i64::from(*limit));
    let rows = select.fetch_all(&mut **transaction).await?;
    rows.iter().map(row).collect()
}

/// Folds the days before this one into the row of everything older.
pub(super) async fn fold(transaction: &mut Transaction, before: UtcDay) -> Result<(), sqlx::Error> {
    transaction.query(LOCK).execute(&mut **transaction).await?;
    for statement in FOLD {
        transaction.query(statement).bind(i64::from(before.0)).execute(&mut **transaction).await?;
    }
    Ok(())
}

pub(super) fn row(row: &PgRow) -> Result<UsageRow, sqlx::Error> {
    let bytes = |column: usize| row.try_get::<i64, _>(column).map(to_count);
    Ok(UsageRow {
        user: row.try_get::<&str, _>(0)?.into(),
        day: UtcDay(u32::try_from(row.try_get::<i64, _>(1)?).unwrap_or_default()),
        up: bytes(2)?,
        down: bytes(3)?,
    })
}
