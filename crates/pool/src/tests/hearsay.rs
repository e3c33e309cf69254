//! What other instances say of nodes, and how long it counts.

use std::time::Duration;

use super::*;
use crate::{Hearsay, Record, Restored};

fn said(n: u32) -> (NodeId, Hearsay) {
    let exit = Exit { ip: "198.51.100.9".parse().unwrap(), country: Some(*b"NL") };
    (id(n), Hearsay { last_ok: at(5), latency: Some(Duration::from_millis(80)), exit: Some(exit) })
}

fn state(pool: &TestPool, n: u32) -> State {
    check(pool);
    pool.node(id(n)).unwrap().state()
}

#[test]
fn a_node_serves_on_the_word_of_others_until_it_is_judged_here() {
    let pool = pool();
    pool.apply(listing("s", [1, 2, 3]), at(0));
    pool.report(id(3), &bad(Origin::Probe), at(1));
    assert_eq!(pool.believe(&[said(1), said(2), said(3), said(9)], at(10)), 2, "one was judged here, one is not there");
    assert_eq!([1, 2, 3].map(|n| state(&pool, n)), [State::Suspect, State::Suspect, State::New]);
    let record = pool.node(id(1)).unwrap().record();
    assert_eq!((record.last_ok, record.last_checked, record.failure), (Some(at(5)), None, None));
    assert_eq!((record.latency, record.country), (Some(Duration::from_millis(80)), Some(*b"NL")));
    assert_eq!(pool.snapshot().routable().count(), 2);
    // What is said again changes nothing; a failure of a probe of our own is enough, and so is a success.
    assert_eq!(pool.believe(&[said(1)], at(11)), 0);
    pool.report(id(1), &bad(Origin::Probe), at(12));
    pool.report(id(2), &ok(50), at(12));
    assert_eq!([1, 2].map(|n| state(&pool, n)), [State::Dead, State::Healthy]);
    assert_eq!(pool.believe(&[said(1), said(2)], at(13)), 0);
    assert_eq!(pool.disbelieve(&[id(1), id(2), id(3)]), 0);
    assert_eq!([1, 2, 3].map(|n| state(&pool, n)), [State::Dead, State::Healthy, State::New]);
}

#[test]
fn traffic_alone_makes_no_such_node_dead() {
    let pool = pool();
    pool.apply(listing("s", [1]), at(0));
    pool.believe(&[said(1)], at(1));
    (2..9).for_each(|second| pool.report(id(1), &bad(Origin::Traffic), at(second)));
    assert_eq!(state(&pool, 1), State::Suspect);
}

#[test]
fn what_was_said_can_be_taken_back() {
    let pool = pool();
    pool.apply(listing("s", [1]), at(0));
    pool.believe(&[said(1)], at(1));
    assert_eq!(pool.disbelieve(&[id(1), id(2)]), 1);
    assert_eq!((state(&pool, 1), pool.snapshot().routable().count()), (State::New, 0));
    let record = pool.node(id(1)).unwrap().record();
    assert_eq!((record.last_ok, record.latency, record.failures), (None, None, 0));
    assert_eq!(pool.believe(&[said(1)], at(2)), 1, "and said again");
}

#[test]
fn a_restart_keeps_what_was_said() {
    let (old, new) = (pool(), pool());
    old.apply(listing("s", [1]), at(0));
    old.believe(&[said(1)], at(1));
    let record = old.node(id(1)).unwrap().record();
    let restored = Restored {
        id: id(1),
        spec: spec(1),
        label: Label::default(),
        sources: Vec::new(),
        kept_from: None,
        record: Record { unlisted_since: Some(at(1)), ..record.clone() },
    };
    new.apply(PoolChange::Restore(vec![restored]), at(2));
    assert_eq!(Record { unlisted_since: None, ..new.node(id(1)).unwrap().record() }, record);
    new.report(id(1), &bad(Origin::Probe), at(3));
    assert_eq!(state(&new, 1), State::Dead);
}

#[test]
fn what_is_measured_here_takes_the_place_of_what_was_said() {
    let pool = pool();
    pool.apply(listing("s", [1]), at(0));
    pool.believe(&[said(1)], at(1));
    let record = || pool.node(id(1)).unwrap().record();
    assert_eq!((record().exit_ip.is_some(), record().exit_seen), (true, None), "the exit is looked up soon");
    pool.report(id(1), &ok(50), at(2));
    assert_eq!(record().latency, Some(Duration::from_millis(50)));
    pool.report(id(1), &ok(90), at(3));
    assert!(record().latency > Some(Duration::from_millis(50)) && record().latency < Some(Duration::from_millis(90)));
}
