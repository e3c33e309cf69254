//! Keys: 64-bit hashes that name a site, a session, an exit, a network, a server or a target in tables.
//!
//! A key is the first 64 bits of BLAKE3 over its parts, so it is the same in every build and on every machine, and nobody
//! finds a name that collides with another one's. The parts are written without the standard library's `Hash`, whose
//! bytes may change with its version:
//!
//! ```text
//!   text      its UTF-8 bytes, then ff, which no UTF-8 text holds
//!   number    8 bytes, little-endian
//!   address   16 bytes in network order; IPv4 as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2)
//! ```

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU64,
};

use crate::{Country, Host, Target};

/// The first 64 bits of BLAKE3 over bytes, read as a little-endian number.
#[must_use]
pub fn hash64(bytes: &[u8]) -> u64 {
    first_64_bits(blake3::Hasher::new().update(bytes))
}

/// Hashes the parts of a key, one after the other.
#[derive(Clone, Default)]
pub struct KeyHasher(blake3::Hasher);

impl KeyHasher {
    /// A hasher that has read nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.0.update(text.as_bytes()).update(&[0xff]);
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    /// Adds an address; an IPv4 address and its IPv4-mapped form are the same.
    #[must_use]
    pub fn address(mut self, ip: IpAddr) -> Self {
        let mapped = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        self.0.update(&mapped.octets());
        self
    }

    /// Adds a host.
    #[must_use]
    pub fn host(self, host: &Host) -> Self {
        match host {
            Host::Name(name) => self.text(name.as_str()),
            Host::Ip(ip) => self.text("").address(*ip),
        }
    }

    /// The hash of all parts.
    #[must_use]
    pub fn finish(&self) -> u64 {
        first_64_bits(&self.0)
    }

    /// The hash of all parts, for keys that are never 0.
    fn finish_nonzero(&self) -> NonZeroU64 {
        NonZeroU64::MIN | self.finish()
    }
}

fn first_64_bits(hasher: &blake3::Hasher) -> u64 {
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_le_bytes(first)
}

/// Names a site: all hosts of one owner, as the gateway groups them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteKey(pub u64);

impl SiteKey {
    /// The key of the site with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self(KeyHasher::new().text(name).finish())
    }
}

/// Names the requests that share an exit: those of a session, of a user or of a client address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub u64);

impl SessionKey {
    /// The key of the same session for requests to one country, or to anywhere: it has an exit in each.
    #[must_use]
    pub fn in_country(self, country: Option<Country>) -> Self {
        let hasher = KeyHasher::new().number(self.0);
        Self(match country {
            Some([a, b]) => hasher.number(u64::from(u16::from_be_bytes([a, b]))).finish(),
            None => hasher.finish(),
        })
    }
}

/// Names a server host: nodes on one machine share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerKey(pub u64);

impl ServerKey {
    /// The key of the server at this host.
    #[must_use]
    pub fn from_host(host: &Host) -> Self {
        Self(KeyHasher::new().host(host).finish())
    }
}

/// Names an exit, the address from which a node's traffic leaves; never 0, so that it can be kept in an atomic number
/// where 0 says that no exit is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExitKey(NonZeroU64);

impl ExitKey {
    /// The key of an exit address.
    #[must_use]
    pub fn from_ip(ip: IpAddr) -> Self {
        Self(KeyHasher::new().address(ip).finish_nonzero())
    }

    /// The key of the exit that is assumed while only the server is known.
    #[must_use]
    pub const fn from_server(server: ServerKey) -> Self {
        match NonZeroU64::new(server.0 | 1) {
            Some(key) => Self(key),
            None => Self(NonZeroU64::MIN),
        }
    }

    /// The key with this number; `None` for 0.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(key) => Some(Self(key)),
            None => None,
        }
    }

    /// The key as a number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0.get()
    }
}

/// Names the network of an exit: the /24 or the /48 around it, what one subscriber or one rack usually gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkKey(pub u64);

impl NetworkKey {
    /// The key of the network around an address.
    #[must_use]
    pub fn from_ip(ip: IpAddr) -> Self {
        let network = match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                IpAddr::V4(Ipv4Addr::new(a, b, c, 0))
            }
            IpAddr::V6(ip) => {
                let [a, b, c, ..] = ip.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
            }
        };
        Self(KeyHasher::new().text("network").address(network).finish())
    }

    /// The key that is assumed while only the server is known: its nodes are a network of their own.
    #[must_use]
    pub const fn from_server(server: ServerKey) -> Self {
        Self(server.0)
    }
}

/// Names a target: a host and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetKey(pub u64);

impl TargetKey {
    /// The key of a target.
    #[must_use]
    pub fn from_target(target: &Target) -> Self {
        Self(KeyHasher::new().host(target.host()).number(u64::from(target.port())).finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        Host::new(text).unwrap()
    }

    #[test]
    fn keys_are_the_same_in_every_build_and_on_every_machine() {
        let ip: IpAddr = [192, 0, 2, 1].into();
        let session = SessionKey(0x0123_4567_89ab_cdef);
        let keys = [
            SiteKey::from_name("example.com").0,
            session.in_country(None).0,
            session.in_country(Some(*b"DE")).0,
            ServerKey::from_host(&host("example.com")).0,
            ServerKey::from_host(&host("2001:db8::1")).0,
            ExitKey::from_ip(ip).number(),
            NetworkKey::from_ip(ip).0,
            TargetKey::from_target(&Target::new(host("example.com"), 443).unwrap()).0,
        ];
        let golden = [
            0xbd46_4486_f2dd_be74,
            0x56e4_4607_8535_eb02,
            0x7bad_a76c_8e4d_f72e,
            0xbd46_4486_f2dd_be74,
            0x1643_4438_21e3_cf23,
            0xa610_752a_d04f_9613,
            0x89a5_964a_9575_f8d2,
            0xe7fb_0fb8_90c9_8c80,
        ];
        assert_eq!(keys, golden, "{keys:#018x?}");
    }

    #[test]
    fn parts_are_written_as_documented_and_hashed_by_blake3() {
        let first = |bytes: &[u8]| u64::from_le_bytes(blake3::hash(bytes).as_bytes()[..8].try_into().unwrap());
        let hasher = KeyHasher::new().text("ab").number(0x0102).address([1, 2, 3, 4].into());
        let written = b"ab\xff\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04";
        assert_eq!(hasher.finish(), first(written));
        assert_eq!(hash64(b"page"), first(b"page"));
        assert_eq!(SiteKey::from_name("example.com").0, first(b"example.com\xff"));
    }

    #[test]
    fn what_differs_has_another_key_and_what_is_the_same_has_not() {
        assert_ne!(KeyHasher::new().text("ab").text("c").finish(), KeyHasher::new().text("a").text("bc").finish());
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        assert_eq!(ExitKey::from_ip(mapped), ExitKey::from_ip([192, 0, 2, 7].into()));
        assert_eq!(NetworkKey::from_ip(mapped), NetworkKey::from_ip([192, 0, 2, 200].into()));
        assert_ne!(NetworkKey::from_ip(mapped), NetworkKey::from_ip([192, 0, 3, 7].into()));
        let (near, far): (IpAddr, IpAddr) = ("2001:db8:1:2::1".parse().unwrap(), "2001:db8:2::1".parse().unwrap());
        assert_eq!(NetworkKey::from_ip(near), NetworkKey::from_ip("2001:db8:1::".parse().unwrap()));
        assert_ne!(NetworkKey::from_ip(near), NetworkKey::from_ip(far));
        let server = |text| ServerKey::from_host(&host(text));
        assert_eq!(server("Example.COM"), server("example.com"));
        assert_ne!(server("192.0.2.1"), server("192.0.2.2"));
        assert_eq!(ExitKey::from_server(ServerKey(0)).number(), 1, "an exit's key is never 0");
        assert_eq!(ExitKey::from_number(0), None);
        let key = ExitKey::from_ip(near);
        assert_eq!(ExitKey::from_number(key.number()), Some(key));
    }
}
