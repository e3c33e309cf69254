//! Nodes that are put back many at a time are in the same tables as those that come one by one.

use super::*;
use crate::{Listing, Record, Restored, SiteKey, SourceName};

/// Node `n` as the store kept it: in one of the states, three behind an exit, in two countries.
pub(super) fn stored(n: u32, source: &SourceName) -> Restored {
    let [.., c, d] = (n / 3).to_be_bytes();
    let record = Record {
        state: State::ALL[n as usize % 4],
        latency: Some(Duration::from_millis(u64::from(n % 50) + 1)),
        exit_ip: Some([9, 9, c, d].into()),
        country: Some(if n.is_multiple_of(2) { *b"DE" } else { *b"FR" }),
        first_seen: at(0),
        last_ok: Some(at(0)),
        last_checked: Some(at(0)),
        ..Record::default()
    };
    let sources = vec![Listing { source: Arc::clone(source), allow_private: false }];
    Restored { id: id(n), spec: spec(n), label: Label::default(), sources, kept_from: None, record }
}

fn rows(nodes: std::ops::Range<u32>) -> Vec<Restored> {
    nodes.map(|n| stored(n, &"s".into())).collect()
}

/// What readers see.
fn seen(pool: &TestPool) -> impl PartialEq + std::fmt::Debug + use<> {
    let snapshot = pool.snapshot();
    let mut picks = Vec::new();
    for (rng, strategy) in (0..300_u64).zip([Strategy::ConsistentHash, Strategy::LeastLatency].into_iter().cycle()) {
        for country in [None, Some(*b"DE")] {
            let query = Query { site: Some(SiteKey(rng * rng)), country, ..query(strategy) };
            picks.push(picked(pool, &query, rng));
        }
    }
    let countries: Vec<_> = snapshot.countries().collect();
    (snapshot.counts(), snapshot.exits(), countries, pool.sources(), picks)
}

#[test]
fn at_once_in_parts_and_one_by_one_are_the_same() {
    let (grown, at_once, in_parts) = (pool(), pool(), pool());
    rows(0..3000).into_iter().for_each(|row| {
        grown.apply(PoolChange::Restore(vec![row]), at(1));
    });
    at_once.apply(PoolChange::Restore(rows(0..3000)), at(1));
    for from in [0, 1000, 2000] {
        in_parts.restore_part(rows(from..from + 1000), at(1));
    }
    assert_eq!(in_parts.snapshot().counts().total(), 0, "nobody is chosen before the end");
    in_parts.finish_restore();
    for pool in [&grown, &at_once, &in_parts] {
        check(pool);
    }
    assert_eq!(seen(&at_once), seen(&grown));
    assert_eq!(seen(&in_parts), seen(&grown));
}

#[test]
fn what_happens_before_the_end_is_not_lost() {
    let pool = pool();
    pool.restore_part(rows(0..100), at(1));
    pool.report(id(5), &ok_in(7, b"NL"), at(2));
    pool.apply(PoolChange::Remove(vec![id(9), id(13)]), at(2));
    // They are given the slots of the removed ones.
    pool.apply(listing("t", 200..202), at(2));
    pool.restore_part(rows(100..120), at(2));
    pool.finish_restore();
    check(&pool);
    assert_eq!(pool.snapshot().counts().total(), 120);
    assert_eq!(pool.node(id(5)).unwrap().country(), Some(*b"NL"));
    assert!(pool.node(id(9)).is_none());
}

#[test]
fn views_that_were_built_at_once_change_as_others_do() {
    let pool = healthy(40);
    pool.apply(PoolChange::Restore(rows(30..900)), at(2));
    check(&pool);
    for n in (0..900).step_by(7) {
        pool.report(id(n), &ok_in(u64::from(n % 90) + 1, b"US"), at(3));
    }
    check(&pool);
    let half: Vec<_> = (0..900).filter(|n| n % 2 == 0).map(id).collect();
    pool.apply(PoolChange::Remove(half), at(4));
    check(&pool);
    pool.apply(PoolChange::Remove((0..900).map(id).collect()), at(5));
    check(&pool);
    assert_eq!((pool.snapshot().exits(), pool.snapshot().counts().total()), (0, 0));
}
