//! The pool's tests, and the nodes they are made with.

mod adopting;
mod annotations;
mod anonymity;
mod atlas;
mod bounds;
mod circuits;
mod exits;
mod hearsay;
mod laws;
mod listing;
mod parts;
mod rare;
mod restoring;
mod runtime;
mod servers;
mod smart;
mod states;
mod strategies;
mod threads;
mod watching;

use std::{collections::HashSet, sync::Arc, time::Duration};

use hezar_core::{
    Fault, KeyHasher, Label, NodeId, NodeSpec, Outbound, SocksProxy, SocksVersion, Stage, Target, Timestamp,
};

use crate::{
    Counts, Exit, Lease, Node, Origin, Outcome, Pool, PoolChange, Query, Rules, SessionKey, State, Strategy, Success,
};

/// The payload of a test node.
pub(super) type TestPool = Pool<Arc<str>>;

pub(super) fn pool() -> TestPool {
    Pool::new(Rules::default())
}

/// Node `n`, on a server of its own.
pub(super) fn spec(n: u32) -> NodeSpec {
    spec_on(n, 1080)
}

pub(super) fn spec_on(server: u32, port: u16) -> NodeSpec {
    let [_, b, c, d] = server.to_be_bytes();
    let socks = SocksProxy { version: SocksVersion::V5, credentials: None, tls: None };
    NodeSpec::new(Target::parse(&format!("11.{b}.{c}.{d}:{port}")).unwrap(), Outbound::Socks(socks))
}

pub(super) fn id(n: u32) -> NodeId {
    spec(n).id()
}

/// The key of the session with this name.
pub(super) fn session_key(name: &str) -> SessionKey {
    SessionKey(KeyHasher::new().text(name).finish())
}

pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp(1_000_000 + seconds * 1000)
}

pub(super) fn listing(source: &str, nodes: impl IntoIterator<Item = u32>) -> PoolChange {
    PoolChange::List {
        source: source.into(),
        allow_private: false,
        nodes: nodes.into_iter().map(|n| (spec(n), Label::new(&format!("node {n}")))).collect(),
        complete: true,
    }
}

pub(super) fn ok(ms: u64) -> Outcome {
    Outcome::success(Origin::Probe, Duration::from_millis(ms))
}

pub(super) fn ok_in(ms: u64, country: &[u8; 2]) -> Outcome {
    let exit = Some(Exit { ip: [9, 9, 9, 9].into(), country: Some(*country) });
    Outcome { origin: Origin::Probe, result: Ok(Success { latency: Duration::from_millis(ms), exit }) }
}

pub(super) fn bad(origin: Origin) -> Outcome {
    Outcome::failure(origin, Fault::Node, Stage::Connect, "refused")
}

/// A pool of `count` healthy nodes with latencies of 10 ms, 20 ms, …
pub(super) fn healthy(count: u32) -> TestPool {
    let pool = pool();
    pool.apply(listing("s", 0..count), at(0));
    for n in 0..count {
        pool.report(id(n), &ok(10 * u64::from(n + 1)), at(1));
    }
    pool
}

pub(super) fn query(strategy: Strategy) -> Query<'static> {
    Query { strategy, ..Query::default() }
}

pub(super) fn picked(pool: &TestPool, query: &Query<'_>, rng: u64) -> Option<NodeId> {
    pool.pick(query, rng).map(|lease: Lease<_>| lease.id())
}

/// Checks what must hold at any quiet moment.
pub(super) fn check(pool: &TestPool) {
    let snapshot = pool.snapshot();
    let mut counts = Counts::default();
    let mut routable = Vec::new();
    for node in snapshot.nodes() {
        *counts.class_mut(node.class()) += 1;
        assert!(!node.gone());
        assert!(Arc::ptr_eq(node, &pool.node(node.id()).unwrap()));
        if node.routable() {
            routable.push(node.id());
        }
    }
    assert_eq!(counts, snapshot.counts());
    assert_eq!(counts.total(), snapshot.nodes().count());
    routable.sort();
    let mut view: Vec<_> = snapshot.routable().map(|node| node.id()).collect();
    view.sort();
    assert_eq!(routable, view);
    let mut by_country: Vec<_> = snapshot.nodes().filter(|n| n.routable()).filter_map(|n| n.country()).collect();
    by_country.sort();
    let sizes: Vec<_> = snapshot.countries().flat_map(|(country, size)| vec![country; size]).collect();
    assert_eq!(by_country, sizes);
    for (country, size) in snapshot.countries() {
        assert_eq!(snapshot.routable_in(country).count(), size);
        assert!(snapshot.routable_in(country).all(|n: &Arc<Node<_>>| n.country() == Some(country)));
    }
    let exits: HashSet<_> = snapshot.nodes().filter(|node| node.routable()).map(|node| node.exit()).collect();
    assert_eq!(snapshot.exits(), exits.len());
    for strategy in Strategy::ALL {
        let lease = pool.pick(&query(strategy), 7);
        assert_eq!(lease.is_some(), !routable.is_empty(), "{strategy}");
        assert!(lease.is_none_or(|lease| lease.routable()));
    }
    assert!(snapshot.nodes().all(|node| node.in_flight() == 0));
}

/// Makes a node dead by probes.
pub(super) fn kill(pool: &TestPool, n: u32, seconds: u64) {
    for _ in 0..3 {
        pool.report(id(n), &bad(Origin::Probe), at(seconds));
    }
    assert_eq!(pool.node(id(n)).unwrap().state(), State::Dead);
}
