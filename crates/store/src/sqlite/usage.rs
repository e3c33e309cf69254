//! The bytes of users in SQLite.

use hezar_core::UtcDay;
use sqlx::{Connection, SqliteConnection};

use super::convert::from_count;
use crate::{UsageQuery, UsageRow, decode, usage::RECENT_DAYS};

/// A batch must not depend on what is there: growth is added.
const ADD: &str = "INSERT INTO usage (username, day, up, down) VALUES (?, ?, ?, ?) \
     ON CONFLICT (username, day) DO UPDATE SET up = up + excluded.up, down = down + excluded.down";
/// Must follow the order in which [`decode::usage`] reads, as the next one.
const SELECT_TOTALS: &str = "SELECT username, CASE WHEN day + ? < (SELECT max(day) FROM usage) THEN 0 ELSE day END AS kept, \
     sum(up), sum(down) FROM usage GROUP BY username, kept ORDER BY kept, username";
const SELECT: &str = "SELECT username, day, up, down FROM usage WHERE day BETWEEN ?1 AND ?2 AND (?3 IS NULL OR username = ?3) \
     AND (day, username) > (?4, ?5) ORDER BY day, username LIMIT ?6";
const FOLD: &str = "INSERT INTO usage (username, day, up, down) SELECT username, 0, sum(up), sum(down) FROM usage \
     WHERE day > 0 AND day < ? GROUP BY username \
     ON CONFLICT (username, day) DO UPDATE SET up = up + excluded.up, down = down + excluded.down";
const DELETE_OLD: &str = "DELETE FROM usage WHERE day > 0 AND day < ?";

/// Adds what has been moved to what is there: all of it, or nothing.
pub(super) async fn add(connection: &mut SqliteConnection, growth: &[UsageRow]) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for UsageRow { user, day, up, down } in growth {
        let query = sqlx::query(ADD).bind(&**user).bind(i64::from(day.0));
        query.bind(from_count(*up)).bind(from_count(*down)).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

/// Every user with the last days one by one and everything before them in one row.
pub(super) async fn totals(connection: &mut SqliteConnection) -> Result<Vec<UsageRow>, sqlx::Error> {
    let rows = sqlx::query(SELECT_TOTALS).bind(RECENT_DAYS).fetch_all(connection).await?;
    rows.iter().map(decode::usage).collect()
}

pub(super) async fn select(
    connection: &mut SqliteConnection,
    query: &UsageQuery,
) -> Result<Vec<UsageRow>, sqlx::Error> {
    let UsageQuery { user, from, to, after, limit } = query;
    let (day, name) = after.as_ref().map_or((-1, ""), |(day, name)| (i64::from(day.0), name));
    let select = sqlx::query(SELECT).bind(i64::from(from.0)).bind(i64::from(to.0)).bind(user.as_deref());
    let rows = select.bind(day).bind(name).bind(i64::from(*limit)).fetch_all(connection).await?;
    rows.iter().map(decode::usage).collect()
}

/// Folds the days before this one into the row of everything older.
pub(super) async fn fold(connection: &mut SqliteConnection, before: UtcDay) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for statement in [FOLD, DELETE_OLD] {
        sqlx::query(statement).bind(i64::from(before.0)).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}
