//! A node that has just failed rests; then one trial decides.

use hezar_core::{Fault, Stage, Timestamp};

use super::*;

fn at_ms(ms: u64) -> Timestamp {
    Timestamp(at(10).0 + ms)
}

/// How often each of two nodes is picked in 100 turns at a moment.
fn picks(pool: &TestPool, now: Timestamp) -> [usize; 2] {
    let query = Query { strategy: Strategy::Random, now: Some(now), ..Query::default() };
    let mut counts = [0; 2];
    for rng in 0..100 {
        let picked = pool.pick(&query, rng).unwrap().id();
        counts[usize::from(picked == id(1))] += 1;
    }
    counts
}

fn fail(pool: &TestPool, now: Timestamp) {
    pool.report(id(1), &bad(Origin::Traffic), now);
}

#[test]
fn a_node_rests_without_anything_counting_against_it() {
    let pool = healthy(2);
    let before = pool.node(id(1)).unwrap().record();
    pool.rest(id(1), at_ms(0));
    pool.rest(id(7), at_ms(0));
    assert_eq!(picks(&pool, at_ms(999)), [100, 0]);
    assert_eq!(picks(&pool, at_ms(1000)), [99, 1], "one trial");
    pool.rest(id(1), at_ms(1100));
    assert_eq!(picks(&pool, at_ms(2099)), [100, 0]);
    assert_eq!(picks(&pool, at_ms(2100)), [99, 1], "the rest is no longer than the first one");
    assert_eq!(pool.node(id(1)).unwrap().record(), before);
}

#[test]
fn a_node_that_failed_rests_at_once_and_is_tried_once() {
    let pool = healthy(2);
    assert!(picks(&pool, at_ms(0))[1] > 20);
    fail(&pool, at_ms(0));
    assert_eq!(picks(&pool, at_ms(1)), [100, 0]);
    assert_eq!(picks(&pool, at_ms(999)), [100, 0]);
    assert_eq!(picks(&pool, at_ms(1000)), [99, 1], "one trial");
    assert_eq!(picks(&pool, at_ms(1001)), [100, 0]);
    // The trial failed: twice the rest.
    fail(&pool, at_ms(1100));
    assert_eq!(picks(&pool, at_ms(3099)), [100, 0]);
    assert_eq!(picks(&pool, at_ms(3100)), [99, 1]);
    // Nothing was heard of the trial for a while: the next one.
    assert_eq!(picks(&pool, at_ms(5099)), [100, 0]);
    assert_eq!(picks(&pool, at_ms(5100)), [99, 1]);
    pool.report(id(1), &Outcome::success(Origin::Traffic, Duration::from_millis(1)), at_ms(5200));
    assert!(picks(&pool, at_ms(5201))[1] > 20);
}

#[test]
fn requests_that_ran_beside_it_do_not_make_the_rest_longer() {
    let pool = healthy(2);
    (0..50).for_each(|ms| fail(&pool, at_ms(ms)));
    assert_eq!(picks(&pool, at_ms(1000)), [99, 1]);
}

#[test]
fn rests_are_bounded() {
    let pool = healthy(2);
    let mut now = at_ms(0);
    for _ in 0..300 {
        fail(&pool, now);
        now = now.after(Duration::from_secs(32));
        assert_eq!(picks(&pool, now), [99, 1]);
    }
}

#[test]
fn the_last_node_is_used_even_while_it_rests() {
    let pool = healthy(1);
    pool.report(id(0), &bad(Origin::Traffic), at_ms(0));
    for strategy in Strategy::ALL {
        let query = Query { strategy, now: Some(at_ms(1)), ..Query::default() };
        assert!(pool.pick(&query, 7).is_some(), "{strategy}");
    }
}

#[test]
fn what_is_not_the_nodes_fault_opens_nothing() {
    let pool = healthy(2);
    for fault in [Fault::Target, Fault::Client, Fault::Local] {
        pool.report(id(1), &Outcome::failure(Origin::Traffic, fault, Stage::Exchange, "x"), at_ms(0));
    }
    assert!(picks(&pool, at_ms(1))[1] > 20);
    assert!(!pool.node(id(1)).unwrap().resting(at_ms(1)));
}

#[test]
fn a_request_that_failed_once_goes_to_a_node_that_has_just_worked() {
    let pool = healthy(10);
    pool.report(id(3), &ok(50), at_ms(0));
    let query = Query { prefer_recent_success: true, now: Some(at_ms(1)), ..Query::default() };
    assert!((0..100).all(|rng| picked(&pool, &query, rng) == Some(id(3))));
    let elsewhere = Query { exclude_nodes: &[id(3)], ..query };
    assert!((0..100).all(|rng| picked(&pool, &elsewhere, rng).is_some_and(|node| node != id(3))));
    // Among many it is one of the youngest of those drawn.
    let pool = healthy(200);
    (0..100).for_each(|n| pool.report(id(n), &ok(50), at_ms(0)));
    let picks = (0..1000).filter(|rng| picked(&pool, &query, *rng).is_some_and(|node| (0..100).any(|n| id(n) == node)));
    assert!(picks.count() > 990);
}
