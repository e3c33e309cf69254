//! Who is due when.

use std::{sync::Arc, time::Duration};

use hezar_core::Timestamp;

use crate::{FetchOutcome, Refresher};

const START: Timestamp = Timestamp(1_000_000);

fn at(seconds: u64) -> Timestamp {
    START.after(Duration::from_secs(seconds))
}

fn with(names: &[(&str, u64)]) -> Refresher {
    let mut refresher = Refresher::new();
    for (name, due) in names {
        refresher.set((*name).into(), Duration::from_secs(1800), at(*due), 0);
    }
    refresher
}

#[test]
fn the_longest_waiting_go_first_and_only_once() {
    let mut refresher = with(&[("a", 5), ("b", 3), ("c", 9)]);
    assert_eq!(refresher.next_due(), Some(at(3)));
    assert!(refresher.take_due(at(2), 9).is_empty());
    assert_eq!(refresher.take_due(at(6), 1), [Arc::from("b")]);
    assert_eq!(refresher.take_due(at(6), 9), [Arc::from("a")]);
    assert!(refresher.take_due(at(6), 9).is_empty());
    assert_eq!(refresher.finish("b", FetchOutcome::Succeeded, at(10), 0), Some(at(1810)));
    assert_eq!(refresher.finish("b", FetchOutcome::Succeeded, at(11), 0), None);
    assert_eq!(refresher.next_due(), Some(at(9)));
}

#[test]
fn failures_are_retried_soon_and_then_ever_later() {
    let mut refresher = with(&[("a", 0)]);
    let mut now = START;
    let mut pauses = Vec::new();
    for _ in 0..10 {
        assert_eq!(refresher.take_due(now, 1).len(), 1);
        let due = refresher.finish("a", FetchOutcome::Failed, now, 0).unwrap();
        pauses.push(due.since(now).as_secs());
        now = due;
    }
    assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
    assert_eq!(refresher.failures("a"), 10);
    refresher.take_due(now, 1);
    refresher.finish("a", FetchOutcome::Succeeded, now, 0);
    assert_eq!(refresher.failures("a"), 0);
}

#[test]
fn jitter_only_adds_and_is_bounded() {
    for random in [0, 1, 999, 123_456_789, u64::MAX] {
        let mut refresher = with(&[("a", 0)]);
        refresher.take_due(START, 1);
        let due = refresher.finish("a", FetchOutcome::Succeeded, START, random).unwrap();
        assert!((1800..=1980).contains(&due.since(START).as_secs()));
    }
    let mut refresher = Refresher::new();
    refresher.set("a".into(), Duration::MAX, START, u32::MAX);
    refresher.take_due(START, 1);
    assert!(refresher.finish("a", FetchOutcome::Failed, START, u64::MAX).unwrap() > at(3600));
}

#[test]
fn a_limit_is_honoured() {
    let mut refresher = with(&[("a", 0)]);
    refresher.take_due(START, 1);
    assert_eq!(refresher.finish("a", FetchOutcome::RateLimited { until: at(7200) }, START, 0), Some(at(7200)));
    assert_eq!(refresher.failures("a"), 1);
}

#[test]
fn a_trigger_makes_due_now_or_once_more() {
    let mut refresher = with(&[("a", 500)]);
    assert!(refresher.trigger("a", START) && !refresher.trigger("b", START));
    assert_eq!(refresher.take_due(START, 9).len(), 1);
    assert!(refresher.trigger("a", at(1)));
    assert!(refresher.take_due(at(1), 9).is_empty());
    assert_eq!(refresher.finish("a", FetchOutcome::Succeeded, at(2), 7), Some(at(2)));
    assert_eq!(refresher.take_due(at(2), 9).len(), 1);
    assert_eq!(refresher.finish("a", FetchOutcome::Succeeded, at(3), 0), Some(at(1803)));
}

#[test]
fn a_removed_source_stays_removed() {
    let mut refresher = with(&[("a", 0), ("b", 0)]);
    refresher.remove("a");
    assert_eq!(refresher.take_due(START, 9), [Arc::from("b")]);
    refresher.remove("b");
    assert_eq!(refresher.finish("b", FetchOutcome::Succeeded, START, 0), None);
    assert_eq!(refresher.next_due(), None);
}
