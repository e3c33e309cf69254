//! A server that cannot be reached rests with all its nodes; then one trial decides.

use hezar_core::{Credentials, Fault, Secret};

use super::*;

fn at_ms(ms: u64) -> Timestamp {
    Timestamp(at(10).0 + ms)
}

/// Node `n` of the one server at this port: they differ in their user names.
fn user_at(port: u16, n: u32) -> NodeSpec {
    let mut spec = spec_on(1, port);
    if let Outbound::Socks(socks) = &mut spec.outbound {
        socks.credentials =
            Some(Credentials { username: format!("user{n}").into(), password: Secret::new("password") });
    }
    spec
}

/// Three nodes at one port, one at another port of the same host, one elsewhere.
fn world() -> (TestPool, Vec<NodeId>) {
    let specs: Vec<_> = (0..3).map(|n| user_at(1080, n)).chain([user_at(1081, 3), spec_on(2, 1080)]).collect();
    let ids: Vec<_> = specs.iter().map(NodeSpec::id).collect();
    let nodes = specs.into_iter().map(|spec| (spec, Label::default())).collect();
    let pool = pool();
    pool.apply(PoolChange::List { source: "s".into(), allow_private: false, nodes, complete: true }, at(0));
    ids.iter().for_each(|id| pool.report(*id, &ok(50), at(1)));
    (pool, ids)
}

/// Which nodes are picked in 200 turns, by their places.
fn picked_at(pool: &TestPool, ids: &[NodeId], now: Timestamp) -> Vec<usize> {
    let query = Query { strategy: Strategy::Random, now: Some(now), ..Query::default() };
    let mut counts = vec![0; ids.len()];
    (0..200).filter_map(|rng| picked(pool, &query, rng)).for_each(|node| {
        counts[ids.iter().position(|id| *id == node).unwrap()] += 1;
    });
    counts
}

fn fail(pool: &TestPool, node: NodeId, stage: Stage, now: Timestamp) {
    pool.report(node, &Outcome::failure(Origin::Traffic, Fault::Node, stage, "x"), now);
}

#[test]
fn one_that_cannot_be_reached_says_so_of_the_others_at_its_port() {
    let (pool, ids) = world();
    fail(&pool, ids[0], Stage::Connect, at_ms(0));
    for ms in [1, 999] {
        let counts = picked_at(&pool, &ids, at_ms(ms));
        assert_eq!(counts[..3], [0, 0, 0], "{counts:?}");
        assert!(counts[3] > 0 && counts[4] > 0, "another port and another host: {counts:?}");
    }
    let tried = picked_at(&pool, &ids, at_ms(1000))[..3].iter().sum::<usize>();
    assert_eq!(tried, 1, "one trial for the server");
    // It fails as well: twice the rest.
    fail(&pool, ids[1], Stage::Connect, at_ms(1100));
    assert_eq!(picked_at(&pool, &ids, at_ms(3000))[..3], [0, 0, 0]);
    // One of them works again.
    pool.report(ids[2], &ok(50), at_ms(3050));
    assert!(picked_at(&pool, &ids, at_ms(3051))[2] > 0);
}

#[test]
fn a_failure_behind_the_connection_is_the_nodes_own() {
    let (pool, ids) = world();
    fail(&pool, ids[0], Stage::Handshake, at_ms(0));
    let counts = picked_at(&pool, &ids, at_ms(1));
    assert_eq!(counts[0], 0);
    assert!(counts[1] > 0 && counts[2] > 0, "{counts:?}");
}

#[test]
fn the_only_server_is_used_even_while_it_rests() {
    let (pool, ids) = world();
    pool.apply(PoolChange::Remove(ids[3..].to_vec()), at_ms(0));
    fail(&pool, ids[0], Stage::Connect, at_ms(0));
    let query = Query { now: Some(at_ms(1)), ..Query::default() };
    assert!(pool.pick(&query, 7).is_some());
}

#[test]
fn nodes_that_carry_nothing_do_not_push_others_out() {
    let (pool, ids) = world();
    pool.apply(listing("dead", 1000..6000), at(1));
    fail(&pool, ids[0], Stage::Connect, at_ms(0));
    (1000..6000).for_each(|n| fail(&pool, id(n), Stage::Connect, at_ms(0)));
    assert_eq!(picked_at(&pool, &ids, at_ms(1))[..3], [0, 0, 0]);
}
