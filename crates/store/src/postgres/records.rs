//! What is measured of many nodes, column by column: one statement writes any number of rows.

use std::collections::HashMap;

use hezar_core::{Code, NodeId, Record};
use sqlx::{Postgres, postgres::PgArguments, query::Query};
use uuid::Uuid;

use super::{
    transaction::Transaction,
    values::{country_text, uuid},
};
use crate::numbers::{from_latency, from_time};

/// A record is written where its node is there and what is there is not newer. The order of the arrays is that of [`RecordColumns::bind`].
const PUT_RECORDS: &str = "INSERT INTO records (id, region, state, failures, last_ok, last_checked, latency_us, exit_ip, exit_seen, \
     country, last_error, failure_stage, unsupported, quarantine, quarantined_at, dead_since, error_rate, http_ability) \
     SELECT news.id, $1, news.state, news.failures, news.last_ok, news.last_checked, news.latency_us, news.exit_ip, news.exit_seen, \
     news.country, news.last_error, news.failure_stage, news.unsupported, news.quarantine, news.quarantined_at, news.dead_since, \
     news.error_rate, news.http_ability \
     FROM unnest($2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::bigint[], \
     $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bigint[], $16::bigint[], $17::real[], $18::smallint[]) \
     AS news (id, state, failures, last_ok, last_checked, latency_us, exit_ip, exit_seen, country, last_error, failure_stage, \
     unsupported, quarantine, quarantined_at, dead_since, error_rate, http_ability) \
     JOIN proxies ON proxies.id = news.id ORDER BY news.id \
     ON CONFLICT (id, region) DO UPDATE SET state = excluded.state, failures = excluded.failures, last_ok = excluded.last_ok, \
     last_checked = excluded.last_checked, latency_us = excluded.latency_us, exit_ip = excluded.exit_ip, exit_seen = excluded.exit_seen, \
     country = excluded.country, last_error = excluded.last_error, failure_stage = excluded.failure_stage, \
     unsupported = excluded.unsupported, quarantine = excluded.quarantine, quarantined_at = excluded.quarantined_at, \
     dead_since = excluded.dead_since, error_rate = excluded.error_rate, http_ability = excluded.http_ability, version = DEFAULT \
     WHERE coalesce(excluded.last_checked, -1) >= coalesce(records.last_checked, -1)";

/// How many rows one statement writes.
pub(super) const ROWS: usize = 4096;

/// Writes records of this region.
pub(super) async fn put(
    transaction: &mut Transaction,
    region: &str,
    records: &HashMap<NodeId, &Record>,
) -> Result<(), sqlx::Error> {
    let mut records: Vec<(NodeId, &Record)> = records.iter().map(|(id, record)| (*id, *record)).collect();
    // Two instances that lock the same rows in different orders would wait for each other.
    records.sort_unstable_by_key(|(id, _)| *id);
    for rows in records.chunks(ROWS) {
        let mut columns = RecordColumns::default();
        rows.iter().for_each(|(id, record)| columns.push(id, record));
        let query = columns.bind(transaction.query(PUT_RECORDS).bind(region));
        query.execute(&mut **transaction).await?;
    }
    Ok(())
}

/// Of several records of one node the one that stands after all have been written in their order: `replaces` says whether a record stands
/// after another one.
pub(super) fn newest<'a>(
    records: impl Iterator<Item = (NodeId, &'a Record)>,
    replaces: impl Fn(&Record, &Record) -> bool,
) -> HashMap<NodeId, &'a Record> {
    let mut newest: HashMap<NodeId, &Record> = HashMap::new();
    for (id, record) in records {
        let kept = newest.entry(id).or_insert(record);
        if replaces(record, kept) {
            *kept = record;
        }
    }
    newest
}

/// Whether a record's evidence is not older than another one's.
pub(super) fn is_newer(record: &Record, known: &Record) -> bool {
    record.last_checked >= known.last_checked
}

/// The same of a node that may have been forgotten and come back: what was measured before it was first seen is another life's.
pub(super) fn is_newer_or_of_a_new_life(record: &Record, known: &Record) -> bool {
    is_newer(record, known) || known.last_checked.is_some_and(|checked| checked <= record.first_seen)
}

#[derive(Default)]
struct RecordColumns {
    ids: Vec<Uuid>,
    states: Vec<&'static str>,
    failures: Vec<i64>,
    last_ok: Vec<Option<i64>>,
    last_checked: Vec<Option<i64>>,
    latencies: Vec<Option<i64>>,
    exits: Vec<Option<String>>,
    exits_seen: Vec<Option<i64>>,
    countries: Vec<Option<String>>,
    errors: Vec<Option<&'static str>>,
    stages: Vec<Option<&'static str>>,
    unsupported: Vec<Option<&'static str>>,
    quarantines: Vec<Option<&'static str>>,
    quarantined_at: Vec<Option<i64>>,
    dead_since: Vec<Option<i64>>,
    error_rates: Vec<f32>,
    http_abilities: Vec<i16>,
}

impl RecordColumns {
    fn push(&mut self, id: &NodeId, record: &Record) {
        // Without `..`: a field that is added must be written here, or with the node.
        let Record {
            state,
            failures,
            last_ok,
            last_checked,
            first_seen: _,
            dead_since,
            unlisted_since: _,
            latency,
            error_rate,
            exit_ip,
            exit_seen,
            country,
            failure,
            http_ability,
            unsupported,
            quarantine,
        } = record;
        self.ids.push(uuid(id));
        self.states.push(state.name());
        self.failures.push(i64::from(*failures));
        self.last_ok.push(last_ok.map(from_time));
        self.last_checked.push(last_checked.map(from_time));
        self.latencies.push(latency.map(from_latency));
        self.exits.push(exit_ip.map(|ip| ip.to_string()));
        self.exits_seen.push(exit_seen.map(from_time));
        self.countries.push(country.map(country_text));
        self.errors.push(failure.map(|failure| failure.code.as_str()));
        self.stages.push(failure.map(|failure| failure.stage.name()));
        self.unsupported.push(unsupported.map(Code::as_str));
        self.quarantines.push(quarantine.map(|caught| caught.code.as_str()));
        self.quarantined_at.push(quarantine.map(|caught| from_time(caught.since)));
        self.dead_since.push(dead_since.map(from_time));
        self.error_rates.push(*error_rate);
        self.http_abilities.push(i16::from(http_ability.byte()));
    }

    /// Must follow the order of [`PUT_RECORDS`].
    fn bind<'q>(self, query: Query<'q, Postgres, PgArguments>) -> Query<'q, Postgres, PgArguments> {
        query
            .bind(self.ids)
            .bind(self.states)
            .bind(self.failures)
            .bind(self.last_ok)
            .bind(self.last_checked)
            .bind(self.latencies)
            .bind(self.exits)
            .bind(self.exits_seen)
            .bind(self.countries)
            .bind(self.errors)
            .bind(self.stages)
            .bind(self.unsupported)
            .bind(self.quarantines)
            .bind(self.quarantined_at)
            .bind(self.dead_since)
            .bind(self.error_rates)
            .bind(self.http_abilities)
    }
}
