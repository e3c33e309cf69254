//! The rules for nftables: a table of its own in the family `inet`, which holds for IPv4 and IPv6.

use std::{fmt::Write as _, net::IpAddr};

use super::{EPHEMERAL_PORTS, Firewall, ICMP_TYPES, ProxyPorts, in_comment};
use crate::inherited_sockets::SocketProtocol;

/// Deletes the table. The first line makes it where it is missing, so that the second never fails.
pub(super) const REMOVAL: &str = "table inet hezar\ndelete table inet hezar\n";

/// What happens to all that no rule lets in.
pub(super) const POLICY: &str = "policy drop;";

const HEAD: &str = "\
#!/usr/sbin/nft -f
# What other machines may reach, written by `hezar firewall print`. Other tables stay as they are.
# `nft -f` replaces the table as a whole or not at all. `hezar firewall remove` takes it away.

table inet hezar
delete table inet hezar

table inet hezar {
";

/// Neighbour discovery and multicast listeners, without which IPv6 does not work (RFC 4861, RFC 2710, RFC 3810).
const ICMPV6_TYPES: [&str; 9] = [
    "packet-too-big",
    "nd-router-solicit",
    "nd-router-advert",
    "nd-neighbor-solicit",
    "nd-neighbor-advert",
    "mld-listener-query",
    "mld-listener-report",
    "mld-listener-done",
    "mld2-listener-report",
];

pub(super) fn render(firewall: &Firewall) -> String {
    let mut text = HEAD.to_owned();
    if !firewall.proxy.is_empty() {
        sets(&mut text, firewall);
    }
    text.push_str("\tchain input {\n");
    for rule in input(firewall) {
        let _ = writeln!(text, "\t\t{rule}");
    }
    text.push_str("\t}\n");
    if !firewall.proxy.is_empty() {
        text.push_str("\n\tchain proxy {\n");
        for rule in proxy(firewall) {
            let _ = writeln!(text, "\t\t{rule}");
        }
        text.push_str("\t}\n");
    }
    text.push_str("}\n");
    text
}

/// Bounded sets of addresses: an address that finds no place is let in without being counted.
fn sets(text: &mut String, firewall: &Firewall) {
    let mut set = |name: &str, kind: &str, timeout: &str| {
        let _ = write!(
            text,
            "\tset {name} {{\n\t\ttype {kind}\n\t\tsize 65535\n\t\tflags dynamic,timeout\n\t\ttimeout {timeout}\n\t}}\n\n"
        );
    };
    if firewall.rate.is_some() {
        set("new4", "ipv4_addr", "1m");
        set("new6", "ipv6_addr", "1m");
    }
    set("clients4", "ipv4_addr", "1h");
    set("clients6", "ipv6_addr", "1h");
}

fn input(firewall: &Firewall) -> Vec<String> {
    let icmp6 = [&ICMP_TYPES[..], &ICMPV6_TYPES].concat().join(", ");
    let mut rules = vec![
        format!("type filter hook input priority filter; {POLICY}"),
        "iif \"lo\" accept".to_owned(),
        "ct state vmap { established : accept, related : accept, invalid : drop }".to_owned(),
        format!("icmp type {{ {} }} accept", ICMP_TYPES.join(", ")),
        format!("icmpv6 type {{ {icmp6} }} accept"),
        "ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept # DHCPv6".to_owned(),
    ];
    rules.extend(firewall.ssh.iter().map(|port| format!("tcp dport {port} accept # SSH")));
    rules.extend(firewall.allow.iter().map(|open| format!("{} dport {} accept", open.protocol, open.ports.show('-'))));
    rules.extend(firewall.proxy.iter().map(|open| {
        let (destination, protocol, ports) = (destination(open), open.protocol.name(), open.ports.show('-'));
        // Whoever sends a packet may have put any address on it, so that counting addresses would limit others.
        let verdict = if open.protocol == SocketProtocol::Udp { "accept" } else { "jump proxy" };
        format!("{destination}{protocol} dport {ports} {verdict} # {}", in_comment(&open.listener))
    }));
    if !firewall.proxy.is_empty() {
        let ports = EPHEMERAL_PORTS.show('-');
        rules.push(
            "# The sockets of UDP associations, for addresses that have connected to the proxy in the last hour."
                .to_owned(),
        );
        rules.push(format!("udp dport {ports} ip saddr @clients4 accept"));
        rules.push(format!("udp dport {ports} ip6 saddr @clients6 accept"));
    }
    rules
}

/// New connections to the proxy.
fn proxy(firewall: &Firewall) -> Vec<String> {
    let mut rules = Vec::new();
    if let Some(rate) = firewall.rate {
        let limit = format!("limit rate over {}/second burst {} packets", rate.per_second, rate.burst);
        rules.push(format!("update @new4 {{ ip saddr {limit} }} counter drop"));
        rules.push(format!("update @new6 {{ ip6 saddr & ffff:ffff:ffff:ffff:: {limit} }} counter drop"));
    }
    rules.extend(["update @clients4 { ip saddr }", "update @clients6 { ip6 saddr }", "accept"].map(str::to_owned));
    rules
}

/// The match of a listener's address, with a space behind it.
fn destination(open: &ProxyPorts) -> String {
    match open.address.to_canonical() {
        IpAddr::V4(all) if all.is_unspecified() => "meta nfproto ipv4 ".to_owned(),
        IpAddr::V6(all) if all.is_unspecified() => String::new(),
        IpAddr::V4(address) => format!("ip daddr {address} "),
        IpAddr::V6(address) => format!("ip6 daddr {address} "),
    }
}
