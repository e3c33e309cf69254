//! Where nearly nothing fits, what fits is found, all of it gets a share, and what fits no longer is not chosen.

use std::collections::HashSet;

use super::*;
use crate::{Filter, SiteKey, SiteVerdict, Term};

/// Strategies that scan when draws find nothing.
const SCANNING: [Strategy; 5] =
    [Strategy::Smart, Strategy::RoundRobin, Strategy::Random, Strategy::LeastConnections, Strategy::Fastest];
/// Nodes without datagrams, and the three behind them that carry them.
const STREAMS: u32 = 6000;

fn socks(n: u32, version: SocksVersion) -> NodeSpec {
    NodeSpec::new(spec(n).server, Outbound::Socks(SocksProxy { version, credentials: None, tls: None }))
}

fn carrier(n: u32) -> NodeSpec {
    socks(STREAMS + n, SocksVersion::V5)
}

fn few_carriers() -> TestPool {
    let pool = pool();
    let streams = (0..STREAMS).map(|n| socks(n, SocksVersion::V4a));
    let all: Vec<_> = streams.chain((0..3).map(carrier)).collect();
    let nodes = all.iter().map(|spec| (spec.clone(), Label::default())).collect();
    pool.apply(PoolChange::List { source: "s".into(), allow_private: false, nodes, complete: true }, at(0));
    all.iter().for_each(|spec| pool.report(spec.id(), &ok(10), at(1)));
    pool
}

fn picks(pool: &TestPool, query: &Query<'_>) -> HashSet<NodeId> {
    (0..300).filter_map(|rng| picked(pool, query, rng)).collect()
}

#[test]
fn the_few_that_fit_share_the_requests() {
    let pool = few_carriers();
    let carriers: HashSet<_> = (0..3).map(|n| carrier(n).id()).collect();
    for strategy in SCANNING {
        assert_eq!(picks(&pool, &Query { datagrams: true, ..query(strategy) }), carriers, "{strategy}");
    }
}

#[test]
fn what_has_left_or_belongs_elsewhere_is_not_chosen() {
    let pool = few_carriers();
    let query = Query { datagrams: true, ..Query::default() };
    assert_eq!(picks(&pool, &query).len(), 3);
    pool.apply(PoolChange::Remove(vec![carrier(0).id()]), at(2));
    for _ in 0..3 {
        pool.report(carrier(1).id(), &bad(Origin::Probe), at(2));
    }
    assert_eq!(picks(&pool, &query), HashSet::from([carrier(2).id()]));
    let tried = [carrier(2).id()];
    assert_eq!(picked(&pool, &Query { exclude_nodes: &tried, ..query }, 1), None);
    // One that comes is found without a walk over all by somebody, sooner or later.
    pool.report(carrier(1).id(), &ok(10), at(3));
    let found: HashSet<_> = (0..3000).filter_map(|rng| picked(&pool, &query, rng)).collect();
    assert_eq!(found, HashSet::from([carrier(1).id(), carrier(2).id()]));
}

#[test]
fn a_filter_has_its_own_few() {
    let pool = few_carriers();
    let streams = Filter { term: Term::Scheme(vec!["socks4".into()]), max_latency: None, top: None };
    let filter = pool.add_filter(streams).unwrap();
    let query = Query { datagrams: true, ..Query::default() };
    assert_eq!(picks(&pool, &query).len(), 3);
    assert_eq!(picked(&pool, &Query { filter: Some(filter), ..query }, 1), None);
}

#[test]
fn the_only_node_serves_though_it_rests_or_its_site_refuses_it() {
    let pool = few_carriers();
    let site = SiteKey::from_name("example.test");
    for n in 0..3 {
        pool.report(carrier(n).id(), &bad(Origin::Traffic), at(2));
        pool.report_site(carrier(n).id(), site, SiteVerdict::Blocked, at(2));
    }
    let query = Query { datagrams: true, now: Some(at(2)), site: Some(site), ..Query::default() };
    for rng in 0..50 {
        assert!(picked(&pool, &query, rng).is_some(), "resting and refused is better than none");
    }
}

#[test]
fn onion_services_are_reached_by_tor_circuits_alone() {
    let pool = pool();
    let onion = Query { onion_service: true, ..Query::default() };
    let nodes: Vec<_> = [socks(1, SocksVersion::V5), socks(2, SocksVersion::Tor), socks(3, SocksVersion::V4a)].into();
    let listed = nodes.iter().take(1).map(|spec| (spec.clone(), Label::default())).collect();
    pool.apply(PoolChange::List { source: "s".into(), allow_private: false, nodes: listed, complete: true }, at(0));
    pool.report(nodes[0].id(), &ok(10), at(1));
    assert_eq!(picked(&pool, &onion, 1), None);
    let listed = nodes.iter().map(|spec| (spec.clone(), Label::default())).collect();
    pool.apply(PoolChange::List { source: "s".into(), allow_private: false, nodes: listed, complete: true }, at(2));
    nodes.iter().for_each(|spec| pool.report(spec.id(), &ok(10), at(3)));
    assert_eq!(picks(&pool, &onion), HashSet::from([nodes[1].id()]));
    // A circuit carries no datagrams.
    let datagrams = picks(&pool, &Query { datagrams: true, ..Query::default() });
    assert_eq!(datagrams, HashSet::from([nodes[0].id()]));
}
