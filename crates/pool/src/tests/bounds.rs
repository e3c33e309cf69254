//! Lists from strangers fill neither the pool nor, through it, the store.

use std::{collections::HashSet, time::Duration};

use hezar_core::{Outbound, SocksProxy, SocksVersion};

use super::*;
use crate::{Bounds, LeftOut, Record, Restored};

fn bounded(total: usize, per_source: usize, per_server: usize) -> TestPool {
    Pool::new(Rules { bounds: Bounds { total, per_source, per_server }, ..Rules::default() })
}

fn total(pool: &TestPool) -> usize {
    pool.snapshot().counts().total()
}

fn ids(pool: &TestPool) -> HashSet<NodeId> {
    pool.snapshot().nodes().map(|node| node.id()).collect()
}

fn on_host(host: &str, ports: impl IntoIterator<Item = u16>) -> Vec<(NodeSpec, Label)> {
    let socks = SocksProxy { version: SocksVersion::V5, credentials: None, tls: None };
    let spec = |port| NodeSpec::new(Target::parse(&format!("{host}:{port}")).unwrap(), Outbound::Socks(socks.clone()));
    ports.into_iter().map(|port| (spec(port), Label::default())).collect()
}

#[test]
fn a_list_that_changes_at_every_fetch_holds_at_most_two_of_itself() {
    let pool = pool();
    for fetch in 0..20_u32 {
        let now = u64::from(fetch) * 1800;
        let applied = pool.apply(listing("s", fetch * 5000..(fetch + 1) * 5000), at(now));
        assert_eq!(applied.added, 5000);
        assert!(total(&pool) <= 10_000, "{}", total(&pool));
        // Half of them are found dead, the others are never asked.
        (fetch * 5000..fetch * 5000 + 2500).step_by(50).for_each(|n| kill(&pool, n, now + 1));
        pool.tick(at(now + 61));
        assert_eq!(total(&pool), 5000, "what never worked is not kept for days");
    }
    check(&pool);
}

#[test]
fn a_list_that_changes_faster_than_anything_is_forgotten_meets_the_bound() {
    let pool = bounded(12_000, 5000, 10);
    for fetch in 0..30_u32 {
        pool.apply(listing("s", fetch * 5000..(fetch + 1) * 5000), at(u64::from(fetch)));
        assert!(total(&pool) <= 12_000);
        let newest = (fetch * 5000..(fetch + 1) * 5000).filter(|n| pool.node(id(*n)).is_some()).count();
        assert_eq!(newest, 5000, "what is listed now has its place");
    }
    check(&pool);
}

#[test]
fn a_source_lists_so_many_and_the_same_ones_stay() {
    let pool = bounded(1000, 100, 10);
    let applied = pool.apply(listing("s", 0..150), at(0));
    assert_eq!((applied.added, applied.left_out), (100, LeftOut { source: 50, ..LeftOut::default() }));
    assert_eq!(pool.left_out(), [("s".into(), applied.left_out)]);
    let first = ids(&pool);
    let applied = pool.apply(listing("s", (0..150).rev()), at(1));
    assert_eq!((applied.added, applied.unlisted, applied.left_out.source), (0, 0, 50));
    assert_eq!(ids(&pool), first, "another order changes nothing");
    // Room comes free, and others of the list come in.
    let applied = pool.apply(listing("s", 50..150), at(2));
    assert_eq!((applied.added, applied.unlisted, applied.left_out.total()), (50, 50, 0));
    assert!(pool.left_out().is_empty());
    // Additions count as well, also of nodes that another source lists.
    pool.apply(listing("t", 300..310), at(3));
    for nodes in [150..160, 300..310] {
        let PoolChange::List { source, nodes, .. } = listing("s", nodes) else { unreachable!() };
        let applied = pool.apply(PoolChange::List { source, allow_private: false, nodes, complete: false }, at(4));
        assert_eq!((applied.added, applied.left_out.source), (0, 10));
    }
    assert_eq!(pool.sources(), [("s".into(), false, 100), ("t".into(), false, 10)]);
    check(&pool);
}

#[test]
fn one_host_has_so_many_nodes_and_this_machine_any_number() {
    let pool = bounded(1000, 1000, 20);
    let list = |host: &str, ports, at_s| {
        let nodes = on_host(host, ports);
        pool.apply(PoolChange::List { source: host.into(), allow_private: true, nodes, complete: true }, at(at_s))
    };
    assert_eq!(list("victim.example", 1..101, 0).left_out, LeftOut { server: 80, ..LeftOut::default() });
    assert_eq!(list("127.0.0.1", 1..101, 0).added, 100);
    assert_eq!(list("[::ffff:127.0.0.1]", 1..101, 0).left_out.total(), 0);
    assert_eq!(list("localhost", 1..101, 0).added, 100);
    // The places come free with the nodes.
    assert_eq!(list("victim.example", 90..101, 1).added, 0, "the old ones are still there");
    pool.tick(at(100));
    assert_eq!(list("victim.example", 80..101, 101).added, 20);
    check(&pool);
}

#[test]
fn what_is_worth_least_goes_first_and_the_living_stay() {
    let pool = bounded(50, 50, 50);
    pool.apply(listing("alive", 0..10), at(0));
    (0..10).for_each(|n| pool.report(id(n), &ok(10), at(1)));
    pool.apply(listing("gone", 10..20), at(0));
    (10..20).for_each(|n| pool.report(id(n), &ok(10), at(1)));
    (10..20).for_each(|n| kill(&pool, n, 2));
    pool.apply(listing("gone", 20..30), at(3));
    pool.apply(listing("bad", 30..40), at(3));
    (30..40).for_each(|n| kill(&pool, n, 4));
    pool.apply(listing("new", 40..50), at(4));
    pool.apply(listing("gone", []), at(5));
    assert_eq!(total(&pool), 50);
    let left = |from: u32| (from..from + 10).filter(|n| pool.node(id(*n)).is_some()).count();
    // 20..30 never worked and are unlisted; 10..20 are dead and unlisted; 30..40 are dead and listed.
    for (from, expected) in [(100, [10, 10, 0, 10]), (110, [10, 0, 0, 10]), (120, [10, 0, 0, 0])] {
        let applied = pool.apply(listing(&format!("more {from}"), from..from + 10), at(6));
        assert_eq!((applied.added, applied.left_out.total(), total(&pool)), (10, 0, 50));
        assert_eq!([left(0), left(10), left(20), left(30)], expected);
    }
    let applied = pool.apply(listing("too many", 200..210), at(7));
    assert_eq!((applied.added, applied.left_out), (0, LeftOut { pool: 10, ..LeftOut::default() }));
    assert_eq!((left(0), left(40)), (10, 10));
    check(&pool);
}

#[test]
fn nodes_that_make_room_for_an_addition_leave_their_source() {
    let pool = bounded(4, 100, 1);
    pool.apply(listing("s", 0..4), at(0));
    (0..4).for_each(|n| kill(&pool, n, 1));
    // Room is made for three; one of them is taken in, since they are all on one host.
    let nodes = on_host("one.example", 1..4);
    let addition = PoolChange::List { source: "s".into(), allow_private: false, nodes, complete: false };
    let applied = pool.apply(addition, at(2));
    assert_eq!((applied.added, applied.left_out.server, total(&pool)), (1, 2, 2));
    assert_eq!(pool.sources(), [("s".into(), false, 2)]);
    // Whoever gets a slot that came free is not taken for a node of that source.
    pool.apply(listing("t", 10..12), at(3));
    assert_eq!(pool.sources(), [("s".into(), false, 2), ("t".into(), false, 2)]);
    assert_eq!(pool.apply(listing("s", []), at(4)).unlisted, 2);
    check(&pool);
}

#[test]
fn a_bound_that_became_smaller_is_met_soon() {
    let pool = bounded(100, 100, 100);
    let record = |n: u32| match n % 3 {
        0 => Record { state: State::Healthy, last_ok: Some(at(1)), last_checked: Some(at(1)), ..Record::default() },
        1 => Record { state: State::Dead, failures: 9, last_checked: Some(at(1)), ..Record::default() },
        _ => Record::default(),
    };
    let restored = |n| Restored {
        id: spec(n).id(),
        spec: spec(n),
        label: Label::default(),
        sources: Vec::new(),
        kept_from: None,
        record: record(n),
    };
    pool.apply(PoolChange::Restore((0..150).map(restored).collect()), at(2));
    let watch = pool.watch();
    assert_eq!(pool.tick(at(3)), 50);
    assert_eq!((total(&pool), pool.snapshot().counts().healthy), (100, 50));
    assert_eq!(watch.len(), 50, "the store hears of it");
    check(&pool);
}

#[test]
fn what_worked_once_and_is_in_quarantine_is_not_kept_for_ever() {
    let pool = healthy(1);
    pool.quarantine(id(0), "tampered-body", at(2));
    pool.apply(listing("s", []), at(3));
    assert_eq!(pool.tick(at(3600)), 0);
    pool.report(id(0), &ok(1), at(72 * 3600));
    assert_eq!(pool.tick(at(3 + 72 * 3600)), 1);
    let quick = Rules { forget_after: Duration::from_secs(5), ..Rules::default() };
    let pool = TestPool::new(quick);
    pool.apply(listing("s", 0..1), at(0));
    pool.apply(listing("s", []), at(1));
    assert_eq!(pool.tick(at(6)), 1, "never longer than what worked is kept");
}
