//! Lists of nodes and exits by the network of the exit, and how long parts of the lists of a large pool take.

use std::{net::IpAddr, num::NonZeroU32, time::Instant};

use hezar_api::{ExitsQuery, NodesQuery};
use hezar_core::{Label, Listing, Record, Timestamp};
use hezar_pool::{Atlas, CityKey, PoolChange, Restored, Rules};

use super::*;
use crate::{
    api::{exits, nodes::dto},
    nodes::Nodes,
};

/// Nodes of the large pool; a debug build is some ten times slower.
const MANY: u32 = if cfg!(debug_assertions) { 10_000 } else { 100_000 };

/// The third byte of an address is the number of its autonomous system.
#[derive(Debug)]
struct ByThirdByte;

impl Atlas for ByThirdByte {
    fn asn(&self, ip: IpAddr) -> Option<NonZeroU32> {
        let IpAddr::V4(ip) = ip else { return None };
        NonZeroU32::new(ip.octets()[2].into())
    }

    fn city(&self, _: IpAddr) -> Option<CityKey> {
        None
    }

    fn knows_asn(&self) -> bool {
        true
    }

    fn knows_city(&self) -> bool {
        false
    }
}

/// A pool of nodes that differ in everything that lists are sorted and filtered by; three share an exit.
fn pool(count: u32) -> Nodes {
    let pool = Nodes::new(Rules::default());
    pool.set_atlas(Some(Arc::new(ByThirdByte)));
    let restored = |number: u32| {
        let scheme = if number.is_multiple_of(4) { "socks4" } else { "socks5" };
        let link = format!("{scheme}://11.{}.{}.{}:1080", number >> 16, number >> 8 & 255, number & 255);
        let (spec, _) = hezar_formats::parse_link(&link).unwrap();
        let mixed = number.wrapping_mul(0x9e37_79b9);
        let record = Record {
            state: if mixed.is_multiple_of(3) { State::Dead } else { State::Healthy },
            last_checked: Some(Timestamp(u64::from(mixed))),
            latency: Some(std::time::Duration::from_micros(u64::from(mixed % 1_000_000))),
            error_rate: (mixed % 100) as f32 / 100.0,
            exit_ip: Some(IpAddr::from((9 << 24 | (number / 3 * 256)).to_be_bytes())),
            country: Some(if mixed.is_multiple_of(2) { *b"DE" } else { *b"NL" }),
            ..Record::default()
        };
        let source = if mixed.is_multiple_of(5) { "small" } else { "large" };
        Restored {
            id: spec.id(),
            spec,
            label: Label::new(&format!("Node {mixed}")),
            sources: vec![Listing { source: source.into(), allow_private: false }],
            kept_from: None,
            record,
        }
    };
    pool.apply(PoolChange::Restore((0..count).map(restored).collect()), Timestamp(1));
    pool
}

fn nodes_of(pool: &Nodes, query: &NodesQuery) -> NodesPage {
    page(&pool.snapshot(), query, &HashMap::new(), |node| dto(pool, node)).unwrap()
}

#[test]
fn nodes_and_exits_are_found_by_the_network_of_the_exit() {
    let pool = pool(12);
    let found = nodes_of(&pool, &NodesQuery { asn: Some(2), ..NodesQuery::default() });
    assert_eq!(found.total, 3);
    assert!(found.nodes.iter().all(|node| node.asn == Some(2) && node.exit_ip.as_deref() == Some("9.0.2.0")));
    assert_eq!(nodes_of(&pool, &NodesQuery { asn: Some(7), ..NodesQuery::default() }).total, 0);
    assert_eq!(nodes_of(&pool, &NodesQuery { asn: Some(0), ..NodesQuery::default() }).total, 0, "none is known of 0");

    let exits = |asn| exits::page(&pool.snapshot(), &ExitsQuery { asn, ..ExitsQuery::default() }).unwrap();
    let found = exits(Some(3));
    assert_eq!((found.total, found.items[0].asn, found.items[0].nodes), (1, Some(3), 3));
    assert_eq!((exits(None).total, exits(Some(7)).total), (4, 0));
}

#[test]
fn parts_of_large_lists_say_how_long_they_take() {
    let pool = pool(MANY);
    let text = |text: &str| Some(text.to_owned());
    let mut queries: Vec<(String, NodesQuery)> = Vec::new();
    for order in ORDERS {
        for sort in [(*order).to_owned(), format!("-{order}")] {
            queries.push((format!("sort={sort}"), NodesQuery { sort: Some(sort), ..NodesQuery::default() }));
        }
    }
    for (name, query) in [
        ("state=healthy", NodesQuery { state: text("healthy"), ..NodesQuery::default() }),
        ("scheme=socks4", NodesQuery { scheme: text("socks4"), ..NodesQuery::default() }),
        ("source=small", NodesQuery { source: text("small"), ..NodesQuery::default() }),
        ("country=DE", NodesQuery { country: text("DE"), ..NodesQuery::default() }),
        ("asn=2", NodesQuery { asn: Some(2), ..NodesQuery::default() }),
        ("anonymity=elite", NodesQuery { anonymity: text("elite"), ..NodesQuery::default() }),
        ("tag=paid", NodesQuery { tag: text("paid"), ..NodesQuery::default() }),
        ("exit=9.0.2.0", NodesQuery { exit: text("9.0.2.0"), ..NodesQuery::default() }),
        ("search=node 7", NodesQuery { search: text("node 7"), ..NodesQuery::default() }),
        ("search=11.0.7", NodesQuery { search: text("11.0.7"), ..NodesQuery::default() }),
        ("offset=50000", NodesQuery { offset: Some(MANY as usize / 2), ..NodesQuery::default() }),
    ] {
        queries.push((name.to_owned(), NodesQuery { sort: text("best"), ..query }));
    }
    let mut worst = (std::time::Duration::ZERO, String::new());
    for (name, query) in queries {
        let begun = Instant::now();
        let first = nodes_of(&pool, &query);
        let took = begun.elapsed();
        let second = NodesQuery { cursor: first.next.clone(), ..query };
        let begun = Instant::now();
        let behind = second.cursor.is_some().then(|| nodes_of(&pool, &second).nodes.len());
        println!(
            "nodes?{name}: {took:.1?} for {} of {}, {:.1?} for the next part",
            first.nodes.len(),
            first.total,
            begun.elapsed()
        );
        assert_eq!(first.next.is_some(), behind.is_some_and(|nodes| nodes > 0), "{name}");
        worst = worst.max((took.max(begun.elapsed()), name));
    }
    for sort in ["ip", "-nodes", "healthy", "latency", "country"] {
        let query = ExitsQuery { sort: text(sort), ..ExitsQuery::default() };
        let begun = Instant::now();
        let exits = exits::page(&pool.snapshot(), &query).unwrap();
        println!("exits?sort={sort}: {:.1?} for {} of {}", begun.elapsed(), exits.items.len(), exits.total);
        worst = worst.max((begun.elapsed(), format!("exits by {sort}")));
    }
    println!("{MANY} nodes, the slowest part: {:.1?} ({})", worst.0, worst.1);
}
