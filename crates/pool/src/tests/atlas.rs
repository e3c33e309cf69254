//! Exits are chosen by network and by city where a database knows them.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc};

use super::*;
use crate::{Atlas, CityKey};

/// The third byte of an address is its network; even ones are in Berlin.
#[derive(Debug)]
struct ByThirdByte;

fn third_byte(ip: IpAddr) -> Option<u8> {
    match ip {
        IpAddr::V4(ip) => Some(ip.octets()[2]),
        IpAddr::V6(_) => None,
    }
}

impl Atlas for ByThirdByte {
    fn asn(&self, ip: IpAddr) -> Option<NonZeroU32> {
        NonZeroU32::new(third_byte(ip)?.into())
    }

    fn city(&self, ip: IpAddr) -> Option<CityKey> {
        CityKey::from_name(if third_byte(ip)? % 2 == 0 { "Berlin" } else { "Frankfurt am Main" })
    }

    fn knows_asn(&self) -> bool {
        true
    }

    fn knows_city(&self) -> bool {
        true
    }
}

fn come_out(pool: &TestPool, count: u32) {
    for n in 0..count {
        let exit = Some(Exit { ip: [9, 0, n as u8, 1].into(), country: None });
        let success = Success { latency: Duration::from_millis(50), exit };
        pool.report(id(n), &Outcome { origin: Origin::Probe, result: Ok(success) }, at(1));
    }
}

#[test]
fn exits_are_chosen_by_network_and_city() {
    let pool = pool();
    pool.apply(listing("s", 0..8), at(0));
    pool.set_atlas(Some(Arc::new(ByThirdByte)));
    come_out(&pool, 8);
    let pick = |asn, city: Option<&str>| {
        let city = city.and_then(CityKey::from_name);
        let query = Query { asn: NonZeroU32::new(asn), city, ..query(Strategy::Random) };
        (0..64).filter_map(|rng| picked(&pool, &query, rng)).collect::<HashSet<_>>()
    };
    assert_eq!(pick(3, None), [id(3)].into());
    assert_eq!(pick(0, Some("frankfurt_AM-main")), [id(1), id(3), id(5), id(7)].into());
    assert_eq!((pick(3, Some("berlin")).len(), pick(99, None).len(), pick(0, None).len()), (0, 0, 8));
    let asked = Query { asn: NonZeroU32::new(3), ..query(Strategy::Random) };
    assert_eq!(pool.explain(&asked, 10).excluded["asn"].count, 7);
    let asked = Query { city: CityKey::from_name("Berlin"), ..query(Strategy::Random) };
    assert_eq!(pool.explain(&asked, 10).excluded["city"].count, 4);
}

#[test]
fn a_session_stays_in_the_network_that_is_asked_for() {
    let pool = pool();
    pool.apply(listing("s", 0..8), at(0));
    come_out(&pool, 8);
    pool.set_atlas(Some(Arc::new(ByThirdByte)));
    let session = Some(SessionKey(7));
    let first = picked(&pool, &Query { session, ..query(Strategy::Random) }, 0).unwrap();
    let asn = pool.node(first).unwrap().asn();
    assert_eq!(picked(&pool, &Query { session, asn, ..query(Strategy::Random) }, 1), Some(first));
    let other = NonZeroU32::new(asn.map_or(1, |asn| asn.get() % 7 + 1));
    let there = picked(&pool, &Query { session, asn: other, ..query(Strategy::Random) }, 1).unwrap();
    assert_eq!(pool.node(there).unwrap().asn(), other);
    pool.set_atlas(None);
    assert!(!pool.knows_asn() && !pool.knows_city());
}

#[test]
fn names_of_cities_are_compared_by_their_letters() {
    let key = CityKey::from_name;
    assert_eq!(key("São Paulo"), key("são-paulo"));
    assert_eq!(key("NewYork"), key("New York"));
    assert_ne!(key("York"), key("New York"));
    assert_eq!((key(""), key(" -")), (None, None));
}
