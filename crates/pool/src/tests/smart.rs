//! `smart` gives every exit its share, the better ones more.

use std::{collections::HashMap, sync::Barrier};

use super::*;
use crate::{SiteKey, SiteVerdict};

const PICKS: u64 = 6000;

/// How often each node is picked.
fn shares(pool: &TestPool, query: &Query<'_>, picks: u64) -> HashMap<NodeId, f64> {
    let mut shares: HashMap<NodeId, f64> = HashMap::new();
    for rng in 0..picks {
        *shares.entry(picked(pool, query, rng).unwrap()).or_default() += 1.0 / picks as f64;
    }
    shares
}

/// Nodes with these latencies, each with an exit of its own.
fn with(latencies: &[u64]) -> TestPool {
    let pool = pool();
    pool.apply(listing("s", 0..latencies.len() as u32), at(0));
    for (n, latency) in (0..).zip(latencies) {
        pool.report(id(n), &ok(*latency), at(1));
    }
    pool
}

#[test]
fn of_two_exits_both_serve_by_their_merit() {
    for (fast, slow) in [(50, 60), (50, 100), (50, 200), (100, 2000)] {
        let pool = with(&[fast, slow]);
        let shares = shares(&pool, &query(Strategy::Smart), PICKS);
        let (better, worse) = (shares[&id(0)], shares.get(&id(1)).copied().unwrap_or(0.0));
        assert!(worse > 0.005, "{fast} and {slow}: the worse one had {worse}");
        assert!(better > worse, "{fast} and {slow}: {better} and {worse}");
        let [fast_weight, slow_weight] = [fast, slow].map(|latency| (latency as f64).powf(1.5));
        let expected = fast_weight / (fast_weight + slow_weight);
        assert!((worse - expected).abs() < 0.03, "{fast} and {slow}: {worse}, not {expected}");
    }
}

#[test]
fn of_many_exits_all_serve_and_the_better_ones_more() {
    for count in [3, 5, 10, 40_u64] {
        let latencies: Vec<_> = (1..=count).map(|n| n * 40).collect();
        let pool = with(&latencies);
        let shares = shares(&pool, &query(Strategy::Smart), PICKS * 4);
        assert_eq!(shares.len(), count as usize, "{count}: everybody serves");
        let half = count as u32 / 2;
        let sum = |nodes: std::ops::Range<u32>| nodes.map(|n| shares[&id(n)]).sum::<f64>();
        assert!(sum(0..half) > sum(count as u32 - half..count as u32), "{count}");
        assert!(shares[&id(0)] > shares[&id(count as u32 - 1)], "{count}");
    }
}

#[test]
fn two_that_fit_among_many_share_as_well() {
    // 300 nodes, of which a site refuses all but two, wherever they stand.
    for (one, other) in [(0, 1), (0, 299), (10, 150)] {
        let pool = with(&[100; 300]);
        (0..300).filter(|n| *n != one && *n != other).for_each(|n| {
            pool.report_site(id(n), SiteKey(5), SiteVerdict::Blocked, at(2));
        });
        let shares = shares(&pool, &Query { site: Some(SiteKey(5)), ..query(Strategy::Smart) }, 2000);
        assert_eq!(shares.len(), 2);
        assert!((shares[&id(one)] - 0.5).abs() < 0.06, "{one} and {other}: {shares:?}");
    }
}

#[test]
fn load_moves_requests_away() {
    let pool = with(&[50, 60]);
    let busy: Vec<_> = (0..400).filter_map(|rng| pool.pick(&query(Strategy::Smart), rng)).collect();
    let (one, other) = (pool.node(id(0)).unwrap().in_flight(), pool.node(id(1)).unwrap().in_flight());
    assert!(one.abs_diff(other) < 120, "{one} and {other}");
    drop(busy);
    check(&pool);
}

#[test]
fn requests_of_a_new_session_that_come_at_once_agree_on_its_exit() {
    const THREADS: u64 = 8;
    let pool = with(&[100; 50]);
    for session in 0..200 {
        let start = Barrier::new(THREADS as usize);
        let ask = |thread| {
            start.wait();
            picked(
                &pool,
                &Query { session: Some(SessionKey(session)), ..query(Strategy::Random) },
                session * THREADS + thread,
            )
        };
        let nodes: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || ask(thread))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
        });
        assert!(nodes.iter().all(|node| *node == nodes[0]), "session {session}");
        assert_eq!(pool.pinned(SessionKey(session)).unwrap().node, nodes[0]);
    }
}

#[test]
fn who_moves_much_is_served_by_nodes_that_move_much() {
    let pool = with(&[50, 50]);
    // 100 KB and 10 MB a second: 20 MB take 200 s and 2 s.
    pool.record_throughput(id(0), 1e5, at(2));
    let share_of_first = |expected_bytes| {
        let query = Query { expected_bytes, ..query(Strategy::Smart) };
        shares(&pool, &query, 2000).get(&id(0)).copied().unwrap_or(0.0)
    };
    assert!((share_of_first(20e6) - 0.5).abs() < 0.05, "nothing is known of the other one");
    pool.record_throughput(id(1), 1e7, at(2));
    assert!(share_of_first(20e6) < 0.01, "{}", share_of_first(20e6));
    assert!((share_of_first(0.0) - 0.5).abs() < 0.05, "small requests are shared as before");
}

#[test]
fn a_node_that_has_moved_little_counts_as_its_exit() {
    let pool = pool();
    pool.apply(listing("s", 0..3), at(0));
    (0..3).for_each(|n| {
        let ip = [9, 9, 9, if n == 2 { 2 } else { 1 }].into();
        let exit = Some(Exit { ip, country: None });
        let outcome =
            Outcome { origin: Origin::Probe, result: Ok(Success { latency: Duration::from_millis(50), exit }) };
        pool.report(id(n), &outcome, at(1));
    });
    let throughput = |n| pool.throughput(&pool.node(id(n)).unwrap());
    assert_eq!([throughput(0), throughput(1), throughput(2)], [None; 3]);
    pool.record_throughput(id(0), 1e6, at(2));
    assert_eq!([throughput(0), throughput(1), throughput(2)], [Some(1e6), Some(1e6), None]);
    pool.record_throughput(id(1), 1e5, at(3));
    assert_eq!([throughput(0), throughput(1)], [Some(1e6), Some(1e5)], "its own counts more");
    pool.record_throughput(id(2), f32::NAN, at(3));
    assert_eq!(throughput(2), None);
}
