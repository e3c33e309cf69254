//! Exits as the API lists them: the known exit addresses of all nodes, each once.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

use hezar_api::{ApiError, ExitDto, ExitsPage, ExitsQuery};
use hezar_pool::{Country, Snapshot};

use super::{
    ApiBackend,
    connections::read_address,
    explain::country,
    nodes::read_country,
    parts::{Order, PartQuery, Place, SortValue, cut},
};
use crate::nodes::Payload;

/// Orders of the list.
const ORDERS: &[&str] = &["ip", "nodes", "healthy", "latency", "country"];
/// The most exits in one part.
const MOST: usize = 1000;

/// What is known of one exit.
#[derive(Clone, Copy, Debug, Default)]
struct Exit {
    country: Option<Country>,
    asn: Option<NonZeroU32>,
    nodes: usize,
    healthy: usize,
    latency: Option<Duration>,
}

/// A network, as `203.0.113.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    first: IpAddr,
    bits: u8,
}

impl Network {
    fn read(text: &str) -> Result<Self, ApiError> {
        let wrong = || ApiError::BadRequest(format!("{text:?} is not a network such as 203.0.113.0/24"));
        let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
        let (address, bits): (IpAddr, u8) = (address.parse().map_err(|_| wrong())?, bits.parse().map_err(|_| wrong())?);
        let most = if address.is_ipv4() { 32 } else { 128 };
        if bits > most { Err(wrong()) } else { Ok(Self::around(address, bits)) }
    }

    /// The network of this size in which an address lies.
    fn around(address: IpAddr, bits: u8) -> Self {
        let first = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        };
        Self { first, bits }
    }

    fn holds(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && Self::around(address, self.bits) == self
    }
}

impl ApiBackend {
    pub(crate) fn exits_page(&self, query: &ExitsQuery) -> Result<ExitsPage, ApiError> {
        page(&self.pool.snapshot(), query)
    }

    pub(crate) fn one_exit(&self, ip: &str) -> Result<Option<ExitDto>, ApiError> {
        let ip = read_address(ip)?;
        Ok(exits(&self.pool.snapshot()).get(&ip).map(|exit| dto(ip, exit)))
    }
}

/// One part of the exits that fit.
pub(super) fn page(snapshot: &Snapshot<Payload>, query: &ExitsQuery) -> Result<ExitsPage, ApiError> {
    let order = Order::read(query.sort.as_deref(), ORDERS)?;
    let country = query.country.as_deref().map(read_country).transpose()?;
    let network = query.network.as_deref().map(Network::read).transpose()?;
    let fits = |ip: IpAddr, exit: &Exit| {
        country.is_none_or(|country| exit.country == Some(country))
            && query.asn.is_none_or(|asn| exit.asn.is_some_and(|known| known.get() == asn))
            && network.is_none_or(|network| network.holds(ip))
            && query.search.as_deref().is_none_or(|text| ip.to_string().starts_with(text))
    };
    let entries = exits(snapshot)
        .into_iter()
        .filter(|(ip, exit)| fits(*ip, exit))
        .map(|(ip, exit)| (Place { value: value(order, &exit), id: ip }, (ip, exit)));
    let limit = query.limit.unwrap_or(100).clamp(1, MOST);
    let part = cut(entries, &PartQuery { order, cursor: query.cursor.as_deref(), skip: 0, limit })?;
    let items = part.items.into_iter().map(|(ip, exit)| dto(ip, &exit)).collect();
    Ok(ExitsPage { total: part.total, items, next: part.next })
}

/// The known exits of all nodes.
fn exits(snapshot: &Snapshot<Payload>) -> HashMap<IpAddr, Exit, ahash::RandomState> {
    // It is asked once for each node: growing and a slow hash would take most of the time.
    let mut exits: HashMap<IpAddr, Exit, _> = HashMap::with_capacity_and_hasher(snapshot.exits(), Default::default());
    for node in snapshot.nodes() {
        let Some(ip) = node.exit_ip() else { continue };
        let exit = exits.entry(ip).or_default();
        exit.nodes += 1;
        exit.country = exit.country.or_else(|| node.country());
        exit.asn = exit.asn.or_else(|| node.asn());
        if node.routable() {
            exit.healthy += 1;
            exit.latency = [exit.latency, node.latency()].into_iter().flatten().min();
        }
    }
    exits
}

fn value(order: Order, exit: &Exit) -> Option<SortValue> {
    match order.name {
        "nodes" => Some(SortValue::Number(exit.nodes as u64)),
        "healthy" => Some(SortValue::Number(exit.healthy as u64)),
        "latency" => exit.latency.map(|latency| SortValue::Number(micros(latency))),
        "country" => exit.country.map(|letters| SortValue::Text(country(letters))),
        // The id is the address.
        _ => None,
    }
}

/// Whole microseconds of a latency.
pub(super) fn micros(latency: Duration) -> u64 {
    u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)
}

fn dto(ip: IpAddr, exit: &Exit) -> ExitDto {
    let network = Network::around(ip, if ip.is_ipv4() { 24 } else { 48 });
    ExitDto {
        ip: ip.to_string(),
        country: exit.country.map(country),
        asn: exit.asn.map(NonZeroU32::get),
        network: format!("{}/{}", network.first, network.bits),
        nodes: exit.nodes,
        healthy: exit.healthy,
        latency_ms: exit.latency.map(|latency| micros(latency) / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        for (network, inside, outside) in [
            ("203.0.113.0/24", "203.0.113.255", "203.0.114.0"),
            ("203.0.113.77/24", "203.0.113.1", "2001:db8::1"),
            ("0.0.0.0/0", "198.51.100.1", "::"),
            ("203.0.113.7/32", "203.0.113.7", "203.0.113.8"),
            ("2001:db8:1::/48", "2001:db8:1:ffff::1", "2001:db8:2::1"),
            ("::/0", "2001:db8::1", "203.0.113.7"),
        ] {
            let network = Network::read(network).unwrap();
            assert!(network.holds(address(inside)) && !network.holds(address(outside)), "{network:?}");
        }
        for bad in ["", "203.0.113.0", "203.0.113.0/33", "::/129", "x/8", "203.0.113.0/-1", "203.0.113.0/"] {
            assert!(matches!(Network::read(bad), Err(ApiError::BadRequest(_))), "{bad}");
        }
    }
}
