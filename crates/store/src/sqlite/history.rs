//! The rows of the history: writing and reading.

use futures_util::TryStreamExt;
use hezar_core::Timestamp;
use sqlx::{Row, SqliteConnection};

use super::{convert, queries};
use crate::{HistoryRow, HistorySample, HistoryStep, NodeSums, decode};

/// Puts a row in place of what was there.
pub(super) async fn put(connection: &mut SqliteConnection, row: &HistoryRow) -> Result<(), sqlx::Error> {
    // Without `..`: a field that is added must be written here.
    let HistorySample { samples, nodes, requests: _, up, down, latency: _ } = &row.sample;
    let NodeSums { new, healthy, suspect, dead, unsupported, quarantined, disabled } = *nodes;
    let numbers = [*samples, new, healthy, suspect, dead, unsupported, quarantined, disabled, *up, *down];
    let query = sqlx::query(queries::PUT_HISTORY).bind(row.step.seconds()).bind(convert::from_time(row.at));
    let query = numbers.into_iter().fold(query, |query, number| query.bind(convert::from_count(number)));
    query.bind(row.sample.requests_text()).bind(row.sample.latency_text()).execute(connection).await?;
    Ok(())
}

/// Removes the rows of one step that began before a point in time.
pub(super) async fn prune(
    connection: &mut SqliteConnection,
    step: HistoryStep,
    before: Timestamp,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(queries::PRUNE_HISTORY).bind(step.seconds()).bind(convert::from_time(before));
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
    let query = sqlx::query(queries::SELECT_HISTORY).bind(step.seconds());
    let mut rows = query.bind(convert::from_time(from)).bind(convert::from_time(to)).fetch(connection);
    let mut history = Vec::new();
    while let Some(row) = rows.try_next().await? {
        history.push(HistoryRow { step, at: convert::to_time(row.try_get(0)?), sample: decode::history_sample(&row)? });
    }
    Ok(history)
}
