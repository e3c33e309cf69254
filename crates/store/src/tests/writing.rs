//! The writer: nothing is lost, failures are tried again, time is paused.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::model::{Model, healthy, id, node};
use crate::{Change, State, Store, StoreError, WriteSummary, Writer, WriterConfig};

/// A store in memory that fails on demand.
#[derive(Debug, Default)]
struct Shaky(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    model: Model,
    failures: u32,
    poison: Option<Change>,
    batches: Vec<usize>,
}

#[async_trait]
impl Store for Shaky {
    async fn load(&self) -> Result<State, StoreError> {
        Ok(self.0.lock().unwrap().model.state())
    }

    async fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        let mut inner = self.0.lock().unwrap();
        if inner.failures > 0 {
            inner.failures -= 1;
            return Err(StoreError::Io { path: "disk".into(), source: io::Error::other("on fire") });
        }
        if inner.poison.as_ref().is_some_and(|poison| changes.contains(poison)) {
            return Err(StoreError::Query(Box::new(sqlx::Error::RowNotFound)));
        }
        changes.iter().for_each(|change| inner.model.apply(change));
        inner.batches.push(changes.len());
        Ok(())
    }

    async fn backup(&self, _: &Path) -> Result<(), StoreError> {
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
        writer.put(vec![Change::PutHealth(id(1), healthy(n))]).await.unwrap();
    }
    writer.flush().await.unwrap();
    assert_eq!(store.load().await.unwrap().nodes[0].health, healthy(9));
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
