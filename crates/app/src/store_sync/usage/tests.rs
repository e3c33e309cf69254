//! What users have moved is in the store after a moment, is added up over restarts, and waits while the store fails.

use hezar_core::Timestamp;
use hezar_store::{Access, Sqlite, UsageQuery};

use super::*;

const NOON: Timestamp = Timestamp(20_786 * 86_400_000 + 43_200_000);

async fn open(file: &std::path::Path) -> (Arc<Usage>, Arc<dyn Store>, UsageSync) {
    let (usage, store) = (Arc::new(Usage::default()), Arc::new(Sqlite::open(file, Access::Exclusive).await.unwrap()));
    let store: Arc<dyn Store> = store;
    let sync = UsageSync::open(usage.clone(), store.clone(), &*store, Clock::starting_at(NOON)).await.unwrap();
    (usage, store, sync)
}

fn moved(usage: &Usage, bytes: u64) {
    usage.record("alice", UsedBytes { up: bytes, down: 2 * bytes });
}

#[tokio::test]
async fn restarts_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hezar.db");
    for run in 1..=3_u64 {
        let (usage, store, sync) = open(&file).await;
        assert_eq!(usage.summary("alice", NOON).total.up, 10 * (run - 1));
        moved(&usage, 10);
        sync.write().await;
        sync.write().await;
        let query = UsageQuery { user: None, from: UtcDay(1), to: UtcDay(u32::MAX), after: None, limit: 10 };
        let rows = store.usage(&query).await.unwrap();
        assert_eq!((rows.len(), rows[0].up, rows[0].down), (1, 10 * run, 20 * run));
        store.close().await;
    }
}

#[tokio::test]
async fn what_cannot_be_written_waits_and_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hezar.db");
    let (usage, store, sync) = open(&file).await;
    store.close().await;
    for _ in 0..3 {
        moved(&usage, 1);
        sync.write().await;
    }
    assert!(sync.unwritten.lock().await.failing);
    drop(store);
    let again: Arc<dyn Store> = Arc::new(Sqlite::open(&file, Access::Exclusive).await.unwrap());
    let sync = UsageSync { store: again.clone(), ..sync };
    sync.write().await;
    sync.write().await;
    let totals = again.usage_totals().await.unwrap();
    assert_eq!((totals.len(), totals[0].up, totals[0].down), (1, 3, 6));
}

#[tokio::test]
async fn what_may_have_been_written_by_a_failed_write_does_not_count_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (usage, store, sync) = open(&folder.path().join("hezar.db")).await;
    let day = UtcDay::containing(NOON);
    let row = |user: &str, up| UsageRow { user: user.into(), day, up, down: 0 };
    store.close().await;
    moved(&usage, 5);
    sync.write().await;
    sync.adopt(vec![row("alice", 5), row("bob", 7)]).await;
    assert_eq!(usage.summary("alice", NOON).today.up, 5);
    assert_eq!(usage.summary("bob", NOON).today.up, 7, "nothing of this one's waits here");
}
