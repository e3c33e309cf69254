//! Bytes of users are added up by day, are read in pages, and the old days are folded together.

use hezar_core::UtcDay;

use super::place::Place;
use crate::{UsageQuery, UsageRow};

fn row(user: &str, day: u32, up: u64, down: u64) -> UsageRow {
    UsageRow { user: user.into(), day: UtcDay(day), up, down }
}

fn all() -> UsageQuery {
    UsageQuery { user: None, from: UtcDay(1), to: UtcDay(u32::MAX), after: None, limit: 100 }
}

#[tokio::test]
async fn growth_is_added_and_survives_the_next_start() {
    for place in Place::all("growth_is_added_and_survives_the_next_start") {
        let store = place.open().await;
        assert!(store.usage_totals().await.unwrap().is_empty());
        store.add_usage(&[row("alice", 20_000, 1, 10), row("bob", 20_000, 5, 0)]).await.unwrap();
        store
            .add_usage(&[row("alice", 20_000, 2, 20), row("alice", 20_001, 0, 7), row("alice", 20_001, 1, 0)])
            .await
            .unwrap();
        store.close().await;
        drop(store);
        let store = place.open().await;
        let expected = [row("alice", 20_000, 3, 30), row("bob", 20_000, 5, 0), row("alice", 20_001, 1, 7)];
        assert_eq!(store.usage(&all()).await.unwrap(), expected);
        assert_eq!(store.usage_totals().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn rows_are_read_by_user_and_day_and_page_by_page() {
    for place in Place::all("rows_are_read_by_user_and_day_and_page_by_page") {
        let store = place.open().await;
        let rows: Vec<_> =
            (0..40).map(|n| row(["B", "_b", "b", "ß"][n % 4], 100 + n as u32 / 4, n as u64, 1)).collect();
        store.add_usage(&rows).await.unwrap();
        let of_b = UsageQuery { user: Some("b".into()), from: UtcDay(102), to: UtcDay(104), ..all() };
        let days: Vec<_> = store.usage(&of_b).await.unwrap().into_iter().map(|row| (row.user, row.day.0)).collect();
        assert_eq!(days, [("b".into(), 102), ("b".into(), 103), ("b".into(), 104)]);
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.usage(&UsageQuery { after, limit: 7, ..all() }).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some((last.day, last.user.clone()));
            found.extend(page);
        }
        assert_eq!(found, rows);
    }
}

#[tokio::test]
async fn old_days_become_one_row_and_the_sum_stays() {
    for place in Place::all("old_days_become_one_row_and_the_sum_stays") {
        let store = place.open().await;
        let rows: Vec<_> = (0..500).map(|day| row("alice", 20_000 + day, 1, 2)).collect();
        store.add_usage(&rows).await.unwrap();
        let sum = |rows: &[UsageRow]| rows.iter().fold((0, 0), |sum, row| (sum.0 + row.up, sum.1 + row.down));
        let totals = store.usage_totals().await.unwrap();
        assert_eq!((totals.len(), totals[0].day, sum(&totals)), (64, UtcDay(0), (500, 1000)));
        for _ in 0..2 {
            store.fold_usage(UtcDay(20_100)).await.unwrap();
            let kept = store.usage(&UsageQuery { from: UtcDay(0), limit: 1000, ..all() }).await.unwrap();
            assert_eq!((kept.len(), &kept[0], sum(&kept)), (401, &row("alice", 0, 100, 200), (500, 1000)));
        }
        store.fold_usage(UtcDay(20_200)).await.unwrap();
        assert_eq!(sum(&store.usage_totals().await.unwrap()), (500, 1000));
    }
}
