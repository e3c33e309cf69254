//! Whatever happens to the pool, its parts agree with each other.

use std::collections::{HashMap, HashSet};

use proptest::{prelude::*, strategy::Strategy as Generator};

use super::*;
use crate::{Need, Record, ServerKey, SiteKey, Strategy};

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    List { source: u8, from: u32, count: u32, complete: bool, allow_private: bool },
    Drop { source: u8 },
    Restore { source: u8, from: u32, count: u32 },
    Remove { n: u32 },
    Report { n: u32, outcome: u8, country: u8 },
    Unsupported { n: u32 },
    Tick { hours: u64 },
}

fn event() -> impl Generator<Value = Event> {
    let node = 0..60_u32;
    prop_oneof![
        2 => (0..3_u8, node.clone(), 0..40_u32, any::<bool>(), any::<bool>()).prop_map(
            |(source, from, count, complete, allow_private)| Event::List { source, from, count, complete, allow_private }
        ),
        1 => (0..3_u8).prop_map(|source| Event::Drop { source }),
        1 => (0..3_u8, node.clone(), 0..60_u32)
            .prop_map(|(source, from, count)| Event::Restore { source, from, count }),
        1 => node.clone().prop_map(|n| Event::Remove { n }),
        20 => (node.clone(), 0..4_u8, 0..4_u8).prop_map(|(n, outcome, country)| Event::Report { n, outcome, country }),
        1 => node.prop_map(|n| Event::Unsupported { n }),
        1 => (0..80_u64).prop_map(|hours| Event::Tick { hours }),
    ]
}

fn source(number: u8) -> Arc<str> {
    format!("source {number}").into()
}

fn happen(pool: &TestPool, event: &Event, now: &mut u64, listed: &mut HashMap<u8, HashSet<u32>>) {
    *now += 1;
    let time = at(*now);
    match *event {
        Event::List { source: number, from, count, complete, allow_private } => {
            let nodes: Vec<_> = (from..from + count).map(|n| n % 60).collect();
            let set = listed.entry(number).or_default();
            if complete {
                set.clear();
            }
            set.extend(&nodes);
            let nodes = nodes.into_iter().map(|n| (spec(n), Label::default())).collect();
            pool.apply(PoolChange::List { source: source(number), allow_private, nodes, complete }, time);
        }
        Event::Drop { source: number } => {
            listed.remove(&number);
            pool.apply(PoolChange::DropSource(source(number)), time);
        }
        Event::Restore { source: number, from, count } => {
            let nodes: Vec<_> = (from..from + count).map(|n| n % 60).collect();
            listed.entry(number).or_default().extend(&nodes);
            let nodes = nodes.into_iter().map(|n| restoring::stored(n, &source(number))).collect();
            pool.apply(PoolChange::Restore(nodes), time);
        }
        Event::Remove { n } => {
            listed.values_mut().for_each(|set| {
                set.remove(&n);
            });
            pool.apply(PoolChange::Remove(vec![id(n)]), time);
        }
        Event::Report { n, outcome, country } => {
            let outcome = match outcome {
                0 => bad(Origin::Probe),
                1 => bad(Origin::Traffic),
                2 => ok(u64::from(n) + 1),
                _ => ok_in(u64::from(n) * 3 + 1, [b"DE", b"FR", b"US", b"NL"][usize::from(country)]),
            };
            pool.report(id(n), &outcome, time);
        }
        Event::Unsupported { n } => pool.mark_unsupported(id(n), "node-unsupported"),
        Event::Tick { hours } => {
            *now += hours * 3600;
            pool.tick(at(*now));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_parts_agree(events in prop::collection::vec(event(), 0..120)) {
        let (pool, mut now, mut listed) = (pool(), 0, HashMap::new());
        for event in &events {
            let before: HashSet<_> = pool.snapshot().nodes().map(|n| n.id()).collect();
            happen(&pool, event, &mut now, &mut listed);
            check(&pool);
            let after: HashSet<_> = pool.snapshot().nodes().map(|n| n.id()).collect();
            if !matches!(event, Event::Remove { .. } | Event::Tick { .. }) {
                prop_assert!(before.is_subset(&after), "only removal and forgetting lose nodes");
            }
        }
        for n in 0..60 {
            let sources: HashSet<_> = listed.iter().filter(|(_, s)| s.contains(&n)).map(|(s, _)| source(*s)).collect();
            let known = pool.node(id(n)).map(|node| node.sources()).unwrap_or_default();
            prop_assert_eq!(known.len(), sources.len(), "node {}", n);
            prop_assert!(known.iter().all(|listing| sources.contains(&listing.source)));
        }
        for (name, _, size) in pool.sources() {
            let model = listed.iter().find(|(number, _)| source(**number) == name).map_or(0, |(_, set)| set.len());
            prop_assert_eq!(size, model);
        }
    }

    #[test]
    fn a_pool_that_follows_another_one_is_the_same(events in prop::collection::vec(event(), 0..120)) {
        let (pool, follower, mut now, mut listed) = (pool(), pool(), 0, HashMap::new());
        let (changes, own) = (pool.watch(), follower.watch_own());
        for event in &events {
            happen(&pool, event, &mut now, &mut listed);
            adopting::follow(&pool, &changes, &follower, at(now));
            check(&follower);
        }
        prop_assert!(own.is_empty(), "what was taken over is no change of the follower's own");
        let ids = |pool: &TestPool| pool.snapshot().nodes().map(|node| node.id()).collect::<HashSet<_>>();
        prop_assert_eq!(ids(&pool), ids(&follower));
        for node in pool.snapshot().nodes() {
            let same = follower.node(node.id()).unwrap();
            // Each process finds out by itself what it can dial.
            prop_assert_eq!(same.record(), Record { unsupported: None, ..node.record() });
            prop_assert_eq!((same.label(), same.kept_from()), (node.label(), node.kept_from()));
            prop_assert_eq!(same.allow_private(), node.allow_private());
            let sources = |node: &Node<_>| node.sources().into_iter().map(|l| l.source).collect::<HashSet<_>>();
            prop_assert_eq!(sources(&same), sources(node));
        }
    }

    #[test]
    fn a_pick_fits_the_question(
        events in prop::collection::vec(event(), 40..120),
        excluded in prop::collection::hash_set(0..60_u32, 0..60),
        by_server in any::<bool>(),
        country in prop::option::of(Just(*b"DE")),
        session in prop::option::of((0..4_u64).prop_map(SessionKey)),
        rng in any::<u64>(),
    ) {
        let (pool, mut now, mut listed) = (pool(), 0, HashMap::new());
        let nodes: Vec<_> = excluded.iter().map(|n| id(*n)).collect();
        let servers: Vec<_> = excluded.iter().map(|n| ServerKey::from_host(spec(*n).server.host())).collect();
        for (index, event) in events.iter().enumerate() {
            happen(&pool, event, &mut now, &mut listed);
            let strategy = Strategy::ALL[index % Strategy::ALL.len()];
            let query = Query {
                need: Need::Anything,
                anonymity: None,
                asn: None,
                city: None,
                filter: None,
                strategy, country, session, onion_service: false, datagrams: rng & 4 == 0, site: Some(SiteKey(rng)), now: (rng & 1 == 0).then(|| at(now)), prefer_recent_success: rng & 2 == 0,
                expected_bytes: if rng & 8 == 0 { 1e7 } else { 0.0 },
                exclude_nodes: if by_server { &[] } else { &nodes },
                exclude_servers: if by_server { &servers } else { &[] },
            };
            let snapshot = pool.snapshot();
            let fits = |node: &Node<Arc<str>>| {
                node.routable() && !nodes.contains(&node.id()) && country.is_none_or(|c| node.country() == Some(c))
            };
            let any = snapshot.nodes().any(|node| fits(node));
            let lease = pool.pick(&query, rng.wrapping_add(index as u64));
            prop_assert_eq!(lease.is_some(), any, "a node is found exactly when there is one");
            if let Some(lease) = lease {
                prop_assert!(fits(&lease));
                prop_assert_eq!(lease.in_flight(), 1);
            }
            prop_assert!(snapshot.nodes().all(|node| node.in_flight() == 0));
        }
    }

    #[test]
    fn rotation_reaches_everyone(events in prop::collection::vec(event(), 20..80)) {
        let (pool, mut now, mut listed) = (pool(), 0, HashMap::new());
        events.iter().for_each(|event| happen(&pool, event, &mut now, &mut listed));
        let routable: HashSet<_> = pool.snapshot().routable().map(|n| n.id()).collect();
        for strategy in [Strategy::RoundRobin, Strategy::Random] {
            let reached: HashSet<_> = (0..4000).filter_map(|rng| picked(&pool, &query(strategy), rng)).collect();
            prop_assert_eq!(&reached, &routable, "{}", strategy);
        }
    }
}
