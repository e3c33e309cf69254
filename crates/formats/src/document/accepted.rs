//! Which settings mihomo and sing-box accept, as trials with the programs show; a single wrong one makes them refuse the whole configuration.

use std::{collections::HashSet, net::IpAddr};

use hezar_core::{ClashKind, NodeSpec, Outbound, Plugin, Shadowsocks, TransportKind, WireGuard};

use crate::{clash_only, field};

/// Methods that mihomo speaks and sing-box does not.
const CLASH_METHODS: &[&str] = &[
    "aes-128-ccm",
    "aes-192-ccm",
    "aes-256-ccm",
    "aes-128-gcm-siv",
    "aes-256-gcm-siv",
    "chacha20",
    "chacha8-ietf-poly1305",
    "xchacha8-ietf-poly1305",
];

/// Whether mihomo takes the method and its keys.
pub(super) fn clash_method_ok(shadowsocks: &Shadowsocks) -> bool {
    CLASH_METHODS.contains(&shadowsocks.method.as_ref()) || method_ok(shadowsocks)
}

/// Methods that both mihomo and sing-box speak.
const METHODS: &[&str] = &[
    "2022-blake3-aes-128-gcm",
    "2022-blake3-aes-256-gcm",
    "2022-blake3-chacha20-poly1305",
    "aes-128-cfb",
    "aes-128-ctr",
    "aes-128-gcm",
    "aes-192-cfb",
    "aes-192-ctr",
    "aes-192-gcm",
    "aes-256-cfb",
    "aes-256-ctr",
    "aes-256-gcm",
    "chacha20-ietf",
    "chacha20-ietf-poly1305",
    "none",
    "rc4-md5",
    "xchacha20",
    "xchacha20-ietf-poly1305",
];

/// Whether the clients take the method, and for 2022 methods the keys (SIP022: base64 of exactly the key's length): a
/// single wrong one makes them refuse the whole configuration.
pub(super) fn method_ok(shadowsocks: &Shadowsocks) -> bool {
    let method = shadowsocks.method.as_ref();
    let length = match method {
        "2022-blake3-aes-128-gcm" => 16,
        "2022-blake3-aes-256-gcm" | "2022-blake3-chacha20-poly1305" => 32,
        _ => return METHODS.contains(&method),
    };
    let mut keys = shadowsocks.password.expose().split(':');
    let many_ok = method.contains("-aes-") || !shadowsocks.password.expose().contains(':');
    many_ok && keys.all(|key| key.len().is_multiple_of(4) && strict_base64(key).is_some_and(|key| key.len() == length))
}

/// Whether the clients take the addresses and the MTU: at least 68 bytes for IPv4 (RFC 791), 1280 for IPv6 (RFC 8200, section 5).
pub(super) fn tunnel_ok(node: &WireGuard) -> bool {
    let has_v6 = node.addresses.iter().any(|address| address.contains(':'));
    let least = if has_v6 { 1280 } else { 68 };
    node.addresses.iter().all(|address| is_host(address)) && node.mtu.is_none_or(|mtu| mtu >= least)
}

/// Whether an address in CIDR notation can be that of a host: neither unspecified nor multicast nor a broadcast (RFC 1122, section 3.2.1.3).
fn is_host(cidr: &str) -> bool {
    let Some((address, length)) = cidr.split_once('/') else { return false };
    let (Ok(address), Ok(length)) = (address.parse::<IpAddr>(), length.parse::<u32>()) else { return false };
    let is_broadcast = match address {
        IpAddr::V4(address) => {
            address.is_broadcast() || (length < 31 && address.to_bits().trailing_ones() >= 32 - length)
        }
        IpAddr::V6(_) => false,
    };
    !address.is_unspecified() && !address.is_multicast() && !is_broadcast
}

/// Whether it is known without a trial that a client takes the keys, certificates and addresses that a node brings. A wrong one makes it refuse the
/// whole configuration.
pub(super) fn keys_ok(spec: &NodeSpec) -> bool {
    match &spec.outbound {
        Outbound::Ssh(ssh) => {
            ssh.private_key.is_none()
                && ssh.host_keys.iter().all(|key| key.starts_with("ssh-ed25519 ") && key.len() == 80)
        }
        // It is a message that the core decodes.
        Outbound::Mieru(mieru) => mieru.traffic_pattern.is_none(),
        Outbound::ClashOnly(node) if node.kind == ClashKind::AmneziaWg => {
            let addresses = clash_only::addresses(node);
            clash_only::is_certain(node) && !addresses.is_empty() && addresses.iter().all(|address| is_host(address))
        }
        Outbound::ClashOnly(node) => clash_only::is_certain(node),
        _ => true,
    }
}

/// Base64 as the clients read it: standard alphabet with padding.
fn strict_base64(text: &str) -> Option<Vec<u8>> {
    let foreign = text.contains(['-', '_', ' ', '\n']);
    if foreign { None } else { field::base64_bytes(text) }
}

/// Whether both clients take the plugin's options.
pub(super) fn plugin_ok(plugin: &Plugin) -> bool {
    if required_options(&plugin.name).iter().any(|name| plugin.option(name).is_none()) {
        return false;
    }
    plugin.options.iter().all(|(name, value)| match (plugin.name.as_ref(), name.as_ref(), value.as_ref()) {
        ("obfs-local", "obfs", "http" | "tls") | ("obfs-local", "obfs-host", _) => true,
        ("v2ray-plugin", "mode", "websocket") | ("v2ray-plugin", "tls", "") => true,
        ("v2ray-plugin", "mux", "0" | "1") | ("v2ray-plugin", "host" | "path", _) => !value.is_empty(),
        ("shadow-tls", "version", version) => matches!(version, "1" | "2" | "3"),
        ("shadow-tls", "host" | "password", _) => !value.is_empty(),
        ("shadow-tls", "alpn", _) => value.split(',').all(|name| !name.is_empty()),
        ("shadow-tls", "skip-cert-verify", "") => true,
        ("restls", "host" | "password", _) => !value.is_empty(),
        ("restls", "version-hint", hint) => matches!(hint, "tls12" | "tls13"),
        ("restls", "restls-script", script) => script.split(',').all(restls_line_ok),
        ("gost-plugin", "mode", "websocket") | ("gost-plugin", "tls" | "skip-cert-verify", "") => true,
        ("gost-plugin", "mux", "0" | "1") | ("gost-plugin", "host" | "path", _) => !value.is_empty(),
        ("gost-plugin", "fingerprint", _) => field::pins(value).len() == 1,
        ("kcptun", "key" | "crypt" | "mode", _) => !value.is_empty(),
        ("kcptun", "nocomp" | "acknodelay", "") => true,
        ("kcptun", "nocomp" | "acknodelay", _) => false,
        ("kcptun", name, number) => {
            number.parse::<u32>().is_ok_and(|parsed| parsed.to_string() == number && parsed <= kcptun_most(name))
        }
        _ => false,
    })
}

/// The largest number that a node may give to an option of kcptun. The client makes room for so many connections, and for so many shards; for
/// the largest numbers that it can read it would need more memory than there is, and end.
fn kcptun_most(option: &str) -> u32 {
    match option {
        "conn" => 64,
        "datashard" | "parityshard" => 255,
        "mtu" | "sndwnd" | "rcvwnd" | "framesize" => 65_535,
        "sockbuf" | "smuxbuf" | "streambuf" => 64 << 20,
        _ => u32::MAX,
    }
}

/// The options that the clients ask for with this plugin.
fn required_options(plugin: &str) -> &'static [&'static str] {
    match plugin {
        "shadow-tls" => &["host"],
        "restls" => &["host", "password", "version-hint"],
        _ => &[],
    }
}

/// Whether a text is one line of a restls script: a length, perhaps with a random part and a number of answers to wait for, such as
/// `300?100<1`.
fn restls_line_ok(line: &str) -> bool {
    let number = |text: &str| text.parse::<u16>().is_ok();
    let (length, answers) = line.split_once('<').map_or((line, None), |(length, answers)| (length, Some(answers)));
    let (fixed, random) = length.split_once(['?', '~']).map_or((length, None), |(fixed, random)| (fixed, Some(random)));
    number(fixed) && random.is_none_or(number) && answers.is_none_or(number)
}

/// Whether a text is an ECHConfigList in base64, which begins with its own length (RFC 9849 §4).
pub(super) fn ech_ok(text: &str) -> bool {
    let Some(bytes) = strict_base64(text) else { return false };
    let Some(([high, low], rest)) = bytes.split_first_chunk::<2>().map(|(length, rest)| (*length, rest)) else {
        return false;
    };
    text.len().is_multiple_of(4) && rest.len() > 4 && usize::from(u16::from_be_bytes([high, low])) == rest.len()
}

/// Whether no header's name occurs twice or is Host: maps cannot say that.
pub(super) fn headers_ok(headers: &[(Box<str>, Box<str>)]) -> bool {
    let mut names = HashSet::new();
    headers.iter().all(|(name, _)| {
        let name = name.to_ascii_lowercase();
        name != "host" && !name.is_empty() && names.insert(name)
    })
}

/// Whether a path's percent signs all begin an escape; the clients refuse others.
pub(super) fn path_ok(path: &str) -> bool {
    let hex_pair = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    path.split('%').skip(1).all(hex_pair) && !path.contains(char::is_control)
}

/// The carriers that neither client has words for, whatever the protocol.
pub(super) const fn is_foreign(transport: TransportKind) -> bool {
    matches!(transport, TransportKind::Kcp | TransportKind::Quic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_cannot_make_kcptun_take_all_memory() {
        let takes = |name: &str, value: &str| {
            plugin_ok(&Plugin { name: "kcptun".into(), options: vec![(name.into(), value.into())] })
        };
        assert!(takes("conn", "4") && takes("smuxbuf", "4194304") && takes("keepalive", "10"));
        for (name, value) in [("conn", "4294967295"), ("conn", "65"), ("datashard", "256"), ("smuxbuf", "67108865")] {
            assert!(!takes(name, value), "{name}={value}");
        }
    }
}
