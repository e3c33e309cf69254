//! The rows of the history: each instance writes its own, and who reads gets their sum.

use std::collections::BTreeMap;

use hezar_core::Timestamp;
use sqlx::Row;

use super::{transaction::Transaction, values::text};
use crate::{
    HistoryRow, HistorySample, HistoryStep, NodeSums, StoreIdentity, decode,
    numbers::{from_count, from_time, to_time},
};

/// Must follow the order in which [`put`] binds.
const PUT: &str = "INSERT INTO history (step, at, instance, samples, new, healthy, suspect, dead, unsupported, quarantined, disabled, \
     up, down, requests, latency) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
     ON CONFLICT (step, at, instance) DO UPDATE SET samples = excluded.samples, new = excluded.new, healthy = excluded.healthy, \
     suspect = excluded.suspect, dead = excluded.dead, unsupported = excluded.unsupported, quarantined = excluded.quarantined, \
     disabled = excluded.disabled, up = excluded.up, down = excluded.down, requests = excluded.requests, latency = excluded.latency";
/// Must follow the order in which [`decode::history_sample`] reads.
const SELECT: &str = "SELECT at, samples, new, healthy, suspect, dead, unsupported, quarantined, disabled, up, down, requests, latency \
     FROM history WHERE step = $1 AND at >= $2 AND at < $3 AND ($4::text IS NULL OR instance = $4) ORDER BY at";
const PRUNE: &str = "DELETE FROM history WHERE step = $1 AND at < $2";

/// Puts a row of this instance in place of what was there.
pub(super) async fn put(
    transaction: &mut Transaction,
    identity: &StoreIdentity,
    row: &HistoryRow,
) -> Result<(), sqlx::Error> {
    // Without `..`: a field that is added must be written here.
    let HistorySample { samples, nodes, requests: _, up, down, latency: _ } = &row.sample;
    let NodeSums { new, healthy, suspect, dead, unsupported, quarantined, disabled } = *nodes;
    let numbers = [*samples, new, healthy, suspect, dead, unsupported, quarantined, disabled, *up, *down];
    let query = transaction.query(PUT).bind(row.step.seconds()).bind(from_time(row.at)).bind(text(&identity.instance));
    let query = numbers.into_iter().fold(query, |query, number| query.bind(from_count(number)));
    let query = query.bind(row.sample.requests_text()).bind(row.sample.latency_text());
    query.execute(&mut **transaction).await?;
    Ok(())
}

/// Removes the rows of one step that began before a point in time.
pub(super) async fn prune(
    transaction: &mut Transaction,
    step: HistoryStep,
    before: Timestamp,
) -> Result<(), sqlx::Error> {
    let query = transaction.query(PRUNE).bind(step.seconds()).bind(from_time(before));
    query.execute(&mut **transaction).await?;
    Ok(())
}

/// The rows of one step that began in `[from, to)`, in their order: those of one instance, or the sums over all.
pub(super) async fn read(
    transaction: &mut Transaction,
    step: HistoryStep,
    (from, to): (Timestamp, Timestamp),
    instance: Option<&str>,
) -> Result<Vec<HistoryRow>, sqlx::Error> {
    let query = transaction.query(SELECT).bind(step.seconds()).bind(from_time(from)).bind(from_time(to));
    let rows = query.bind(instance).fetch_all(&mut **transaction).await?;
    let mut sums: BTreeMap<Timestamp, HistorySample> = BTreeMap::new();
    for row in rows {
        sums.entry(to_time(row.try_get(0)?)).or_default().add(&decode::history_sample(&row)?);
    }
    Ok(sums.into_iter().map(|(at, sample)| HistoryRow { step, at, sample }).collect())
}
