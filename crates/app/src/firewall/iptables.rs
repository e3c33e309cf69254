//! The rules for iptables: a shell script that gives chains of its own to iptables-restore and ip6tables-restore.

use std::{fmt::Write as _, net::IpAddr};

use super::{EPHEMERAL_PORTS, Firewall, ICMP_TYPES, ProxyPorts, in_comment};
use crate::inherited_sockets::SocketProtocol;

/// The chain that what comes in passes first.
pub(crate) const CHAIN: &str = "HEZAR-INPUT";

/// What happens to all that no rule lets in.
pub(super) const DROP_REST: &str = "-j DROP";

/// Takes the chains away, where they are.
pub(super) const REMOVAL: &str = r#"set -eu
for iptables in iptables ip6tables; do
    command -v "$iptables" > /dev/null || continue
    "$iptables" --numeric --list HEZAR-INPUT > /dev/null 2>&1 || continue
    while "$iptables" --delete INPUT --jump HEZAR-INPUT 2> /dev/null; do :; done
    for chain in HEZAR-INPUT HEZAR-PROXY; do "$iptables" --flush "$chain"; done
    for chain in HEZAR-INPUT HEZAR-PROXY; do "$iptables" --delete-chain "$chain"; done
done
"#;

const HEAD: &str = r#"#!/bin/sh
# What other machines may reach, written by `hezar firewall print --format iptables`. Other chains stay as they are.
# The rules of each family are replaced as a whole or not at all. `hezar firewall remove` takes them away.
# (nftables remembers more clients than the 100 of iptables' "recent" and is the better choice where it is there.)
set -eu

"#;

const TAIL: &str = r#"
apply() {
    printf '%s\n' "$2" | "$1-restore" --noflush --test
    printf '%s\n' "$2" | "$1-restore" --noflush
    "$1" --check INPUT --jump HEZAR-INPUT 2> /dev/null || "$1" --insert INPUT 1 --jump HEZAR-INPUT
}

# IPv6 first: it may be missing, and must not be what fails after IPv4 has been closed.
if [ -e /proc/net/if_inet6 ]; then apply ip6tables "$RULES6"; fi
apply iptables "$RULES4"
"#;

/// The types of ICMPv6 besides [`ICMP_TYPES`]: neighbour discovery and multicast listeners (RFC 4861, RFC 2710, RFC 3810).
const ICMPV6_TYPES: [&str; 9] = ["packet-too-big", "133", "134", "135", "136", "130", "131", "132", "143"];

/// One of the two families, which have tools of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    /// What ends the names of its tables of addresses.
    const fn digit(self) -> char {
        match self {
            Self::V4 => '4',
            Self::V6 => '6',
        }
    }
}

pub(super) fn render(firewall: &Firewall) -> String {
    let mut text = HEAD.to_owned();
    for family in [Family::V4, Family::V6] {
        let _ = write!(text, "RULES{}='*filter\n:HEZAR-INPUT - [0:0]\n:HEZAR-PROXY - [0:0]\n", family.digit());
        for rule in input(firewall, family) {
            let _ = writeln!(text, "-A HEZAR-INPUT {rule}");
        }
        for rule in proxy(firewall, family) {
            let _ = writeln!(text, "-A HEZAR-PROXY {rule}");
        }
        text.push_str("COMMIT'\n");
    }
    text.push_str(TAIL);
    text
}

fn input(firewall: &Firewall, family: Family) -> Vec<String> {
    let mut rules = vec![
        "-i lo -j ACCEPT".to_owned(),
        "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT".to_owned(),
        "-m conntrack --ctstate INVALID -j DROP".to_owned(),
    ];
    match family {
        Family::V4 => rules.extend(ICMP_TYPES.map(|kind| format!("-p icmp --icmp-type {kind} -j ACCEPT"))),
        Family::V6 => {
            let types = ICMP_TYPES.iter().chain(&ICMPV6_TYPES);
            rules.extend(types.map(|kind| format!("-p icmpv6 --icmpv6-type {kind} -j ACCEPT")));
            rules.push("-s fe80::/10 -p udp --sport 547 --dport 546 -j ACCEPT".to_owned());
        }
    }
    rules.extend(firewall.ssh.iter().map(|port| format!("-p tcp --dport {port} -j ACCEPT")));
    let allowed = firewall.allow.iter();
    rules.extend(allowed.map(|open| format!("-p {} --dport {} -j ACCEPT", open.protocol, open.ports.show(':'))));
    let proxy = firewall.proxy.iter().filter_map(|open| proxy_rule(open, family)).collect::<Vec<_>>();
    if !proxy.is_empty() {
        rules.extend(proxy);
        let ports = EPHEMERAL_PORTS.show(':');
        let recent = format!("-m recent --rcheck --seconds 3600 --name hezar{}", family.digit());
        rules.push(format!("-p udp --dport {ports} {recent} -j ACCEPT"));
    }
    rules.push(DROP_REST.to_owned());
    rules
}

/// The rule that leads to a listener; `None` where the family does not reach it.
fn proxy_rule(open: &ProxyPorts, family: Family) -> Option<String> {
    let destination = match (open.address.to_canonical(), family) {
        (IpAddr::V6(all), _) if all.is_unspecified() => String::new(),
        (IpAddr::V4(all), Family::V4) if all.is_unspecified() => String::new(),
        (IpAddr::V4(address), Family::V4) => format!("-d {address} "),
        (IpAddr::V6(address), Family::V6) => format!("-d {address} "),
        _ => return None,
    };
    let (ports, listener) = (open.ports.show(':'), in_comment(&open.listener));
    let protocol = open.protocol.name();
    // Whoever sends a packet may have put any address on it, so that counting addresses would limit others.
    let verdict = if open.protocol == SocketProtocol::Udp { "ACCEPT" } else { "HEZAR-PROXY" };
    Some(format!("{destination}-p {protocol} --dport {ports} -m comment --comment {listener} -j {verdict}"))
}

/// New connections to the proxy. The table of addresses that the limit keeps is bounded.
fn proxy(firewall: &Firewall, family: Family) -> Vec<String> {
    let digit = family.digit();
    let mut rules = Vec::new();
    if let Some(rate) = firewall.rate.filter(|_| !firewall.proxy.is_empty()) {
        let mask = if family == Family::V6 { " --hashlimit-srcmask 64" } else { "" };
        rules.push(format!(
            "-m hashlimit --hashlimit-name hezar{digit} --hashlimit-mode srcip{mask} --hashlimit-above {}/second \
             --hashlimit-burst {} --hashlimit-htable-max 65536 --hashlimit-htable-expire 60000 -j DROP",
            rate.per_second, rate.burst
        ));
    }
    if !firewall.proxy.is_empty() {
        rules.push(format!("-m recent --set --name hezar{digit}"));
    }
    rules.push("-j ACCEPT".to_owned());
    rules
}
