//! How far an address reaches, also when it leads to another one: IPv4 inside IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address reaches: a node on a private one is refused unless its source allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// An address on the public Internet.
    Public,
    /// Loopback, private, link-local, shared (RFC 6598), unspecified, multicast, documentation or otherwise reserved
    /// (the IANA special-purpose address registries).
    Private,
}

impl Reach {
    /// Sorts an address; an IPv6 address that leads to a private IPv4 address, see [`leads_to`], is private.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        let private = match address {
            IpAddr::V4(v4) => private_v4(v4),
            // The server of a Teredo address is contacted too.
            IpAddr::V6(v6) => {
                private_v6(v6) || [embedded_v4(v6), teredo_server(v6)].into_iter().flatten().any(private_v4)
            }
        };
        if private { Self::Private } else { Self::Public }
    }
}

/// The address at which packets to `address` arrive: the IPv4 address inside an IPv6 address that is mapped
/// (`::ffff:0:0/96`), translated (`::ffff:0:0:0/96`, RFC 7915), compatible (`::/96`, RFC 4291), of NAT64
/// (`64:ff9b::/96`, RFC 6052), 6to4 (`2002::/16`, RFC 3056), Teredo (`2001::/32`, RFC 4380) or ISATAP (RFC 5214); else
/// the address itself.
#[must_use]
pub fn leads_to(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    embedded_v4(v6).map_or(address, IpAddr::V4)
}

fn private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
}

fn private_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || (segments[0] & 0xfe00) == 0xfc00
        || (segments[0] & 0xffc0) == 0xfe80
        || (segments[0] & 0xffc0) == 0xfec0
        || (segments[0] == 0x2001 && segments[1] == 0xdb8)
        // Benchmarks and ORCHID, which is no address to connect to.
        || (segments[0] == 0x2001 && segments[1] == 2 && segments[2] == 0)
        || (segments[0] == 0x2001 && matches!(segments[1] & 0xfff0, 0x10 | 0x20))
        || (segments[0] == 0x3fff && segments[1] < 0x1000)
        || segments[0] == 0x0100
        || segments[0] == 0x5f00
        // NAT64 of the local network (RFC 8215): only that network knows where it leads.
        || segments[..3] == [0x64, 0xff9b, 1]
}

fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if address.is_loopback() || address.is_unspecified() {
        return None;
    }
    let s = address.segments();
    match s {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..]
        // ISATAP: the same interface identifier under any prefix.
        | [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(v4(high, low)),
        [0x2001, 0, .., high, low] => Some(v4(!high, !low)),
        _ => None,
    }
}

fn teredo_server(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x2001, 0, high, low, ..] = address.segments() else { return None };
    Some(v4(high, low))
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}
