//! Each strategy keeps its promise.

use std::collections::{HashMap, HashSet};

use super::*;
use crate::{HttpAbility, HttpWay, Need, SiteKey};

fn shares(pool: &TestPool, query: &Query<'_>, picks: u64) -> HashMap<NodeId, u64> {
    let mut shares = HashMap::new();
    for rng in 0..picks {
        *shares.entry(picked(pool, query, rng).unwrap()).or_default() += 1;
    }
    shares
}

#[test]
fn an_empty_pool_picks_nothing() {
    let pool = pool();
    pool.apply(listing("s", 0..5), at(0));
    for strategy in Strategy::ALL {
        assert!(pool.pick(&query(strategy), 1).is_none(), "new nodes carry no traffic");
    }
}

#[test]
fn strategies_have_names() {
    for strategy in Strategy::ALL {
        assert_eq!(strategy.name().parse(), Ok(strategy));
    }
    assert!("quickest".parse::<Strategy>().is_err());
}

#[test]
fn round_robin_visits_everyone_in_turn() {
    let pool = healthy(100);
    let query = query(Strategy::RoundRobin);
    for _ in 0..3 {
        let round: HashSet<_> = (0..100).map(|rng| picked(&pool, &query, rng).unwrap()).collect();
        assert_eq!(round.len(), 100);
    }
}

#[test]
fn round_robin_gives_a_suspect_one_turn_in_four() {
    let pool = healthy(10);
    pool.report(id(3), &bad(Origin::Probe), at(2));
    // Forty rounds: nine nodes in each, the tenth in every fourth.
    let shares = shares(&pool, &query(Strategy::RoundRobin), 370);
    assert_eq!(shares[&id(3)], 10);
    assert_eq!(shares.values().filter(|n| **n == 40).count(), 9, "{shares:?}");
}

#[test]
fn random_is_even_and_spares_suspects() {
    let pool = healthy(10);
    pool.report(id(3), &bad(Origin::Probe), at(2));
    let shares = shares(&pool, &query(Strategy::Random), 10_000);
    assert_eq!(shares.len(), 10);
    assert!((150..400).contains(&shares[&id(3)]), "{shares:?}");
    assert!(shares.iter().filter(|(n, _)| **n != id(3)).all(|(_, s)| (850..1300).contains(s)), "{shares:?}");
}

#[test]
fn only_suspects_left_still_serve() {
    let pool = healthy(3);
    (0..3).for_each(|n| pool.report(id(n), &bad(Origin::Probe), at(2)));
    for strategy in Strategy::ALL {
        let nodes: HashSet<_> = (0..400).map(|rng| picked(&pool, &query(strategy), rng).unwrap()).collect();
        let rotates = matches!(strategy, Strategy::RoundRobin | Strategy::Random);
        assert!(!rotates || nodes.len() == 3, "{strategy}");
    }
}

#[test]
fn datagrams_go_to_nodes_that_carry_them() {
    let pool = pool();
    let socks = |n, version| {
        NodeSpec::new(spec(n).server, Outbound::Socks(SocksProxy { version, credentials: None, tls: None }))
    };
    let streams: Vec<_> = (0..200).map(|n| socks(n, SocksVersion::V4a)).collect();
    let carriers: Vec<_> = (200..203).map(|n| socks(n, SocksVersion::V5)).collect();
    let nodes = streams.iter().chain(&carriers).map(|spec| (spec.clone(), Label::default())).collect();
    pool.apply(PoolChange::List { source: "s".into(), allow_private: false, nodes, complete: true }, at(0));
    streams.iter().chain(&carriers).for_each(|spec| pool.report(spec.id(), &ok(10), at(1)));
    let carriers: HashSet<_> = carriers.iter().map(NodeSpec::id).collect();
    for strategy in Strategy::ALL {
        let query = Query { datagrams: true, ..query(strategy) };
        for rng in 0..50 {
            assert!(carriers.contains(&picked(&pool, &query, rng).unwrap()), "{strategy}");
        }
        // A session on a node without datagrams keeps that node, and another one helps out.
        let pinned = Query { session: Some(session_key(strategy.name())), datagrams: false, ..query };
        let home = picked(&pool, &pinned, 7).unwrap();
        assert!(carriers.contains(&picked(&pool, &Query { datagrams: true, ..pinned }, 8).unwrap()));
        assert_eq!(picked(&pool, &pinned, 9).unwrap(), home);
    }
    let all: Vec<_> = carriers.into_iter().collect();
    let none_left = Query { datagrams: true, exclude_nodes: &all, ..Query::default() };
    assert!(picked(&pool, &none_left, 1).is_none());
}

#[test]
fn smart_prefers_fast_reliable_and_idle_nodes() {
    let pool = healthy(2);
    let counts = shares(&pool, &query(Strategy::Smart), 3000);
    assert!((2120..2320).contains(&counts[&id(0)]), "10 ms against 20 ms: 74 of 100, {counts:?}");
    let leases: Vec<_> = (0..30).map(|rng| pool.pick(&query(Strategy::Smart), rng).unwrap()).collect();
    let loads: Vec<_> = (0..2).map(|n| pool.node(id(n)).unwrap().in_flight()).collect();
    assert!(loads.iter().all(|load| (7..24).contains(load)), "load counts as well: {loads:?}");
    drop(leases);
    for _ in 0..20 {
        pool.report(id(0), &bad(Origin::Traffic), at(2));
        pool.report(id(0), &Outcome::success(Origin::Traffic, Duration::ZERO), at(2));
    }
    let counts = shares(&pool, &query(Strategy::Smart), 3000);
    assert!(counts[&id(1)] > 2 * counts[&id(0)], "errors cost more than 10 ms: {counts:?}");
}

#[test]
fn least_latency_finds_the_fastest_of_many() {
    let pool = healthy(3000);
    let query = query(Strategy::LeastLatency);
    for rng in 0..20 {
        assert_eq!(picked(&pool, &query, rng), Some(id(0)));
    }
    pool.report(id(2999), &ok(1), at(10_000));
    assert_eq!(picked(&pool, &query, 1), Some(id(2999)), "the order follows the measurements");
    kill(&pool, 2999, 10_001);
    assert_eq!(picked(&pool, &query, 1), Some(id(0)));
    pool.report(id(0), &bad(Origin::Probe), at(3));
    assert_eq!(picked(&pool, &query, 1), Some(id(1)), "a suspect counts as four times slower");
}

#[test]
fn least_latency_shares_among_equals() {
    let pool = pool();
    pool.apply(listing("s", 0..4), at(0));
    (0..3).for_each(|n| pool.report(id(n), &ok(100 + u64::from(n)), at(1)));
    pool.report(id(3), &ok(150), at(1));
    let leases: Vec<_> = (0..9).map(|rng| pool.pick(&query(Strategy::LeastLatency), rng).unwrap()).collect();
    let loads: Vec<_> = (0..4).map(|n| pool.node(id(n)).unwrap().in_flight()).collect();
    assert_eq!(loads, [3, 3, 3, 0]);
    drop(leases);
}

#[test]
fn least_connections_is_exact_in_a_small_pool() {
    let pool = healthy(32);
    let leases: Vec<_> = (0..320).map(|rng| pool.pick(&query(Strategy::LeastConnections), rng).unwrap()).collect();
    assert!(pool.snapshot().nodes().all(|node| node.in_flight() == 10));
    drop(leases);
    assert!(pool.snapshot().nodes().all(|node| node.in_flight() == 0));
}

#[test]
fn least_connections_finds_idle_nodes_in_a_large_pool() {
    let pool = healthy(2000);
    // 1,800 busy nodes, 200 idle ones: 16 draws find one of them in 81 of 100 picks.
    let busy: Vec<_> = (0..1800).map(|n| Lease::new(pool.node(id(n)).unwrap())).collect();
    let idle = (0..1000).filter(|rng| pool.pick(&query(Strategy::LeastConnections), *rng).unwrap().in_flight() == 1);
    assert!(idle.count() > 700);
    drop(busy);
}

#[test]
fn a_site_keeps_its_node_and_changes_move_little() {
    let pool = healthy(50);
    let node_of = |site: u64| {
        let query = Query { site: Some(SiteKey::from_name(&site.to_string())), ..query(Strategy::ConsistentHash) };
        let first = picked(&pool, &query, 1).unwrap();
        assert_eq!(picked(&pool, &query, 2), Some(first), "whatever the random number");
        first
    };
    let before: Vec<_> = (0..5000).map(node_of).collect();
    let most = before.iter().fold(HashMap::<_, u32>::new(), |mut shares, id| {
        *shares.entry(*id).or_default() += 1;
        shares
    });
    assert!(most.len() >= 45, "almost everyone takes part");
    assert!(most.values().all(|share| *share < 400), "at most a few times the mean of 100");
    kill(&pool, 7, 5);
    let after: Vec<_> = (0..5000).map(node_of).collect();
    for (old, new) in before.iter().zip(&after) {
        assert!(old == new || *old == id(7), "only the dead node's sites move");
    }
    pool.report(id(7), &ok(5), at(6));
    assert_eq!((0..5000).map(node_of).collect::<Vec<_>>(), before, "and they come back");
}

#[test]
fn a_session_keeps_its_node_until_it_dies() {
    let pool = healthy(200);
    for strategy in Strategy::ALL {
        let query = Query { session: Some(session_key(strategy.name())), ..query(strategy) };
        let first = picked(&pool, &query, 1).unwrap();
        assert!((0..100).all(|rng| picked(&pool, &query, rng) == Some(first)), "{strategy}");
        pool.apply(listing("more", 1000..1100), at(3));
        (1000..1100).for_each(|n| pool.report(id(n), &ok(1), at(3)));
        assert!((0..100).all(|rng| picked(&pool, &query, rng) == Some(first)), "{strategy}: new nodes do not matter");
        let excluding = Query { exclude_nodes: &[first], ..query };
        assert_ne!(picked(&pool, &excluding, 1), Some(first));
        assert_eq!(picked(&pool, &query, 2), Some(first), "one failed attempt does not end the session");
        for _ in 0..3 {
            pool.report(first, &bad(Origin::Probe), at(4));
        }
        let second = picked(&pool, &query, 3).unwrap();
        assert_ne!(second, first);
        pool.report(first, &ok(1), at(5));
        assert!((0..100).all(|rng| picked(&pool, &query, rng) == Some(second)), "{strategy}: it stays where it went");
        pool.apply(PoolChange::Remove((1000..1100).map(id).collect()), at(6));
    }
}

#[test]
fn a_session_follows_its_country() {
    let pool = healthy(20);
    (0..10).for_each(|n| pool.report(id(n), &ok_in(10, b"DE"), at(2)));
    let anywhere = Query { session: Some(SessionKey(5)), ..query(Strategy::Random) };
    let german = Query { country: Some(*b"DE"), ..anywhere };
    for rng in 0..50 {
        let _ = picked(&pool, &anywhere, rng);
        assert_eq!(pool.pick(&german, rng).unwrap().country(), Some(*b"DE"));
    }
}

#[test]
fn exclusions_leave_the_one_that_remains() {
    let pool = healthy(300);
    for last in [0, 150, 299] {
        let nodes: Vec<_> = (0..300).filter(|n| *n != last).map(id).collect();
        let servers: Vec<_> = nodes.iter().map(|id| pool.node(*id).unwrap().server_key()).collect();
        for strategy in Strategy::ALL {
            for rng in 0..10 {
                let by_node = Query { exclude_nodes: &nodes, site: Some(SiteKey(rng)), ..query(strategy) };
                assert_eq!(picked(&pool, &by_node, rng), Some(id(last)), "{strategy}");
                let by_server = Query { exclude_servers: &servers, site: Some(SiteKey(rng)), ..query(strategy) };
                assert_eq!(picked(&pool, &by_server, rng), Some(id(last)), "{strategy}");
            }
        }
    }
    let all: Vec<_> = (0..300).map(id).collect();
    for strategy in Strategy::ALL {
        let query = Query { exclude_nodes: &all, session: Some(SessionKey(1)), ..query(strategy) };
        assert!(pool.pick(&query, 1).is_none());
    }
}

#[test]
fn fastest_follows_the_transfers_and_spreads_them() {
    let pool = healthy(10);
    let fast = |pool: &TestPool| {
        let picks = (0..300).filter_map(|rng| picked(pool, &query(Strategy::Fastest), rng));
        picks.filter(|node| *node == id(7)).count()
    };
    assert!(fast(&pool) < 150, "nothing is known yet");
    (0..10).for_each(|n| pool.node(id(n)).unwrap().record_throughput(if n == 7 { 5e6 } else { 1e5 }, at(2)));
    assert!(fast(&pool) > 200, "{}", fast(&pool));
    let _busy: Vec<_> = (0..100).map(|rng| pool.pick(&query(Strategy::Fastest), rng).unwrap()).collect();
    assert!(pool.node(id(7)).unwrap().in_flight() < 90, "a node that carries much is shared less");
    pool.node(id(7)).unwrap().record_throughput(f32::NAN, at(3));
    assert!(pool.node(id(7)).unwrap().throughput().is_some_and(f32::is_finite));
}

#[test]
fn nodes_on_one_host_share_a_server_key() {
    let pool = pool();
    let nodes = vec![(spec_on(1, 80), Label::default()), (spec_on(1, 81), Label::default())];
    pool.apply(PoolChange::List { source: "s".into(), allow_private: false, nodes, complete: true }, at(0));
    let keys: HashSet<_> = pool.snapshot().nodes().map(|node| node.server_key()).collect();
    assert_eq!(keys.len(), 1);
}

fn plain_to(port: u16) -> Need {
    Need::Plain { port, allow_transparent: true }
}

#[test]
fn nodes_that_cannot_carry_the_request_are_passed_over() {
    use HttpWay::{Plain, Tunnel443, TunnelOther};
    let pool = healthy(30);
    let nothing = HttpAbility::default();
    let plain_only = nothing.with(Plain, true).with(Tunnel443, false).with(TunnelOther, false);
    let secure_only = nothing.with(Plain, false).with(Tunnel443, true).with(TunnelOther, false);
    (0..10).for_each(|n| pool.set_http_ability(id(n), plain_only));
    (10..20).for_each(|n| pool.set_http_ability(id(n), secure_only));
    assert_eq!(pool.node(id(3)).unwrap().record().http_ability, plain_only);
    for strategy in Strategy::ALL {
        for (need, wrong) in [
            (plain_to(80), 10..20),
            (plain_to(443), 30..31),
            (Need::Tunnel(443), 0..10),
            (Need::Tunnel(80), 0..20),
            (Need::Anything, 30..31),
        ] {
            let query = Query { need, ..query(strategy) };
            for rng in 0..100 {
                let node = picked(&pool, &query, rng).unwrap();
                assert!(wrong.clone().all(|n| id(n) != node), "{strategy} {need:?}");
            }
        }
    }
    let all: Vec<_> = (20..30).map(id).collect();
    let query = Query { need: Need::Tunnel(25), exclude_nodes: &all, ..Query::default() };
    assert!(pool.pick(&query, 1).is_none());
    assert_eq!(pool.explain(&query, 1).excluded["http-ability"].count, 20);
}

#[test]
fn http_abilities_are_remembered_way_by_way() {
    use HttpWay::{Plain, Tunnel443, TunnelOther};
    let ability = HttpAbility::default().with(Plain, true).with(Tunnel443, false);
    assert_eq!([Plain, Tunnel443, TunnelOther].map(|way| ability.works_through(way)), [Some(true), Some(false), None]);
    assert_eq!(HttpAbility::from_byte(ability.byte()), ability);
    let newer = HttpAbility::default().with(Plain, false).with(TunnelOther, true);
    assert_eq!(newer.or(ability), newer.with(Tunnel443, false));
    for byte in 0..=u8::MAX {
        assert_eq!(HttpAbility::from_byte(HttpAbility::from_byte(byte).byte()), HttpAbility::from_byte(byte));
    }
    let unknown = HttpAbility::default();
    assert!(unknown.is_plain(80) && ability.is_plain(80) && !newer.is_plain(80));
    assert!(!unknown.with(TunnelOther, true).is_plain(80) && unknown.with(Tunnel443, true).is_plain(80));
}
