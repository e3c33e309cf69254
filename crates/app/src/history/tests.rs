//! The history over restarts, long times and requests that make no sense.

use hezar_api::HistoryQuery;
use hezar_store::{Access, Sqlite, WriterConfig};

use super::*;

const NOON: u64 = 1_800_000_000_000 - 1_800_000_000_000 % 86_400_000 + 43_200_000;

fn sample(ok: u64) -> HistorySample {
    let mut counts = [0; LatencyBuckets::COUNT];
    counts[LatencyBuckets::bucket_of(Duration::from_millis(100))] = ok;
    HistorySample {
        samples: 1,
        nodes: NodeSums { healthy: 10 * ok, ..NodeSums::default() },
        requests: [("ok".into(), ok)].into(),
        up: ok,
        down: 2 * ok,
        latency: LatencyBuckets::from_counts(counts),
    }
}

async fn open(directory: &tempfile::TempDir) -> Sqlite {
    Sqlite::open(&directory.path().join("hezar.db"), Access::Exclusive).await.unwrap()
}

fn ask(from: u64, to: u64, step: u64) -> HistoryQuery {
    HistoryQuery { from: Some(from), to: Some(to), step: Some(step), series: None }
}

#[tokio::test]
async fn a_restart_continues_the_rows_that_grow() {
    let directory = tempfile::tempdir().unwrap();
    let mut expected = 0;
    for run in 0..3 {
        let store = open(&directory).await;
        let mut rows = GrowingRows::resume(&store, Timestamp(NOON + run * 10_000)).await.unwrap();
        for step in 0..2 {
            expected += 1 + run;
            store.write(&rows.add(Timestamp(NOON + run * 10_000 + step), &sample(1 + run))).await.unwrap();
        }
        store.close().await;
    }
    let store = open(&directory).await;
    for step in [60, 3600] {
        let history = read::history(&store, &ask(NOON, NOON + 3_600_000, step), Timestamp(NOON)).await.unwrap();
        let [point] = history.points.as_slice() else { panic!("{history:?}") };
        assert_eq!(point.requests.as_ref().unwrap()["ok"], expected, "in rows of {step} s");
        assert_eq!(point.bytes.unwrap().down, 2 * expected);
        assert_eq!(point.nodes.unwrap().healthy, 20, "the mean of 10, 10, 20, 20, 30 and 30");
        let latency = point.latency.unwrap();
        assert_eq!(latency.count, expected);
        assert!((90..=130).contains(&latency.p50_ms), "{latency:?}");
    }
}

#[tokio::test]
async fn two_days_leave_a_day_of_minutes_and_both_days_of_hours() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    let mut rows = GrowingRows::resume(&store, Timestamp(NOON)).await.unwrap();
    let mut changes = Vec::new();
    for minute in 0..2 * 1440 {
        changes.extend(rows.add(Timestamp(NOON + minute * 60_000), &sample(1)));
    }
    store.write(&changes).await.unwrap();
    let end = NOON + 2 * 86_400_000;
    let read = async |from, step| {
        let history = read::history(&store, &ask(from, end, step), Timestamp(end)).await.unwrap();
        let requests: u64 = history.points.iter().map(|point| point.requests.as_ref().unwrap()["ok"]).sum();
        (history.points.len(), requests)
    };
    assert_eq!(read(NOON, 120).await, (721, 1441), "the minutes of the last day, and the one before");
    assert_eq!(read(NOON, 3600).await, (48, 2880));
    assert_eq!(read(NOON, 7200).await, (24, 2880));
    // Without a step: minutes for the last hour, hours where there are no minutes any more.
    let whole = |from| HistoryQuery { from: Some(from), to: Some(end), ..HistoryQuery::default() };
    let steps = [(end - 3_600_000, 60), (end - 86_400_000, 180), (NOON, 3600)];
    for (from, step) in steps {
        assert_eq!(read::history(&store, &whole(from), Timestamp(end)).await.unwrap().step, step);
    }
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).await;
    let odd = HistoryQuery { series: Some("nodes,colours".into()), ..HistoryQuery::default() };
    let refused = [ask(5, 5, 60), ask(0, NOON, 61), ask(0, NOON, 0), ask(0, NOON, 3600), ask(0, u64::MAX, 60), odd];
    for query in refused {
        let answer = read::history(&store, &query, Timestamp(NOON)).await;
        assert!(matches!(answer, Err(hezar_api::ApiError::BadRequest(_))), "{query:?}");
    }
    let only = HistoryQuery { series: Some("bytes".into()), ..HistoryQuery::default() };
    let mut rows = GrowingRows::resume(&store, Timestamp(NOON)).await.unwrap();
    store.write(&rows.add(Timestamp(NOON), &sample(1))).await.unwrap();
    let history = read::history(&store, &only, Timestamp(NOON)).await.unwrap();
    let [point] = history.points.as_slice() else { panic!("{history:?}") };
    assert!(point.bytes.is_some() && point.nodes.is_none() && point.requests.is_none() && point.latency.is_none());
}

/// The task samples once more when it is stopped.
#[tokio::test]
async fn the_task_writes_what_was_counted() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(open(&directory).await);
    let (writer, behind) = Writer::new(Arc::clone(&store), WriterConfig::default());
    let end = CancellationToken::new();
    let writing = tokio::spawn(behind.run(end.clone()));
    let pool = Arc::new(Nodes::new(hezar_pool::Rules::default()));
    let clock = Clock::starting_at(Timestamp(NOON));
    let recorder = HistoryRecorder::new(pool, Metrics::default(), clock, Arc::clone(&store), writer);
    let stop = CancellationToken::new();
    stop.cancel();
    recorder.run(stop).await.unwrap();
    recorder.sample().await.unwrap();
    end.cancel();
    writing.await.unwrap();
    let rows = store.history(HistoryStep::Minute, Timestamp(0), Timestamp(u64::MAX >> 1)).await.unwrap();
    assert_eq!(rows.iter().map(|row| (row.at.0, row.sample.samples)).collect::<Vec<_>>(), [(NOON, 2)]);
}
