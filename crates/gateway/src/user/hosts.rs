//! Patterns for hosts, as access rules name them: `example.org`, `*.example.org`, `.example.org`, `192.0.2.0/24`, `*`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hezar_core::{
    Host, leads_to,
    settings::{Given, Optional, SettingValue},
};

/// The most patterns of one list.
const MOST_PATTERNS: usize = 1024;

/// A list of patterns for hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPatterns(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// `*`: every host.
    All,
    /// This name.
    Name(Box<str>),
    /// `*.name`: every name beneath this one.
    Beneath(Box<str>),
    /// `.name`: this name and every one beneath it.
    Suffix(Box<str>),
    /// Every address with this prefix (RFC 4632, RFC 4291 §2.3).
    Network { address: IpAddr, bits: u8 },
}

impl HostPatterns {
    /// Reads the patterns; `None` when one of them is none.
    #[must_use]
    pub fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let patterns: Vec<_> = texts.into_iter().map(Pattern::read).collect::<Option<_>>()?;
        (patterns.len() <= MOST_PATTERNS).then_some(Self(patterns))
    }

    /// Whether one of them fits a host.
    #[must_use]
    pub fn matches(&self, host: &Host) -> bool {
        self.0.iter().any(|pattern| pattern.matches(host))
    }
}

impl Pattern {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "*" {
            return Some(Self::All);
        }
        if let Some((address, bits)) = text.split_once('/') {
            let (address, bits): (IpAddr, u8) = (address.parse().ok()?, bits.parse().ok()?);
            let most = if address.is_ipv4() { 32 } else { 128 };
            return (bits <= most).then_some(Self::Network { address, bits });
        }
        if let Some(name) = text.strip_prefix("*.") {
            return Some(Self::Beneath(name_of(name)?));
        }
        if let Some(name) = text.strip_prefix('.') {
            return Some(Self::Suffix(name_of(name)?));
        }
        match Host::new(text).ok()? {
            Host::Ip(address) => Some(Self::Network { address, bits: if address.is_ipv4() { 32 } else { 128 } }),
            Host::Name(_) => Some(Self::Name(name_of(text)?)),
        }
    }

    fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::All, _) => true,
            (Self::Network { address, bits }, Host::Ip(ip)) => {
                // An IPv4 address that is written as an IPv6 one leads to the same place.
                shares_prefix(*address, *ip, *bits) || shares_prefix(*address, leads_to(*ip), *bits)
            }
            (Self::Name(name), Host::Name(_)) => fold(host) == **name,
            (Self::Beneath(name), Host::Name(_)) => is_beneath(&fold(host), name),
            (Self::Suffix(name), Host::Name(_)) => {
                let host = fold(host);
                host == **name || is_beneath(&host, name)
            }
            _ => false,
        }
    }

    fn show(&self) -> String {
        match self {
            Self::All => "*".to_owned(),
            Self::Name(name) => name.to_string(),
            Self::Beneath(name) => format!("*.{name}"),
            Self::Suffix(name) => format!(".{name}"),
            Self::Network { address, bits } if usize::from(*bits) == address_bits(*address) => address.to_string(),
            Self::Network { address, bits } => format!("{address}/{bits}"),
        }
    }
}

/// The name as hosts are compared: in lower case, without the dot of the root.
fn name_of(text: &str) -> Option<Box<str>> {
    match Host::new(text).ok()? {
        host @ Host::Name(_) => Some(fold(&host).into()),
        Host::Ip(_) => None,
    }
}

fn fold(host: &Host) -> String {
    let text = host.to_string().to_ascii_lowercase();
    text.strip_suffix('.').map_or_else(|| text.clone(), str::to_owned)
}

fn is_beneath(host: &str, name: &str) -> bool {
    host.strip_suffix(name).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
}

const fn address_bits(address: IpAddr) -> usize {
    if address.is_ipv4() { 32 } else { 128 }
}

fn shares_prefix(one: IpAddr, other: IpAddr, bits: u8) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            Ipv4Addr::to_bits(one) & mask == Ipv4Addr::to_bits(other) & mask
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            Ipv6Addr::to_bits(one) & mask == Ipv6Addr::to_bits(other) & mask
        }
        _ => false,
    }
}

impl SettingValue for HostPatterns {
    type Range = ();
    const JSON_TYPES: &'static [&'static str] = &["array"];

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let texts = Vec::<String>::parse(given, &())?;
        Self::read(texts.iter().map(String::as_str))
    }

    fn expected((): &()) -> String {
        "a list of hosts, such as [\"example.org\", \"*.example.org\", \".example.org\", \"192.0.2.0/24\"]".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::List(self.0.iter().map(|pattern| Given::Text(pattern.show())).collect()))
    }
}

impl Optional for HostPatterns {}
