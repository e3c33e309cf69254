//! The bounds hold whatever comes and goes, and say what happens there.

use std::sync::Arc;

use futures_util::FutureExt;
use proptest::prelude::*;
use tokio::sync::Notify;

use super::{IdleConnections, WindowBudget};

#[test]
fn the_connection_that_was_idle_for_longest_is_closed_first() {
    let idle = Arc::new(IdleConnections::new(2));
    let closes: Vec<_> = (0..4).map(|_| Arc::new(Notify::new())).collect();
    let is_told = |n: usize| closes[n].notified().now_or_never().is_some();
    let first = idle.enter(&closes[0]);
    let second = idle.enter(&closes[1]);
    // The first one is used and idle again: now the second one is the oldest.
    drop(first);
    let _first = idle.enter(&closes[0]);
    let _third = idle.enter(&closes[2]);
    assert_eq!([is_told(0), is_told(1), is_told(2)], [false, true, false]);
    assert_eq!(idle.len(), 2, "one that was told counts no more");
    drop(second);
    assert_eq!(idle.len(), 2);
    let none = Arc::new(IdleConnections::new(0));
    let _ticket = none.enter(&closes[3]);
    assert!(is_told(3), "where none may be idle, each is closed at once");
}

#[test]
fn late_connections_get_smaller_windows_and_at_last_a_single_stream() {
    let budget = Arc::new(WindowBudget::new(48 << 20));
    let full = budget.take(32);
    assert_eq!((full.stream_window(), full.connection_window(), full.streams()), (1 << 20, 32 << 20, 32));
    let half = budget.take(32);
    assert_eq!((half.stream_window(), half.connection_window()), (1 << 19, 16 << 20));
    let least = budget.take(32);
    assert_eq!((least.stream_window(), least.connection_window(), least.streams()), (65_535, 65_535, 1));
    drop(full);
    assert_eq!(budget.take(32).stream_window(), 1 << 20, "what is given back is there again");
    drop((half, least));
    assert_eq!(budget.left(), 48 << 20);
}

proptest! {
    #[test]
    fn windows_never_exceed_the_bound_and_come_back(
        total in 0..1_u64 << 30,
        steps in prop::collection::vec((any::<bool>(), 0..200_u32), 0..100),
    ) {
        let budget = Arc::new(WindowBudget::new(total));
        let mut shares = Vec::new();
        for (takes, streams) in steps {
            if takes {
                shares.push(budget.take(streams));
            } else if !shares.is_empty() {
                shares.swap_remove(streams as usize % shares.len());
            }
            let beyond = shares.iter().filter(|share| share.streams() == 1).count() as u64 * 65_535;
            let granted: u64 = shares.iter().map(|share| u64::from(share.connection_window())).sum();
            prop_assert!(granted <= total + beyond, "{granted} of {total}");
        }
        shares.clear();
        prop_assert_eq!(budget.left(), total);
    }
}
