//! What a week of history costs.

use std::time::Instant;

use hezar_core::{LatencyBuckets, Timestamp};

use super::place::Place;
use crate::{Change, HistoryRow, HistorySample, HistoryStep, NodeSums, Store};

const DAY: u64 = 86_400_000;

fn row(step: HistoryStep, at: u64) -> Change {
    let busy = at / 60_000 % 97;
    let codes = ["ok", "no-node", "connect-refused", "timeout", "target-refused", "exchange-closed"];
    let sample = HistorySample {
        samples: 6,
        nodes: NodeSums {
            new: 120,
            healthy: 41_000 + busy,
            suspect: 900,
            dead: 560_000,
            unsupported: 7000,
            quarantined: 3,
            disabled: 2,
        },
        requests: codes.iter().map(|code| ((*code).into(), 10_000 + busy)).collect(),
        up: 12_345_678 * busy,
        down: 987_654_321 * busy,
        latency: LatencyBuckets::from_counts((0..LatencyBuckets::COUNT as u64).map(|bucket| bucket * busy)),
    };
    Change::PutHistory(HistoryRow { step, at: Timestamp(at), sample })
}

/// A week leaves the minutes of its last day and all its hours. The figures are printed with `--nocapture`.
#[tokio::test]
async fn a_week_leaves_a_row_for_every_hour_and_every_minute_of_a_day() {
    for place in Place::all("a_week_leaves_a_row_for_every_hour_and_every_minute_of_a_day") {
        a_week(&*place.open().await).await;
    }
}

async fn a_week(store: &dyn Store) {
    let empty = store.describe().await.unwrap().bytes;
    let start = 20_000 * DAY;
    for day in 0..7 {
        let begins = start + day * DAY;
        let minutes = (0..1440).map(|minute| row(HistoryStep::Minute, begins + minute * 60_000));
        let hours = (0..24).map(|hour| row(HistoryStep::Hour, begins + hour * 3_600_000));
        store.write(&minutes.chain(hours).collect::<Vec<_>>()).await.unwrap();
        let prune = |step: HistoryStep| {
            let kept = u64::try_from(step.kept().as_millis()).unwrap();
            Change::PruneHistory { step, before: Timestamp((begins + DAY).saturating_sub(kept)) }
        };
        store.write(&HistoryStep::ALL.map(prune)).await.unwrap();
    }
    let end = Timestamp(start + 7 * DAY);
    let begun = Instant::now();
    let minutes = store.history(HistoryStep::Minute, Timestamp(start), end).await.unwrap();
    let (day, begun) = (begun.elapsed(), Instant::now());
    let hours = store.history(HistoryStep::Hour, Timestamp(start), end).await.unwrap();
    let week = begun.elapsed();
    assert_eq!((minutes.len(), hours.len()), (1440, 168));
    assert!(minutes.iter().all(|row| row.at >= Timestamp(start + 6 * DAY)));
    let about = store.describe().await.unwrap();
    let grown = about.bytes - empty;
    println!(
        "a week of history in {}: {} KiB more, 1440 minutes read in {day:.1?}, 168 hours in {week:.1?}",
        about.database,
        grown / 1024
    );
    // 1,440 rows of a minute and 168 of an hour, and in PostgreSQL those that are not cleared away yet: far below what one fetched list
    // takes.
    assert!(grown < 16 << 20, "{grown} bytes");
    store.close().await;
}
