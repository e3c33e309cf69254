//! Reading, writing and keeping 100,000 nodes that two sources list, in each kind of store.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot set up has nothing to measure")]

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use hezar_core::{NodeId, Record, Secret, State, Timestamp};
use hezar_store::{Access, Change, NodeRow, Store, StoreSettings, open, open_configured};
use tokio::runtime::Runtime;

const NODES: u128 = 100_000;

fn changes() -> Vec<Change> {
    let id = |n: u128| NodeId::from_bytes(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes());
    let record = Record {
        state: State::Healthy,
        last_ok: Some(Timestamp(1_800_000_000_000)),
        last_checked: Some(Timestamp(1_800_000_000_000)),
        first_seen: Timestamp(1_700_000_000_000),
        latency: Some(Duration::from_millis(120)),
        country: Some(*b"NL"),
        ..Record::default()
    };
    let row = |n| NodeRow {
        id: id(n),
        uri: Secret::new(format!(
            "vless://b16d5576-57c0-4dda-b610-{n:012x}@node-{n}.example:443?security=tls&type=ws&path=%2Fpath&\
             host=cdn.example&sni=cdn.example&fp=chrome&alpn=h2%2Chttp%2F1.1"
        )),
        label: format!("node {n}").into(),
        kept_from: None,
        unreadable_since: None,
        record: record.clone(),
    };
    let mut changes: Vec<Change> = (0..NODES).map(|n| Change::PutNode(row(n))).collect();
    for source in ["one", "two"] {
        let ids = (0..NODES).map(id).collect();
        changes.push(Change::SetListing { source: source.into(), ids, complete: true });
    }
    changes
}

fn bench(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let changes = changes();
    let postgres = hezar_lab::postgres::empty_database("the benchmark of the store").unwrap();
    let places = [("sqlite", Some("sqlite:hezar.db".to_owned())), ("postgresql", postgres)];
    for (name, url) in places.into_iter().filter_map(|(name, url)| Some((name, url?))) {
        let store = runtime.block_on(open(&url, directory.path(), Access::Exclusive)).unwrap();
        reads_and_writes(criterion, &runtime, name, &*store, &changes);
        runtime.block_on(store.close());
    }
    snapshots(criterion, &changes);
}

/// Everything at once, and what probes write: the records of 1,000 nodes.
fn reads_and_writes(criterion: &mut Criterion, runtime: &Runtime, name: &str, store: &dyn Store, changes: &[Change]) {
    let record = |change: &Change| match change {
        Change::PutNode(row) => Some(Change::PutRecord(row.id, row.record.clone())),
        _ => None,
    };
    let records: Vec<Change> = changes.iter().filter_map(record).step_by(100).collect();
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    group.bench_function("write 100k", |b| b.iter(|| runtime.block_on(store.write(changes)).unwrap()));
    group.bench_function("write 1k records", |b| b.iter(|| runtime.block_on(store.write(&records)).unwrap()));
    group.bench_function("load 100k", |b| b.iter(|| black_box(runtime.block_on(store.load()).unwrap())));
    group.finish();
    let about = runtime.block_on(store.describe()).unwrap();
    println!("{name}: {} on the disk: {} MiB", about.database, about.bytes >> 20);
}

/// Snapshots of a database in memory; prints what they cost a writer beside them.
fn snapshots(criterion: &mut Criterion, changes: &[Change]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let settings = StoreSettings { memory: true, snapshots: 2, ..StoreSettings::default() };
    let store = runtime.block_on(open_configured(&settings, directory.path(), Access::Exclusive)).unwrap();
    runtime.block_on(store.write(changes)).unwrap();
    let (slowest, taken) = runtime.block_on(async {
        let begun = Instant::now();
        let snapshot = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.snapshot().await.unwrap().unwrap() }
        });
        let mut slowest = Duration::ZERO;
        while !snapshot.is_finished() {
            let begun = Instant::now();
            store.write(changes.get(..100).unwrap_or_default()).await.unwrap();
            slowest = slowest.max(begun.elapsed());
        }
        let taken = snapshot.await.unwrap();
        println!("a snapshot of 100k nodes: {} bytes after {:?}", taken.bytes, begun.elapsed());
        (slowest, taken)
    });
    println!("the slowest write of 100 nodes beside it: {slowest:?} ({})", taken.path.display());
    let mut group = criterion.benchmark_group("snapshot");
    group.sample_size(10);
    group.bench_function("take 100k", |b| b.iter(|| runtime.block_on(store.snapshot()).unwrap()));
    group.finish();
    runtime.block_on(store.close());
}

criterion_group!(benches, bench);
criterion_main!(benches);
