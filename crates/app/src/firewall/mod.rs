//! The packet filter that belongs to a configuration: which ports other machines may reach, written for nftables and for iptables.

mod iptables;
mod nft;
mod operator;
#[cfg(test)]
mod tests;

use std::{fmt, net::IpAddr, str::FromStr};

use clap::ValueEnum;

use crate::inherited_sockets::SocketProtocol;

pub(crate) use iptables::CHAIN;
pub(crate) use operator::ssh_port_of_session;

/// The range of ports from which Linux takes those of sockets that name none, unless it is told otherwise
/// (`net.ipv4.ip_local_port_range`). The sockets of UDP associations are among them.
const EPHEMERAL_PORTS: PortSpan = PortSpan { first: 32_768, last: 60_999 };

/// The types of ICMP that hosts need (RFC 4890 §4.4 says it of IPv6; those of IPv4 correspond).
const ICMP_TYPES: [&str; 4] = ["destination-unreachable", "time-exceeded", "parameter-problem", "echo-request"];

/// How the rules are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FirewallFormat {
    /// A file for `nft -f`, with a table of its own
    Nft,
    /// A shell script for iptables-restore and ip6tables-restore, with chains of its own
    Iptables,
}

/// Ports from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortSpan {
    pub(crate) first: u16,
    pub(crate) last: u16,
}

impl PortSpan {
    /// The ports as rules name them: the first one, or both ends with this between them.
    fn show(self, between: char) -> String {
        if self.first == self.last { self.first.to_string() } else { format!("{}{between}{}", self.first, self.last) }
    }
}

impl fmt::Display for PortSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show('-'))
    }
}

/// `8000` or `8000-8099`.
impl FromStr for PortSpan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(Self { first, last }),
            _ => Err(format!("{text:?} is no port and no range of ports, such as 8000 or 8000-8099")),
        }
    }
}

impl From<u16> for PortSpan {
    fn from(port: u16) -> Self {
        Self { first: port, last: port }
    }
}

/// A port of another program that stays open, as `--allow` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AllowedPort {
    /// `tcp` or `udp`.
    protocol: &'static str,
    ports: PortSpan,
}

/// `443`, `443/tcp`, `51820/udp` or `6000-6010/udp`.
impl FromStr for AllowedPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = match protocol {
            "tcp" => "tcp",
            "udp" => "udp",
            other => return Err(format!("{other:?} is no protocol; expected tcp or udp, such as 51820/udp")),
        };
        Ok(Self { protocol, ports: ports.parse()? })
    }
}

impl fmt::Display for AllowedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ports, self.protocol)
    }
}

/// Ports at which clients reach the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxyPorts {
    /// The name of the listener.
    pub(crate) listener: String,
    /// The address; an unspecified one stands for all addresses of its family, `::` for those of IPv4 too.
    pub(crate) address: IpAddr,
    pub(crate) ports: PortSpan,
    pub(crate) protocol: SocketProtocol,
}

/// How many new connections one address may open, as a token bucket. In IPv6, one /64 is an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionRate {
    pub(crate) per_second: u32,
    pub(crate) burst: u32,
}

/// What is let in from other machines. Everything else is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Firewall {
    pub(crate) ssh: Vec<u16>,
    pub(crate) allow: Vec<AllowedPort>,
    /// Only those on addresses that other machines reach.
    pub(crate) proxy: Vec<ProxyPorts>,
    pub(crate) rate: Option<ConnectionRate>,
}

impl Firewall {
    /// The rules as a file. The same firewall gives the same text.
    pub(crate) fn render(&self, format: FirewallFormat) -> String {
        match format {
            FirewallFormat::Nft => nft::render(self),
            FirewallFormat::Iptables => iptables::render(self),
        }
    }
}

/// The same rules without the one that drops everything else.
pub(crate) fn without_drop(format: FirewallFormat, rules: &str) -> String {
    match format {
        FirewallFormat::Nft => rules.replacen(nft::POLICY, "policy accept;", 1),
        FirewallFormat::Iptables => rules.replace(&format!("-A {CHAIN} {}\n", iptables::DROP_REST), ""),
    }
}

/// What takes the rules away again, where there are any.
pub(crate) const fn removal(format: FirewallFormat) -> &'static str {
    match format {
        FirewallFormat::Nft => nft::REMOVAL,
        FirewallFormat::Iptables => iptables::REMOVAL,
    }
}

/// The name of a listener as it may stand in a comment: names are any text, and the rules are read by root.
fn in_comment(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.chars().map(|c| if is_plain(c) { c } else { '?' }).collect()
}
