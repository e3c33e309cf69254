//! Writes nodes as a `proxies` list that mihomo accepts.

use std::net::IpAddr;

use hezar_core::{
    Credentials, Hysteria, Hysteria2, HysteriaTransport, Label, NodeSpec, Obfs2, Outbound, Secret, ShadowsocksR,
    SocksVersion, Tls, TuicUser, UdpRelayMode, WireGuard,
};

use super::{
    super::{
        accepted::{clash_method_ok, ech_ok, keys_ok, plugin_ok, tunnel_ok},
        write::{
            Chains, FASTEST_GROUP, Named, Names, SELECT_GROUP, TEST_INTERVAL, TEST_URL, Unwritable, Written, portable,
        },
    },
    plugin, rare, read, stream,
};
use crate::{
    clash_only, field,
    tree::{MapBuilder, Tree},
};

/// Names of mihomo's own, and of the groups of a profile.
const RESERVED: &[&str] =
    &["DIRECT", "REJECT", "REJECT-DROP", "COMPATIBLE", "PASS", "DNS", "GLOBAL", SELECT_GROUP, FASTEST_GROUP];

/// Writes every node that Clash has words for; each line is one entry, in JSON, which YAML includes.
pub(crate) fn document<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    list(nodes).0
}

/// The same as a whole profile: a group to choose from, one that tests all of them, and a rule that leads everything there.
pub(crate) fn profile<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    let (mut written, names) = list(nodes);
    if names.is_empty() {
        // A profile without rules would send everything out directly.
        written.text.push_str("rules:\n  - \"MATCH,REJECT\"\n");
        return written;
    }
    let mut select = MapBuilder::default();
    let members: Vec<Box<str>> = std::iter::once(FASTEST_GROUP.into()).chain(names.iter().cloned()).collect();
    select.text("name", SELECT_GROUP).text("type", "select").texts("proxies", &members);
    let mut fastest = MapBuilder::default();
    fastest.text("name", FASTEST_GROUP).text("type", "url-test").text("url", TEST_URL);
    fastest.number("interval", Some(TEST_INTERVAL.as_secs())).texts("proxies", &names);
    written.text.push_str("proxy-groups:\n");
    for group in [select, fastest] {
        written.text.push_str(&format!("  - {}\n", group.into_tree().json()));
    }
    written.text.push_str(&format!("rules:\n  - \"MATCH,{SELECT_GROUP}\"\n"));
    written
}

/// The list, and the names of its nodes.
fn list<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> (Written, Vec<Box<str>>) {
    let mut names = Vec::new();
    let mut chains = Chains::new(Names::reserving(RESERVED), checked_entry);
    let mut text = String::from("proxies:\n");
    for (index, (spec, label)) in nodes.enumerate() {
        let Some(entries) = chains.entries(index, spec, label) else { continue };
        names.extend(entries.last().map(|entry| Box::from(entry.name.as_str())));
        for Named { name, via, body, .. } in entries {
            let mut map = MapBuilder::default();
            map.text("name", &name);
            map.append(body);
            map.text("dialer-proxy", &via);
            text.push_str("  - ");
            text.push_str(&map.into_tree().json());
            text.push('\n');
        }
    }
    if names.is_empty() {
        text = String::from("proxies: []\n");
    }
    (Written { text, left_out: chains.into_left_out() }, names)
}

/// The entries of one node under a given name: those that it is dialled through, nearest to this machine first, then its own.
pub(crate) fn proxies(name: &str, spec: &NodeSpec) -> Result<Vec<String>, Unwritable> {
    let hops: Vec<&NodeSpec> = spec.hops().collect();
    let hop_name = |hop: usize| if hop == 0 { name.to_owned() } else { format!("{name}.{hop}") };
    let named = |(hop, spec): (usize, &&NodeSpec)| {
        let mut map = MapBuilder::default();
        map.text("name", &hop_name(hop)).append(entry(&portable(&spec.alone()))?);
        map.text("dialer-proxy", &if hop + 1 < hops.len() { hop_name(hop + 1) } else { String::new() });
        Ok(map.into_tree().json())
    };
    hops.iter().enumerate().rev().map(named).collect()
}

/// The entry of a node whose keys mihomo surely takes: a whole configuration must not fail because of one.
fn checked_entry(spec: &NodeSpec) -> Result<MapBuilder, Unwritable> {
    if keys_ok(spec) { entry(spec) } else { Err(Unwritable::UNCHECKED) }
}

/// A portable node's entry without a name. The proof that nothing is lost is reading it back.
fn entry(spec: &NodeSpec) -> Result<MapBuilder, Unwritable> {
    let mut map = MapBuilder::default();
    let kind = match &spec.outbound {
        Outbound::Socks(socks) if socks.version == SocksVersion::V5 => "socks5",
        Outbound::Socks(_) => return Err(Unwritable::PROTOCOL),
        Outbound::Http(_) => "http",
        Outbound::ClashOnly(node) => clash_only::entry_type(node.kind),
        outbound => outbound.scheme(),
    };
    map.text("type", kind).text("server", &spec.server.host().to_string());
    if !matches!(&spec.outbound, Outbound::Mieru(mieru) if mieru.last_port.is_some()) {
        map.number("port", Some(spec.server.port()));
    }
    match &spec.outbound {
        Outbound::Socks(socks) => proxy(&mut map, socks.credentials.as_ref(), socks.tls.as_deref())?,
        Outbound::Http(http) => proxy(&mut map, http.credentials.as_ref(), http.tls.as_deref())?,
        Outbound::Shadowsocks(shadowsocks) => {
            if !clash_method_ok(shadowsocks) {
                return Err(Unwritable::METHOD);
            }
            map.text("cipher", &shadowsocks.method).required("password", shadowsocks.password.expose());
            if let Some(plugin) = &shadowsocks.plugin {
                let (name, opts) = plugin::write(plugin).filter(|_| plugin_ok(plugin)).ok_or(Unwritable::PLUGIN)?;
                map.text("plugin", name).map("plugin-opts", opts);
            }
            map.flag("udp-over-tcp", shadowsocks.udp_over_tcp);
        }
        Outbound::ShadowsocksR(ssr) => shadowsocksr(&mut map, ssr)?,
        Outbound::Stream(node) => stream::write(&mut map, node)?,
        Outbound::AnyTls(anytls) => {
            map.text("password", anytls.password.expose());
            tls(&mut map, &anytls.tls, "sni", Quic::No)?;
        }
        Outbound::Hysteria2(node) => hysteria2(&mut map, spec.server.port(), node)?,
        Outbound::Hysteria(node) => hysteria(&mut map, spec.server.port(), node)?,
        Outbound::Tuic(node) => {
            match &node.user {
                TuicUser::V5 { id, password } => {
                    map.text("uuid", &id.to_string()).required("password", password.expose())
                }
                TuicUser::V4 { token } => map.text("token", token.expose()),
            };
            map.text("congestion-controller", node.congestion.name());
            map.text("udp-relay-mode", if node.udp_relay == UdpRelayMode::Quic { "quic" } else { "native" });
            map.flag("reduce-rtt", node.reduce_rtt).flag("disable-sni", node.tls.disable_sni);
            tls(&mut map, &node.tls, "sni", Quic::Tuic)?;
        }
        Outbound::WireGuard(node) => wireguard(&mut map, node)?,
        Outbound::Snell(snell) => rare::write_snell(&mut map, snell),
        Outbound::Ssh(ssh) => rare::write_ssh(&mut map, ssh),
        Outbound::Mieru(mieru) => rare::write_mieru(&mut map, spec.server.port(), mieru),
        Outbound::ClashOnly(node) => {
            map.append(clash_only::members(node));
        }
    }
    // mihomo refuses Snell before version 3 with it.
    map.flag(
        "udp",
        spec.outbound.carries_datagrams() || matches!(spec.outbound, Outbound::Socks(_) | Outbound::Shadowsocks(_)),
    );
    let tree = map.into_tree();
    let faithful = matches!(read::entry(&tree), Ok(Some(back)) if back == *spec);
    if faithful { Ok(MapBuilder::from_tree(tree)) } else { Err(Unwritable::UNFAITHFUL) }
}

/// Which words of TLS exist for a protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Quic {
    No,
    Yes,
    /// The only one that can leave SNI out.
    Tuic,
}

pub(super) fn tls(map: &mut MapBuilder, tls: &Tls, name: &str, quic: Quic) -> Result<(), Unwritable> {
    if (tls.disable_sni && quic != Quic::Tuic) || !tls.verify_names.is_empty() || tls.pins.len() > 1 {
        return Err(Unwritable::SECURITY);
    }
    map.text(name, tls.server_name.as_deref().unwrap_or_default()).texts("alpn", &tls.alpn);
    map.flag("skip-cert-verify", tls.skip_verify);
    if let Some(pin) = tls.pins.first() {
        map.text("fingerprint", &hex::encode(pin));
    }
    if quic == Quic::No {
        map.text("client-fingerprint", tls.fingerprint.map_or("", |f| f.name()));
    }
    if let Some(config) = &tls.ech {
        if !ech_ok(config) {
            return Err(Unwritable::SECURITY);
        }
        let mut ech = MapBuilder::default();
        ech.flag("enable", true).text("config", config);
        map.map("ech-opts", ech);
    }
    Ok(())
}

fn proxy(map: &mut MapBuilder, credentials: Option<&Credentials>, layer: Option<&Tls>) -> Result<(), Unwritable> {
    if let Some(credentials) = credentials {
        map.required("username", &credentials.username).required("password", credentials.password.expose());
    }
    if let Some(layer) = layer {
        if layer.ech.is_some() {
            return Err(Unwritable::SECURITY);
        }
        map.flag("tls", true);
        tls(map, layer, "sni", Quic::No)?;
    }
    Ok(())
}

fn shadowsocksr(map: &mut MapBuilder, ssr: &ShadowsocksR) -> Result<(), Unwritable> {
    let obfs = ["plain", "http_simple", "http_post", "random_head", "tls1.2_ticket_auth", "tls1.2_ticket_fastauth"];
    let protocols = ["origin", "auth_sha1_v4", "auth_aes128_md5", "auth_aes128_sha1", "auth_chain_a", "auth_chain_b"];
    let method = ssr.method.as_ref();
    let stream = method.ends_with("-cfb") || method.ends_with("-ctr");
    let ciphers = ["rc4-md5", "chacha20", "chacha20-ietf", "xchacha20", "none"];
    let known = obfs.contains(&ssr.obfs.as_ref())
        && protocols.contains(&ssr.protocol.as_ref())
        && (ciphers.contains(&method) || (stream && method.starts_with("aes-")));
    map.text("cipher", method).text("password", ssr.password.expose()).text("protocol", &ssr.protocol);
    map.text("protocol-param", &ssr.protocol_param).text("obfs", &ssr.obfs).text("obfs-param", &ssr.obfs_param);
    if known { Ok(()) } else { Err(Unwritable::METHOD) }
}

/// mihomo hops over `ports` alone, so the server's own port is one of them.
fn hopping(map: &mut MapBuilder, port: u16, ports: &[(u16, u16)]) {
    if !ports.is_empty() {
        map.text("ports", &format!("{port},{}", field::port_ranges_text(ports, '-')));
    }
}

fn mbps(map: &mut MapBuilder, key: &str, mbps: Option<u32>) {
    if let Some(mbps) = mbps {
        map.text(key, &format!("{mbps} Mbps"));
    }
}

fn hysteria2(map: &mut MapBuilder, port: u16, node: &Hysteria2) -> Result<(), Unwritable> {
    map.required("password", node.auth.expose());
    hopping(map, port, &node.ports);
    map.number("hop-interval", node.hop_interval);
    match &node.obfs {
        None => {}
        Some(Obfs2::Salamander { password }) => {
            map.text("obfs", "salamander").text("obfs-password", password.expose());
        }
        Some(Obfs2::Gecko { .. }) => return Err(Unwritable::UNFAITHFUL),
    }
    mbps(map, "up", node.up_mbps);
    mbps(map, "down", node.down_mbps);
    tls(map, &node.tls, "sni", Quic::Yes)
}

fn hysteria(map: &mut MapBuilder, port: u16, node: &Hysteria) -> Result<(), Unwritable> {
    map.text("auth-str", node.auth.expose());
    hopping(map, port, &node.ports);
    map.text(
        "protocol",
        match node.transport {
            HysteriaTransport::Udp => "udp",
            HysteriaTransport::WechatVideo => "wechat-video",
            HysteriaTransport::FakeTcp => "faketcp",
        },
    );
    map.text("obfs", node.obfs.as_ref().map_or("", |obfs| obfs.0.expose()));
    mbps(map, "up", node.up_mbps);
    mbps(map, "down", node.down_mbps);
    tls(map, &node.tls, "sni", Quic::Yes)
}

fn wireguard(map: &mut MapBuilder, node: &WireGuard) -> Result<(), Unwritable> {
    if node.addresses.is_empty() || node.addresses.len() > 2 {
        return Err(Unwritable::NO_ADDRESS);
    }
    if !tunnel_ok(node) {
        return Err(Unwritable::MTU);
    }
    for address in &node.addresses {
        let ip: IpAddr = address.split('/').next().and_then(|ip| ip.parse().ok()).ok_or(Unwritable::NO_ADDRESS)?;
        map.text(if ip.is_ipv4() { "ip" } else { "ipv6" }, address);
    }
    map.text("private-key", node.private_key.expose())
        .text("public-key", node.public_key.as_deref().ok_or(Unwritable::NO_PEER_KEY)?);
    map.text("pre-shared-key", node.pre_shared_key.as_ref().map_or("", Secret::expose));
    if node.reserved != [0; 3] {
        map.put("reserved", Tree::List(node.reserved.iter().map(|b| Tree::Plain(b.to_string().into())).collect()));
    }
    map.number("mtu", node.mtu).number("persistent-keepalive", node.keepalive);
    Ok(())
}
