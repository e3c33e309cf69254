//! The writer: nothing is lost, failures are tried again, time is paused.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use hezar_core::UtcDay;
use tokio_util::sync::CancellationToken;

use super::model::{Model, healthy, id, node};
use crate::{
    AuditQuery, AuditRow, Change, Contents, ControlChange, ControlContents, Durability, Store, StoreError, UsageQuery,
    UsageRow, WriteSummary, Writer, WriterConfig,
};

/// A store in memory that fails on demand.
#[derive(Debug, Default)]
struct Shaky(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    model: Model,
    failures: u32,
    /// The failures are those of a damaged file, not of a disk.
    damaged: bool,
    /// How long every write takes.
    slow: Duration,
    poison: Option<Change>,
    tries: u32,
    batches: Vec<usize>,
}

#[async_trait]
impl Store for Shaky {
    async fn load_in_parts(&self, parts: tokio::sync::mpsc::Sender<Contents>) -> Result<(), StoreError> {
        let state = self.0.lock().unwrap().model.state();
        parts.send(state).await.unwrap();
        Ok(())
    }

    async fn history(
        &self,
        step: crate::HistoryStep,
        from: hezar_core::Timestamp,
        to: hezar_core::Timestamp,
    ) -> Result<Vec<crate::HistoryRow>, StoreError> {
        Ok(self.0.lock().unwrap().model.history(step, from, to))
    }

    async fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        let slow = self.0.lock().unwrap().slow;
        if !slow.is_zero() {
            tokio::time::sleep(slow).await;
        }
        let mut inner = self.0.lock().unwrap();
        inner.tries += 1;
        if inner.failures > 0 {
            inner.failures -= 1;
            if inner.damaged {
                return Err(StoreError::Corrupt { path: "disk".into(), detail: "a page is gone".into() });
            }
            return Err(StoreError::Io { path: "disk".into(), source: io::Error::other("on fire") });
        }
        if inner.poison.as_ref().is_some_and(|poison| changes.contains(poison)) {
            return Err(StoreError::Query(Box::new(sqlx::Error::RowNotFound)));
        }
        changes.iter().for_each(|change| inner.model.apply(change));
        inner.batches.push(changes.len());
        Ok(())
    }

    async fn load_control(&self) -> Result<ControlContents, StoreError> {
        Err(StoreError::Closed)
    }

    async fn write_control(&self, _: &[ControlChange]) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn audit(&self, _: &AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn add_usage(&self, _: &[UsageRow]) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn usage_totals(&self) -> Result<Vec<UsageRow>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn usage(&self, _: &UsageQuery) -> Result<Vec<UsageRow>, StoreError> {
        Err(StoreError::Closed)
    }

    async fn fold_usage(&self, _: UtcDay) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    async fn describe(&self) -> Result<crate::StoreDescription, StoreError> {
        Err(StoreError::Closed)
    }

    async fn backup(&self, _: &Path, _: bool) -> Result<(), StoreError> {
        Ok(())
    }

    async fn close(&self) {}
}

type Task = tokio::task::JoinHandle<WriteSummary>;

fn start(store: &Arc<Shaky>, config: WriterConfig) -> (Writer, CancellationToken, Task) {
    let (writer, behind) = Writer::new(Arc::clone(store) as Arc<dyn Store>, config);
    let stop = CancellationToken::new();
    let task = tokio::spawn(behind.run(stop.clone()));
    (writer, stop, task)
}

fn failing(failures: u32) -> Arc<Shaky> {
    Arc::new(Shaky(Mutex::new(Inner { failures, ..Inner::default() })))
}

#[tokio::test(start_paused = true)]
async fn a_node_that_changes_often_is_written_once() {
    let store = failing(0);
    let (writer, _stop, task) = start(&store, WriterConfig::default());
    writer.put(vec![Change::PutNode(node(1))]).await.unwrap();
    for n in 1..10 {
        writer.put(vec![Change::PutRecord(id(1), healthy(n))]).await.unwrap();
    }
    writer.flush().await.unwrap();
    assert_eq!(store.load().await.unwrap().nodes[0].record, healthy(9));
    assert_eq!(store.0.lock().unwrap().batches, [1]);
    drop(writer);
    assert_eq!(task.await.unwrap(), WriteSummary { written: 1, batches: 1, retries: 0, lost: 0 });
}

#[tokio::test(start_paused = true)]
async fn a_change_waits_no_longer_than_asked() {
    let store = failing(0);
    let config = WriterConfig { every: Duration::from_secs(1), ..WriterConfig::default() };
    let (writer, _stop, _task) = start(&store, config);
    writer.put(vec![Change::PutNode(node(1))]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert!(store.load().await.unwrap().nodes.is_empty());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(store.load().await.unwrap().nodes.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn batches_are_bounded() {
    let store = failing(0);
    let (writer, _stop, task) = start(&store, WriterConfig { batch: 100, ..WriterConfig::default() });
    writer.put((0..1000).map(|n| Change::PutNode(node(n))).collect()).await.unwrap();
    let ids = (0..1000).map(id).collect();
    writer.put(vec![Change::SetListing { source: "s".into(), ids, complete: true }]).await.unwrap();
    drop(writer);
    assert_eq!(task.await.unwrap().lost, 0);
    let state = store.load().await.unwrap();
    assert_eq!((state.nodes.len(), state.listings[0].ids.len()), (1000, 1000));
    assert!(store.0.lock().unwrap().batches.iter().all(|batch| *batch <= 100));
}

#[tokio::test(start_paused = true)]
async fn a_failing_disk_is_tried_again_in_order() {
    let store = failing(5);
    let (writer, _stop, task) = start(&store, WriterConfig::default());
    writer.put(vec![Change::PutNode(node(1))]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    writer.put(vec![Change::RemoveNode(id(1)), Change::PutNode(node(2))]).await.unwrap();
    writer.flush().await.unwrap();
    assert_eq!(store.load().await.unwrap().nodes, [node(2)]);
    drop(writer);
    assert_eq!(task.await.unwrap().retries, 5);
}

#[tokio::test(start_paused = true)]
async fn shutdown_writes_what_is_left() {
    let store = failing(3);
    let (writer, stop, task) = start(&store, WriterConfig::default());
    writer.put(vec![Change::PutNode(node(1))]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    writer.put(vec![Change::PutNode(node(2))]).await.unwrap();
    stop.cancel();
    assert_eq!(task.await.unwrap().lost, 0);
    assert_eq!(store.load().await.unwrap().nodes.len(), 2);
    assert!(writer.put(Vec::new()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_although_the_disk_does_not_come_back() {
    let store = failing(u32::MAX);
    let (writer, stop, task) = start(&store, WriterConfig::default());
    writer.put(vec![Change::PutNode(node(1)), Change::PutNode(node(2))]).await.unwrap();
    stop.cancel();
    assert_eq!(task.await.unwrap().lost, 2);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_refused_does_not_take_others_with_it() {
    let store = failing(0);
    store.0.lock().unwrap().poison = Some(Change::PutNode(node(2)));
    let (writer, _stop, task) = start(&store, WriterConfig::default());
    writer.put((1..4).map(|n| Change::PutNode(node(n))).collect()).await.unwrap();
    writer.flush().await.unwrap();
    assert_eq!(store.load().await.unwrap().nodes.len(), 2);
    drop(writer);
    assert_eq!(task.await.unwrap().lost, 1);
}

#[tokio::test(start_paused = true)]
async fn changes_gather_once_per_node_while_the_disk_fails() {
    let store = failing(u32::MAX);
    let (writer, _stop, task) = start(&store, WriterConfig::default());
    // Far more than the queue holds: nobody waits for the disk.
    for n in 0..1000 {
        writer.put(vec![Change::PutRecord(id(n % 10), healthy(n)), Change::PutNode(node(n % 10))]).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let status = writer.status();
    assert_eq!(status.pending, 10);
    assert!(status.behind.unwrap() > Duration::from_secs(50), "{status:?}");
    assert_eq!(status.last_error.unwrap().code, "store-io");
    assert_eq!(status.summary.lost, 0);

    store.0.lock().unwrap().failures = 0;
    writer.flush().await.unwrap();
    let status = writer.status();
    assert_eq!((status.behind, status.pending), (None, 0));
    assert_eq!(store.load().await.unwrap().nodes.len(), 10);
    drop(writer);
    assert_eq!(task.await.unwrap().lost, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_durable_is_in_the_store_and_what_is_not_says_so() {
    let wait = Duration::from_secs(5);
    let store = failing(0);
    let (writer, _stop, _task) = start(&store, WriterConfig::default());
    assert_eq!(writer.durable(vec![Change::PutNode(node(1))], wait).await, Ok(Durability::Durable));
    assert_eq!(store.load().await.unwrap().nodes, [node(1)]);

    store.0.lock().unwrap().failures = u32::MAX;
    let begun = tokio::time::Instant::now();
    assert_eq!(writer.durable(vec![Change::PutNode(node(2))], wait).await, Ok(Durability::Behind));
    assert!(begun.elapsed() < wait + Duration::from_secs(1));
    assert_eq!(store.load().await.unwrap().nodes, [node(1)]);

    // Somebody who waits ends the pause between two tries.
    store.0.lock().unwrap().failures = 0;
    let begun = tokio::time::Instant::now();
    assert_eq!(writer.durable(Vec::new(), wait).await, Ok(Durability::Durable));
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(store.load().await.unwrap().nodes.len(), 2);

    store.0.lock().unwrap().poison = Some(Change::PutNode(node(3)));
    assert_eq!(writer.durable(vec![Change::PutNode(node(3))], wait).await, Ok(Durability::Refused));
    assert_eq!(writer.durable(vec![Change::PutNode(node(4))], wait).await, Ok(Durability::Durable));
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_while_the_disk_fails() {
    let store = failing(u32::MAX);
    let (writer, stop, task) = start(&store, WriterConfig { most_pending: 100, ..WriterConfig::default() });
    let (mut taken, mut full) = (0, false);
    for n in 0..1000 {
        let wait = Duration::from_secs(30);
        match writer.durable(vec![Change::RemoveNode(id(n))], wait).await.unwrap() {
            Durability::Behind => taken += 1,
            Durability::Overflow => {
                full = true;
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(full && (100..=120).contains(&taken), "{taken}");
    assert!(writer.status().pending <= 101);
    stop.cancel();
    // The queue of sixteen is told of too.
    assert_eq!(task.await.unwrap().lost, taken);
}

#[tokio::test(start_paused = true)]
async fn passing_failures_drop_nothing_while_a_bad_change_is_sought() {
    for failures in 0..8 {
        let store = failing(failures);
        store.0.lock().unwrap().poison = Some(Change::PutNode(node(700)));
        let (writer, _stop, task) = start(&store, WriterConfig::default());
        writer.put((0..1000).map(|n| Change::PutNode(node(n))).collect()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        store.0.lock().unwrap().failures += failures;
        writer.flush().await.unwrap();
        assert_eq!(store.load().await.unwrap().nodes.len(), 999);
        assert!(store.0.lock().unwrap().tries < 40);
        assert_eq!(writer.status().last_error.unwrap().code, "store-query");
        drop(writer);
        assert_eq!(task.await.unwrap().lost, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_store_is_tried_once_a_minute_and_serves_again_when_mended() {
    let store = failing(u32::MAX);
    store.0.lock().unwrap().damaged = true;
    let (writer, _stop, _task) = start(&store, WriterConfig::default());
    for n in 0..100 {
        let wait = Duration::from_secs(6);
        assert_eq!(writer.durable(vec![Change::PutNode(node(n))], wait).await, Ok(Durability::Behind));
    }
    let tries = store.0.lock().unwrap().tries;
    assert!((9..=12).contains(&tries), "{tries} tries in ten minutes");
    assert_eq!(writer.status().last_error.unwrap().code, "store-corrupt");
    store.0.lock().unwrap().failures = 0;
    writer.flush().await.unwrap();
    assert_eq!(store.load().await.unwrap().nodes.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn shutdown_is_bounded_while_every_change_is_refused_slowly() {
    let store = failing(0);
    store.0.lock().unwrap().slow = Duration::from_secs(5);
    store.0.lock().unwrap().poison = Some(Change::PutNode(node(1)));
    let (writer, stop, task) = start(&store, WriterConfig::default());
    writer.put((0..2000).map(|n| Change::PutNode(node(n))).collect()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(12)).await;
    let begun = tokio::time::Instant::now();
    stop.cancel();
    let summary = task.await.unwrap();
    assert!(begun.elapsed() <= Duration::from_secs(16), "{:?}", begun.elapsed());
    assert!(summary.lost > 0 && summary.lost + summary.written == 2000, "{summary:?}");
}

#[tokio::test(start_paused = true)]
async fn shutdown_is_bounded_while_a_write_never_returns() {
    let store = failing(0);
    store.0.lock().unwrap().slow = Duration::from_secs(1_000_000);
    let (writer, stop, task) = start(&store, WriterConfig::default());
    writer.put(vec![Change::PutNode(node(1))]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let begun = tokio::time::Instant::now();
    stop.cancel();
    assert_eq!(task.await.unwrap().lost, 1);
    assert!(begun.elapsed() <= 2 * WriterConfig::default().shutdown, "{:?}", begun.elapsed());
}
