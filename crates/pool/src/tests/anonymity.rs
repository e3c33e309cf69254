//! What nodes give away, and who is left out for it.

use std::collections::HashSet;

use hezar_core::HttpProxy;

use super::*;
use crate::{Anonymity, Filter, HttpAbility, HttpWay, Need, Term};

/// HTTP proxies, of which the first three are known to be transparent, anonymous and elite, the fourth knows CONNECT alone,
/// and the last was never judged.
fn http_nodes() -> (TestPool, Vec<NodeId>) {
    let pool = pool();
    let http = |n: u32| {
        let proxy = HttpProxy { credentials: None, tls: None };
        NodeSpec::new(spec(n).server, Outbound::Http(proxy))
    };
    let specs: Vec<_> = (0..5).map(http).collect();
    let ids: Vec<_> = specs.iter().map(NodeSpec::id).collect();
    let nodes = specs.into_iter().map(|spec| (spec, Label::default())).collect();
    pool.apply(PoolChange::List { source: "h".into(), allow_private: false, nodes, complete: true }, at(0));
    ids.iter().for_each(|id| pool.report(*id, &ok(10), at(1)));
    let ability = HttpAbility::default().with(HttpWay::Plain, true);
    ids.iter().for_each(|id| pool.set_http_ability(*id, ability));
    for (id, level) in ids.iter().zip(Anonymity::ALL) {
        pool.set_anonymity(*id, level);
    }
    pool.set_http_ability(ids[3], HttpAbility::default().with(HttpWay::Plain, false).with(HttpWay::TunnelOther, true));
    (pool, ids)
}

fn all_picked(pool: &TestPool, query: &Query<'_>) -> HashSet<NodeId> {
    (0..200).filter_map(|rng| picked(pool, query, rng)).collect()
}

fn some(ids: &[NodeId], places: &[usize]) -> HashSet<NodeId> {
    places.iter().map(|place| ids[*place]).collect()
}

#[test]
fn a_level_is_a_minimum_and_the_unknown_may_be_the_least() {
    let (pool, ids) = http_nodes();
    let query = |anonymity| Query { anonymity, ..query(Strategy::Random) };
    assert_eq!(all_picked(&pool, &query(None)), some(&ids, &[0, 1, 2, 3, 4]));
    assert_eq!(all_picked(&pool, &query(Some(Anonymity::Transparent))), some(&ids, &[0, 1, 2, 3, 4]));
    assert_eq!(all_picked(&pool, &query(Some(Anonymity::Anonymous))), some(&ids, &[1, 2, 3]));
    assert_eq!(all_picked(&pool, &query(Some(Anonymity::Elite))), some(&ids, &[2, 3]), "a tunnel adds nothing");
    let told = pool.explain(&query(Some(Anonymity::Elite)), 9);
    assert_eq!(told.excluded["anonymity"].examples.iter().copied().collect::<HashSet<_>>(), some(&ids, &[0, 1, 4]));
    // Other protocols have nothing to add to.
    assert_eq!(healthy(1).node(id(0)).unwrap().anonymity(), Some(Anonymity::Elite));
}

#[test]
fn who_tells_our_address_carries_plain_requests_in_tunnels_alone() {
    let (pool, ids) = http_nodes();
    let plain =
        |allow_transparent| Query { need: Need::Plain { port: 80, allow_transparent }, ..query(Strategy::Random) };
    let others = [ids[1], ids[2], ids[3], ids[4]];
    assert_eq!(all_picked(&pool, &plain(true)), ids.iter().copied().collect());
    let ability = |id| pool.node(id).unwrap().http_ability();
    assert!(plain(true).need.is_absolute(ability(ids[0])) && !plain(false).need.is_absolute(ability(ids[0])));
    assert!(others[..2].iter().all(|id| plain(false).need.is_absolute(ability(*id))));
    // Nobody knows whether it tunnels: that may be tried.
    assert!(all_picked(&pool, &plain(false)).contains(&ids[0]));
    pool.set_http_ability(ids[0], ability(ids[0]).with(HttpWay::TunnelOther, false));
    assert_eq!(all_picked(&pool, &plain(false)), others.into());
    assert_eq!(pool.explain(&plain(false), 9).excluded["transparent"].examples, [ids[0]]);
    // Nothing is added to what a tunnel carries.
    let secure = Query { need: Need::Tunnel(443), ..query(Strategy::Random) };
    assert!(all_picked(&pool, &secure).contains(&ids[0]));
}

#[test]
fn a_filter_follows_what_is_learned() {
    let (pool, ids) = http_nodes();
    let filter = |term| Filter { term, max_latency: None, top: None };
    let elite = pool.add_filter(filter(Term::Anonymity(Some(Anonymity::Elite)))).unwrap();
    let unknown = pool.add_filter(filter(Term::Anonymity(None))).unwrap();
    let through = |id| all_picked(&pool, &Query { filter: Some(id), ..query(Strategy::RoundRobin) });
    assert_eq!((through(elite), through(unknown)), (some(&ids, &[2, 3]), some(&ids, &[4])));
    pool.set_anonymity(ids[4], Anonymity::Elite);
    pool.set_anonymity(ids[2], Anonymity::Transparent);
    assert_eq!((through(elite), through(unknown)), (some(&ids, &[3, 4]), HashSet::new()));
}

#[test]
fn what_a_node_gives_away_is_kept_beside_what_it_carries() {
    let (pool, ids) = http_nodes();
    let newer = HttpAbility::default().with(HttpWay::Plain, true).with(HttpWay::Tunnel443, true);
    pool.set_http_ability(ids[0], newer);
    let record = pool.node(ids[0]).unwrap().record();
    assert_eq!(record.http_ability, newer.with_anonymity(Anonymity::Transparent));
    assert_eq!(HttpAbility::from_byte(record.http_ability.byte()), record.http_ability);
    for level in Anonymity::ALL {
        let ability = newer.with_anonymity(level);
        assert_eq!((ability.anonymity(), ability.name()), (Some(level), newer.name()));
        assert_eq!(HttpAbility::default().or(ability), ability);
        assert_eq!(level.name().parse(), Ok(level));
    }
    assert!("none".parse::<Anonymity>().is_err());
}
