//! How evidence changes a node.

use std::time::Duration;

use hezar_core::{Fault, Label, Stage};

use super::*;
use crate::{LastFailure, Record, Restored};

fn state(pool: &TestPool, n: u32) -> State {
    check(pool);
    pool.node(id(n)).unwrap().state()
}

#[test]
fn a_node_goes_through_its_states() {
    let pool = pool();
    pool.apply(listing("s", [1]), at(0));
    assert_eq!(state(&pool, 1), State::New);
    pool.report(id(1), &ok(50), at(1));
    assert_eq!(state(&pool, 1), State::Healthy);
    pool.report(id(1), &bad(Origin::Probe), at(2));
    assert_eq!(state(&pool, 1), State::Suspect);
    pool.report(id(1), &bad(Origin::Probe), at(3));
    assert_eq!(state(&pool, 1), State::Suspect);
    let record = pool.node(id(1)).unwrap().record();
    assert_eq!((record.failures, record.last_ok, record.last_checked), (2, Some(at(1)), Some(at(3))));
    assert_eq!(record.failure, Some(LastFailure { stage: Stage::Connect, code: "refused".into() }));
    pool.report(id(1), &bad(Origin::Probe), at(4));
    assert_eq!(state(&pool, 1), State::Dead);
    assert_eq!(pool.node(id(1)).unwrap().record().dead_since, Some(at(4)));
    pool.report(id(1), &bad(Origin::Probe), at(5));
    assert_eq!(pool.node(id(1)).unwrap().record().dead_since, Some(at(4)), "dead since it died");
    pool.report(id(1), &ok(50), at(6));
    assert_eq!(state(&pool, 1), State::Healthy);
    let record = pool.node(id(1)).unwrap().record();
    assert_eq!((record.failures, record.failure, record.dead_since), (0, None, None));
}

#[test]
fn a_new_node_dies_without_carrying_traffic() {
    let pool = pool();
    pool.apply(listing("s", [1]), at(0));
    for seconds in 1..3 {
        pool.report(id(1), &bad(Origin::Probe), at(seconds));
        assert_eq!(state(&pool, 1), State::New);
    }
    pool.report(id(1), &bad(Origin::Probe), at(3));
    assert_eq!(state(&pool, 1), State::Dead);
}

#[test]
fn only_faults_of_the_node_count() {
    let pool = healthy(1);
    let before = pool.node(id(0)).unwrap().record();
    for fault in [Fault::Target, Fault::Client, Fault::Local] {
        for _ in 0..5 {
            pool.report(id(0), &Outcome::failure(Origin::Probe, fault, Stage::Exchange, "x"), at(9));
        }
    }
    assert_eq!(pool.node(id(0)).unwrap().record(), before);
}

#[test]
fn traffic_makes_suspect_but_only_a_probe_kills() {
    let pool = healthy(1);
    for _ in 0..100 {
        pool.report(id(0), &bad(Origin::Traffic), at(2));
    }
    assert_eq!(state(&pool, 0), State::Suspect);
    pool.report(id(0), &bad(Origin::Probe), at(3));
    assert_eq!(state(&pool, 0), State::Dead);
    pool.report(id(0), &bad(Origin::Traffic), at(3));
    assert_eq!(state(&pool, 0), State::Dead);
    pool.report(id(0), &Outcome::success(Origin::Traffic, Duration::from_millis(5)), at(4));
    assert_eq!(state(&pool, 0), State::Healthy);
}

#[test]
fn one_failure_is_enough_when_the_rules_say_so() {
    let pool = TestPool::new(Rules { dead_after: 1, ..Rules::default() });
    pool.apply(listing("s", [0]), at(0));
    pool.report(id(0), &ok(5), at(1));
    pool.report(id(0), &bad(Origin::Traffic), at(2));
    assert_eq!(state(&pool, 0), State::Suspect);
    pool.report(id(0), &bad(Origin::Probe), at(2));
    assert_eq!(state(&pool, 0), State::Dead);
}

#[test]
fn measurements_follow_the_evidence_and_forget_with_time() {
    let pool = healthy(1);
    let node = pool.node(id(0)).unwrap();
    assert_eq!(node.latency(), Some(Duration::from_millis(10)));
    assert_eq!(node.error_rate(), 0.0);
    pool.report(id(0), &ok(100), at(2));
    let soon = node.latency().unwrap();
    assert!(soon > Duration::from_millis(10) && soon < Duration::from_millis(30), "{soon:?}");
    pool.report(id(0), &ok(100), at(3600));
    assert!(node.latency().unwrap() > Duration::from_millis(99), "an hour later the old ones hardly count");
    pool.report(id(0), &Outcome::success(Origin::Traffic, Duration::from_secs(9)), at(3601));
    assert!(node.latency().unwrap() < Duration::from_millis(101), "traffic is not comparable");
    pool.report(id(0), &bad(Origin::Traffic), at(3602));
    assert!(node.error_rate() > 0.04);
    let after_failure = node.error_rate();
    pool.report(id(0), &ok(100), at(3900));
    assert!(node.error_rate() < after_failure);
}

#[test]
fn exits_decide_the_country_views() {
    let pool = healthy(4);
    pool.report(id(0), &ok_in(10, b"DE"), at(2));
    pool.report(id(1), &ok_in(10, b"DE"), at(2));
    pool.report(id(2), &ok_in(10, b"FR"), at(2));
    check(&pool);
    let countries: Vec<_> = pool.snapshot().countries().collect();
    assert_eq!(countries, [(*b"DE", 2), (*b"FR", 1)]);
    pool.report(id(1), &ok_in(10, b"FR"), at(3));
    kill(&pool, 0, 4);
    check(&pool);
    let countries: Vec<_> = pool.snapshot().countries().collect();
    assert_eq!(countries, [(*b"FR", 2)]);
    let german = Query { country: Some(*b"DE"), ..Query::default() };
    assert!(pool.pick(&german, 1).is_none());
    assert_eq!(pool.node(id(1)).unwrap().record().exit_ip, Some([9, 9, 9, 9].into()));
}

#[test]
fn an_unsupported_node_is_kept_and_never_routed() {
    let pool = healthy(2);
    pool.mark_unsupported(id(0), "node-unsupported");
    check(&pool);
    assert_eq!(pool.snapshot().counts(), Counts { healthy: 1, unsupported: 1, ..Counts::default() });
    assert_eq!(pool.node(id(0)).unwrap().unsupported(), Some("node-unsupported".into()));
    pool.report(id(0), &ok(5), at(3));
    check(&pool);
    for rng in 0..50 {
        assert_eq!(picked(&pool, &Query::default(), rng), Some(id(1)));
    }
}

#[test]
fn a_restored_node_serves_at_once() {
    let pool = pool();
    let record = Record {
        state: State::Healthy,
        latency: Some(Duration::from_millis(80)),
        last_ok: Some(at(0)),
        last_checked: Some(at(0)),
        country: Some(*b"NL"),
        unsupported: Some("node-unsupported".into()),
        ..Record::default()
    };
    let restored = |n, record: &Record| Restored {
        id: spec(n).id(),
        spec: spec(n),
        label: Label::new("kept"),
        sources: vec![crate::Listing { source: "s".into(), allow_private: true }],
        kept_from: None,
        record: record.clone(),
    };
    let dead = Record { state: State::Dead, failures: 5, dead_since: Some(at(0)), ..Record::default() };
    let applied = pool.apply(PoolChange::Restore(vec![restored(1, &record), restored(2, &dead)]), at(9));
    assert_eq!(applied.added, 2);
    check(&pool);
    let lease = pool.pick(&Query { country: Some(*b"NL"), ..Query::default() }, 3).unwrap();
    assert_eq!(lease.id(), id(1));
    assert!(lease.allow_private());
    assert_eq!(lease.label().as_str(), "kept");
    let kept = lease.record();
    assert_eq!(kept, Record { unsupported: None, ..record });
    assert_eq!(pool.node(id(2)).unwrap().record().dead_since, Some(at(0)));
    assert_eq!(pool.sources(), [("s".into(), true, 2)]);
}

#[test]
fn a_payload_is_built_once_and_dropped_when_it_is_out_of_date() {
    let pool = healthy(1);
    let node = pool.node(id(0)).unwrap();
    let build = |text: &str| node.payload(|_| Ok::<Arc<str>, ()>(text.into())).unwrap();
    assert_eq!(node.payload(|_| Err::<Arc<str>, _>(5)), Err(5));
    assert_eq!(&*build("first"), "first");
    assert_eq!(&*build("second"), "first");
    kill(&pool, 0, 5);
    assert_eq!(&*build("third"), "third");
    let PoolChange::List { source, nodes, .. } = listing("s", [0]) else { unreachable!() };
    pool.apply(PoolChange::List { source, allow_private: true, nodes, complete: true }, at(6));
    assert!(node.allow_private());
    assert_eq!(&*build("fourth"), "fourth");
}

#[test]
fn what_traffic_says_against_a_node_is_cleared_by_its_next_good_evidence() {
    let pool = healthy(1);
    let node = pool.node(id(0)).unwrap();
    // A quiet quarter of an hour, and one failure.
    pool.report(id(0), &bad(Origin::Traffic), at(900));
    assert_eq!(node.state(), State::Suspect);
    assert!(node.error_rate() <= 0.21, "{}", node.error_rate());
    pool.report(id(0), &ok(10), at(901));
    assert_eq!(node.state(), State::Healthy);
    assert!(node.error_rate() < 0.2);
    pool.report(id(0), &ok(10), at(1201));
    assert!(node.error_rate() < 0.1, "and fades: {}", node.error_rate());
    // One that fails half of what it carries is known as such.
    for _ in 0..200 {
        pool.report(id(0), &bad(Origin::Traffic), at(1300));
        pool.report(id(0), &Outcome::success(Origin::Traffic, Duration::ZERO), at(1300));
    }
    assert!(node.error_rate() > 0.4, "{}", node.error_rate());
}
