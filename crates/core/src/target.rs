//! Where a connection goes: a host and a port.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use ecow::EcoString;
use thiserror::Error;

use crate::Reach;

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
pub struct DomainName(EcoString);

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

    /// The host as a URL or a Host header has it: IPv6 in brackets.
    #[must_use]
    pub fn bracketed(&self) -> String {
        match self {
            Self::Ip(IpAddr::V6(address)) => format!("[{address}]"),
            host => host.to_string(),
        }
    }

    /// How far the host reaches; a name counts as public until it is looked up.
    #[must_use]
    pub fn reach(&self) -> Reach {
        match self {
            Self::Ip(address) => Reach::of_address(*address),
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
