//! How the writing to the store goes, for the API, the metrics and the command line.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hezar_api::{ApiError, StoreDto};
use hezar_core::Timestamp;
use hezar_engine::Clock;
use hezar_store::{Change, Durability, SnapshotStatus, Store, Writer, WriterClosed, WriterStatus};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use super::snapshots;

/// How long an answer of the API waits for its change to be in the store.
pub(crate) const DURABLE_WAIT: Duration = Duration::from_secs(5);

/// Hands changes over and waits a moment until they are in the store; false when the store is behind.
pub(crate) async fn save(writer: &Writer, changes: Vec<Change>) -> Result<bool, ApiError> {
    match writer.durable(changes, DURABLE_WAIT).await {
        Ok(Durability::Durable) => Ok(true),
        Ok(Durability::Behind) => Ok(false),
        Ok(Durability::Overflow) => Err(ApiError::StoreOverflow),
        Ok(Durability::Refused) => Err(ApiError::StoreRefused),
        Err(WriterClosed) => Err(ApiError::Unavailable),
    }
}

pub(crate) fn dto(status: WriterStatus, unreadable: &BTreeMap<&'static str, usize>) -> StoreDto {
    let (last_error, last_error_text) = match status.last_error {
        Some(failure) => (Some(failure.code.to_owned()), Some(failure.text.into())),
        None => (None, None),
    };
    StoreDto {
        behind_s: status.behind.map(|time| time.as_secs()),
        pending: status.pending,
        last_error,
        last_error_text,
        written: status.summary.written,
        retries: status.summary.retries,
        lost: status.summary.lost,
        unreadable: unreadable.iter().map(|(reason, rows)| ((*reason).to_owned(), *rows)).collect(),
        snapshots: None,
    }
}

/// The lines of `hezar status` about what is wrong with the store, and about its snapshots.
pub(crate) fn troubles(store: &StoreDto) -> Vec<String> {
    let text = store.last_error_text.as_deref().unwrap_or("unknown reason");
    let behind = store.behind_s.map(|seconds| {
        format!(
            "store: BEHIND for {seconds} s, {} rows wait in memory and would be lost in a crash: {text}",
            store.pending
        )
    });
    let lost = (store.lost > 0)
        .then(|| format!("store: {} changes were refused for good and dropped (see the log): {text}", store.lost));
    let unreadable = store.unreadable.iter().map(|(reason, rows)| {
        format!("store: {rows} nodes cannot be read by this version ({reason}) and will be deleted after 30 days")
    });
    let snapshots = store.snapshots.as_ref().map(snapshots::lines).unwrap_or_default();
    behind.into_iter().chain(lost).chain(unreadable).chain(snapshots).collect()
}

/// What the metrics say about the store.
pub(crate) fn register(registry: &mut Registry, writer: Writer, store: Arc<dyn Store>, clock: Clock) {
    registry.register_collector(Box::new(StoreCollector { writer, store, clock }));
}

#[derive(Debug)]
struct StoreCollector {
    writer: Writer,
    store: Arc<dyn Store>,
    clock: Clock,
}

impl Collector for StoreCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let status = self.writer.status();
        let behind = status.behind.map_or(0.0, |time| time.as_secs_f64());
        let pending = i64::try_from(status.pending).unwrap_or(i64::MAX);
        let help = "For how long writing to the store has failed; 0 while it can be written";
        let gauge = ConstGauge::new(behind);
        gauge.encode(encoder.encode_descriptor("hezar_store_behind_seconds", help, None, MetricType::Gauge)?)?;
        let help = "Rows that wait in memory to be written to the store";
        let gauge = ConstGauge::new(pending);
        gauge.encode(encoder.encode_descriptor("hezar_store_pending_rows", help, None, MetricType::Gauge)?)?;
        for (name, help, number) in [
            ("hezar_store_written", "Changes written to the store", status.summary.written),
            ("hezar_store_retries", "Writes to the store that failed and were tried again", status.summary.retries),
            ("hezar_store_lost", "Changes that the store refused for good", status.summary.lost),
        ] {
            let counter = ConstCounter::new(number);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        match self.store.snapshot_status() {
            Some(status) => encode_snapshots(&mut encoder, &status, self.clock.wall()),
            None => Ok(()),
        }
    }
}

fn encode_snapshots(
    encoder: &mut DescriptorEncoder<'_>,
    status: &SnapshotStatus,
    now: Timestamp,
) -> Result<(), std::fmt::Error> {
    let help = "Age of the newest snapshot of a store in memory; since the start while there is none";
    let gauge = ConstGauge::new(status.age(now).as_secs_f64());
    gauge.encode(encoder.encode_descriptor("hezar_store_snapshot_age_seconds", help, None, MetricType::Gauge)?)?;
    let help = "Size of the newest snapshot of a store in memory";
    let bytes = status.last.as_ref().map_or(0, |last| i64::try_from(last.bytes).unwrap_or(i64::MAX));
    let gauge = ConstGauge::new(bytes);
    gauge.encode(encoder.encode_descriptor("hezar_store_snapshot_bytes", help, None, MetricType::Gauge)?)?;
    for (name, help, number) in [
        ("hezar_store_snapshots", "Snapshots of a store in memory taken since the start", status.taken),
        ("hezar_store_snapshot_failures", "Snapshots of a store in memory that could not be taken", status.failures),
    ] {
        let counter = ConstCounter::new(number);
        counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_behind_is_told_and_a_good_one_is_not() {
        assert!(troubles(&StoreDto { last_error_text: Some("full".into()), ..StoreDto::default() }).is_empty());
        let behind = StoreDto {
            behind_s: Some(7),
            pending: 12,
            last_error_text: Some("the disk is full".into()),
            ..StoreDto::default()
        };
        let said = troubles(&behind).concat();
        assert!(said.contains("BEHIND for 7 s, 12 rows") && said.contains("the disk is full"), "{said}");
        let said = troubles(&StoreDto { lost: 2, ..behind }).concat();
        assert!(said.contains("2 changes were refused"), "{said}");
        let unreadable = BTreeMap::from([("too-long".to_owned(), 3)]);
        let said = troubles(&StoreDto { unreadable, ..StoreDto::default() }).concat();
        assert!(said.contains("3 nodes cannot be read") && said.contains("too-long"), "{said}");
    }
}
