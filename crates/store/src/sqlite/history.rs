//! The rows of the history: writing, reading, and how counts are written as text.

use futures_util::TryStreamExt;
use hezar_core::{LatencyBuckets, Timestamp};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{convert, queries};
use crate::{HistoryRow, HistorySample, HistoryStep, NodeSums};

/// Puts a row in place of what was there.
pub(super) async fn put(connection: &mut SqliteConnection, row: &HistoryRow) -> Result<(), sqlx::Error> {
    // Without `..`: a field that is added must be written here.
    let HistorySample { samples, nodes, requests, up, down, latency } = &row.sample;
    let NodeSums { new, healthy, suspect, dead, unsupported, quarantined, disabled } = *nodes;
    let requests: Vec<String> = requests.iter().map(|(code, number)| format!("{code}={number}")).collect();
    let latency: Vec<String> = latency.counts().iter().map(u64::to_string).collect();
    let numbers = [*samples, new, healthy, suspect, dead, unsupported, quarantined, disabled, *up, *down];
    let query = sqlx::query(queries::PUT_HISTORY).bind(seconds(row.step)).bind(convert::from_time(row.at));
    let query = numbers.into_iter().fold(query, |query, number| query.bind(convert::from_count(number)));
    query.bind(requests.join(",")).bind(latency.join(",")).execute(connection).await?;
    Ok(())
}

/// Removes the rows of one step that began before a point in time.
pub(super) async fn prune(
    connection: &mut SqliteConnection,
    step: HistoryStep,
    before: Timestamp,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(queries::PRUNE_HISTORY).bind(seconds(step)).bind(convert::from_time(before));
    query.execute(connection).await?;
    Ok(())
}

/// The rows of one step that began in `[from, to)`, in their order.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    step: HistoryStep,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<HistoryRow>, sqlx::Error> {
    let query = sqlx::query(queries::SELECT_HISTORY).bind(seconds(step));
    let mut rows = query.bind(convert::from_time(from)).bind(convert::from_time(to)).fetch(connection);
    let mut history = Vec::new();
    while let Some(row) = rows.try_next().await? {
        history.push(HistoryRow { step, at: convert::to_time(row.try_get(0)?), sample: sample(&row)? });
    }
    Ok(history)
}

/// Must follow the order of `queries::SELECT_HISTORY`.
fn sample(row: &SqliteRow) -> Result<HistorySample, sqlx::Error> {
    let count = |column: usize| row.try_get::<i64, _>(column).map(convert::to_count);
    let nodes = NodeSums {
        new: count(2)?,
        healthy: count(3)?,
        suspect: count(4)?,
        dead: count(5)?,
        unsupported: count(6)?,
        quarantined: count(7)?,
        disabled: count(8)?,
    };
    let pair = |text: &str| {
        let (code, number) = text.split_once('=')?;
        Some((code.into(), number.parse().ok()?))
    };
    let requests = row.try_get::<&str, _>(11)?.split(',').filter_map(pair).collect();
    let counts = row.try_get::<&str, _>(12)?.split(',').map(|text| text.parse().unwrap_or(0));
    let latency = LatencyBuckets::from_counts(counts);
    Ok(HistorySample { samples: count(1)?, nodes, requests, up: count(9)?, down: count(10)?, latency })
}

fn seconds(step: HistoryStep) -> i64 {
    i64::try_from(step.length().as_secs()).unwrap_or(i64::MAX)
}
