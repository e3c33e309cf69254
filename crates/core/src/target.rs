//! Where a connection goes: a host and a port.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use thiserror::Error;

/// Why a text is not a host or a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The host is empty.
    #[error("the host is empty")]
    EmptyHost,
    /// The host is neither an IP address nor a domain name that RFC 1035 and IDNA (UTS 46) allow.
    #[error("the host is neither an IP address nor a domain name")]
    BadHost,
    /// There is no port.
    #[error("the port is missing")]
    MissingPort,
    /// The port is not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    BadPort,
}

/// A domain name: lower case, ASCII (`xn--` where needed), at most 253 bytes, no final dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(Box<str>);

impl DomainName {
    /// Reads a name; other scripts are converted by IDNA (UTS 46).
    ///
    /// # Errors
    /// [`TargetError::EmptyHost`] or [`TargetError::BadHost`]: labels of 1 to 63 bytes of letters, digits, `-` and `_`
    /// are accepted (RFC 1035 plus the underscore met in practice).
    pub fn new(text: &str) -> Result<Self, TargetError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(TargetError::EmptyHost);
        }
        if text.len() > 1024 {
            return Err(TargetError::BadHost);
        }
        let ascii = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(text).map_err(|_| TargetError::BadHost)?
        };
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if ascii.len() > 253 || !ascii.split('.').all(label_ok) {
            return Err(TargetError::BadHost);
        }
        // "1.2.3" or "999.1.1.1" is a mistyped address, never a name: no top-level domain is all digits (RFC 3696 §2).
        let last = ascii.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|b| b.is_ascii_digit()) {
            return Err(TargetError::BadHost);
        }
        Ok(Self(ascii.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An IP address or a domain name. `Display` writes IPv6 without brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A name, looked up by whoever connects.
    Name(DomainName),
}

impl Host {
    /// Reads an address (IPv6 with or without brackets) or a name.
    ///
    /// # Errors
    /// See [`DomainName::new`].
    pub fn new(text: &str) -> Result<Self, TargetError> {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        if let Some(bare) = bare {
            let address: Ipv6Addr = bare.parse().map_err(|_| TargetError::BadHost)?;
            return Ok(Self::Ip(address.into()));
        }
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self::Ip(address)),
            Err(_) => DomainName::new(text).map(Self::Name),
        }
    }

    /// How far the host reaches; a name counts as public until it is looked up.
    #[must_use]
    pub fn reach(&self) -> Reach {
        match self {
            Self::Ip(address) => Reach::of(*address),
            Self::Name(name) if name.as_str() == "localhost" || name.as_str().ends_with(".localhost") => Reach::Private,
            Self::Name(_) => Reach::Public,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl FromStr for Host {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        Self::new(text)
    }
}

/// A host and a port from 1 to 65535. `Display` writes `host:port`, with IPv6 in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    host: Host,
    port: u16,
}

impl Target {
    /// Puts a host and a port together.
    ///
    /// # Errors
    /// [`TargetError::BadPort`] for port 0.
    pub fn new(host: Host, port: u16) -> Result<Self, TargetError> {
        if port == 0 {
            return Err(TargetError::BadPort);
        }
        Ok(Self { host, port })
    }

    /// Reads `host:port`; IPv6 needs brackets.
    ///
    /// # Errors
    /// [`TargetError`]: which part is wrong.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let (host, port) = text.rsplit_once(':').ok_or(TargetError::MissingPort)?;
        if host.contains(':') && !host.starts_with('[') {
            return Err(TargetError::BadHost);
        }
        let port = parse_port(port)?;
        Self::new(Host::new(host)?, port)
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The port, 1 to 65535.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

/// Reads a port: decimal digits only.
fn parse_port(text: &str) -> Result<u16, TargetError> {
    if text.is_empty() {
        return Err(TargetError::MissingPort);
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(TargetError::BadPort);
    }
    text.parse().map_err(|_| TargetError::BadPort)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        Self::parse(text)
    }
}

impl TryFrom<SocketAddr> for Target {
    type Error = TargetError;

    fn try_from(address: SocketAddr) -> Result<Self, TargetError> {
        Self::new(Host::Ip(address.ip()), address.port())
    }
}

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
    /// Sorts an address; an IPv4 address inside IPv6 (mapped, NAT64, 6to4) counts as the IPv4 address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        let private = match address {
            IpAddr::V4(v4) => private_v4(v4),
            IpAddr::V6(v6) => private_v6(v6),
        };
        if private { Self::Private } else { Self::Public }
    }
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
    if let Some(v4) = embedded_v4(address) {
        return private_v4(v4);
    }
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || (segments[0] & 0xfe00) == 0xfc00
        || (segments[0] & 0xffc0) == 0xfe80
        || (segments[0] & 0xffc0) == 0xfec0
        || (segments[0] == 0x2001 && segments[1] == 0xdb8)
        || segments[0] == 0x0100
}

/// The IPv4 address that an IPv6 address leads to: `::ffff:0:0/96`, `::/96`, `64:ff9b::/96` (RFC 6052), `2002::/16`.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if address.is_loopback() || address.is_unspecified() {
        return None;
    }
    let s = address.segments();
    let [.., a, b, c, d] = address.octets();
    let tail = Ipv4Addr::new(a, b, c, d);
    match s {
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(tail),
        [0x2002, high, low, ..] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}
