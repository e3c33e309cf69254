//! Networks of IP addresses, as settings name them: `192.0.2.0/24`, `2001:db8::/32`, one address, or `private`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use super::{Given, Optional, SettingValue};

/// The word that stands for [`PRIVATE`].
const PRIVATE_WORD: &str = "private";

/// The most networks of one list.
const MOST_NETWORKS: usize = 1024;

/// What `private` stands for: loopback, link-local and private addresses (RFC 1122 §3.2.1.3, RFC 3927, RFC 1918, RFC 4291, RFC 4193).
const PRIVATE: [Network; 8] = [
    Network::v4([127, 0, 0, 0], 8),
    Network::v4([10, 0, 0, 0], 8),
    Network::v4([172, 16, 0, 0], 12),
    Network::v4([192, 168, 0, 0], 16),
    Network::v4([169, 254, 0, 0], 16),
    Network { address: IpAddr::V6(Ipv6Addr::LOCALHOST), bits: 128 },
    Network::v6(0xfc00, 7),
    Network::v6(0xfe80, 10),
];

/// The addresses that an overlay network or a provider's own network has (RFC 6598): not in `private`, because a provider's customers
/// may share them.
const SHARED: Network = Network::v4([100, 64, 0, 0], 10);

/// All addresses with a common prefix (RFC 4632, RFC 4291 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// That a text names no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a network, such as 192.0.2.0/24, or an address")]
pub struct NotANetwork;

impl Network {
    const fn v4(octets: [u8; 4], bits: u8) -> Self {
        let [a, b, c, d] = octets;
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    const fn v6(first: u16, bits: u8) -> Self {
        Self { address: IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0)), bits }
    }

    /// Whether an address lies in it. An address of the other family never does.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                one.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                one.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }

    /// Whether every address of `other` lies in it.
    fn includes(&self, other: &Self) -> bool {
        self.bits <= other.bits && self.contains(other.address)
    }

    /// Address and length of the prefix, also for a single address: `192.0.2.7/32`.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("{}/{}", self.address, self.bits)
    }

    const fn longest(address: IpAddr) -> u8 {
        if address.is_ipv4() { 32 } else { 128 }
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self { address, bits: Self::longest(address) }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let Some((address, bits)) = text.split_once('/') else {
            return text.parse::<IpAddr>().map(Self::from).map_err(|_| NotANetwork);
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let bits: u8 = bits.parse().map_err(|_| NotANetwork)?;
        if bits <= Self::longest(address) { Ok(Self { address, bits }) } else { Err(NotANetwork) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == Self::longest(self.address) {
            return self.address.fmt(f);
        }
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// A list of networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Entry>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Private,
    Network(Network),
}

impl Networks {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address lies in one of them; an IPv4 address may be written as an IPv6 one (RFC 4291 §2.5.5.2).
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|entry| match entry {
            Entry::Private => PRIVATE.iter().any(|network| network.contains(ip)),
            Entry::Network(network) => network.contains(ip),
        })
    }

    /// Each network; `private` is given as the networks that it stands for.
    pub fn iter(&self) -> impl Iterator<Item = Network> + '_ {
        self.0
            .iter()
            .flat_map(|entry| match entry {
                Entry::Private => &PRIVATE[..],
                Entry::Network(network) => std::slice::from_ref(network),
            })
            .copied()
    }

    /// Whether no address of the public internet lies in them.
    #[must_use]
    pub fn are_private(&self) -> bool {
        let private = |network: &Network| PRIVATE.iter().chain([&SHARED]).any(|known| known.includes(network));
        self.0.iter().all(|entry| match entry {
            Entry::Private => true,
            Entry::Network(network) => private(network),
        })
    }
}

impl Entry {
    fn read(text: &str) -> Option<Self> {
        match text.trim() {
            PRIVATE_WORD => Some(Self::Private),
            text => text.parse().ok().map(Self::Network),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Private => PRIVATE_WORD.to_owned(),
            Self::Network(network) => network.to_string(),
        }
    }
}

impl SettingValue for Networks {
    type Range = ();
    const JSON_TYPES: &'static [&'static str] = &["array"];

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let texts = Vec::<String>::parse(given, &())?;
        let entries: Vec<Entry> = texts.iter().map(|text| Entry::read(text)).collect::<Option<_>>()?;
        (entries.len() <= MOST_NETWORKS).then_some(Self(entries))
    }

    fn expected((): &()) -> String {
        "a list of networks, such as [\"private\", \"192.0.2.0/24\", \"2001:db8::/32\"]".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::List(self.0.iter().map(|entry| Given::Text(entry.show())).collect()))
    }
}

impl Optional for Networks {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(texts: &[&str]) -> Option<Networks> {
        Networks::parse(&Given::List(texts.iter().map(|text| Given::Text((*text).to_owned())).collect()), &())
    }

    fn has(networks: &Networks, ip: &str) -> bool {
        networks.contains(ip.parse().unwrap())
    }

    #[test]
    fn networks_are_prefixes_addresses_and_the_word_private() {
        let networks = read(&["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"]).unwrap();
        for inside in ["192.0.2.255", "::ffff:192.0.2.1", "2001:db8:ffff::1", "198.51.100.7"] {
            assert!(has(&networks, inside), "{inside}");
        }
        for outside in ["192.0.3.0", "2001:db9::", "198.51.100.8", "::192.0.2.1"] {
            assert!(!has(&networks, outside), "{outside}");
        }
        assert_eq!(networks.write().and_then(|given| Networks::parse(&given, &())), Some(networks));
        let all = read(&["0.0.0.0/0", "::/0"]).unwrap();
        assert!(has(&all, "203.0.113.1") && has(&all, "2001:db8::1"));
        for wrong in
            ["", "192.0.2.0/33", "::/129", "192.0.2/24", "example.org", "192.0.2.0/", "Private", "192.0.2.0/-1"]
        {
            assert_eq!(read(&[wrong]), None, "{wrong}");
        }
    }

    #[test]
    fn only_lists_without_public_addresses_are_private() {
        for private in [&["private"][..], &["10.1.0.0/16", "fd00::/8"], &["192.168.1.4"], &["100.64.0.0/10"], &[]] {
            assert!(read(private).unwrap().are_private(), "{private:?}");
        }
        for public in ["0.0.0.0/0", "::/0", "10.0.0.0/7", "172.0.0.0/8", "203.0.113.1", "fe00::/7", "::/127"] {
            assert!(!read(&["private", public]).unwrap().are_private(), "{public}");
        }
        let private = read(&["private"]).unwrap();
        for inside in ["127.0.0.1", "172.17.0.1", "172.31.255.255", "192.168.65.1", "::1", "fd00::1", "fe80::1"] {
            assert!(has(&private, inside), "{inside}");
        }
        for outside in ["100.64.0.1", "172.32.0.1", "8.8.8.8", "2001:db8::1", "0.0.0.0", "::"] {
            assert!(!has(&private, outside), "{outside}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(bits in any::<u32>(), length in 0..=32_u8) {
            let network = Network { address: Ipv4Addr::from_bits(bits).into(), bits: length };
            prop_assert_eq!(network.to_string().parse(), Ok(network));
            prop_assert!(network.contains(network.address));
        }
    }
}
