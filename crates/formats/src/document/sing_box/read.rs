//! Reads one outbound or endpoint of sing-box as a node.

use hezar_core::{
    AnyTls, Carrier, EarlyData, HttpProxy, Hysteria, Hysteria2, HysteriaObfs, NodeSpec, Outbound, Pin, Secret,
    SecurityKind, SocksProxy, SocksVersion, Tls, Tuic, UNREADABLE_PIN,
};

use super::{super::clash::read::reserved_text, shadow_tls};
use crate::{
    RejectCode, amnezia,
    carrier::{CarrierText, SecurityText, xray::extra_text},
    field,
    outbound::{self, ShadowsocksRText, UserText, WireGuardText},
    rare::SshText,
    tree::{Tree, headers},
};

/// Types that stand for a group or for no proxy, and `shadowtls`, which another entry names by `detour`.
const SILENT: &[&str] = &["selector", "urltest", "direct", "block", "dns", "bridge", "shadowtls"];

/// Reads an entry without its chain; `None` for one that is not a proxy server. `beneath` is the entry that `detour` names.
pub(in super::super) fn entry(entry: &Tree, beneath: Option<&Tree>) -> Result<Option<NodeSpec>, RejectCode> {
    let kind = entry.text(&["type"]).to_ascii_lowercase();
    if SILENT.contains(&kind.as_str()) {
        return Ok(None);
    }
    let outbound = match kind.as_str() {
        "" => return Err(RejectCode::BadField),
        "shadowsocks" | "ss" => return shadowsocks(entry, beneath).map(Some),
        "shadowsocksr" => shadowsocksr(entry)?,
        "vmess" => user(entry).vmess(carrier(entry)?)?,
        "vless" => user(entry).vless(carrier(entry)?)?,
        "trojan" => outbound::trojan(entry.text(&["password"]), None, carrier(entry)?)?,
        "http" => http(entry),
        "socks" | "socks5" => socks(entry),
        "anytls" => anytls(entry)?,
        "hysteria" => return hysteria(entry).map(Some),
        "hysteria2" => return hysteria2(entry).map(Some),
        "tuic" => tuic(entry)?,
        "wireguard" => return wireguard(entry).map(Some),
        "ssh" => ssh(entry)?,
        _ => return Err(RejectCode::UnsupportedScheme),
    };
    Ok(Some(NodeSpec::new(field::server(entry.text(&["server"]), entry.text(&["server_port"]))?, outbound)))
}

fn security(entry: &Tree, always: bool) -> SecurityText<'_> {
    let tls = entry.get("tls");
    let (reality, utls) = (tls.get("reality"), tls.get("utls"));
    let kind = match (tls.flag(&["enabled"]) || always, reality.flag(&["enabled"])) {
        (false, _) => SecurityKind::None,
        (true, false) => SecurityKind::Tls,
        (true, true) => SecurityKind::Reality,
    };
    SecurityText {
        kind,
        server_name: tls.text(&["server_name"]),
        disable_sni: tls.flag(&["disable_sni"]),
        alpn: tls.get("alpn").words(),
        skip_verify: tls.flag(&["insecure"]),
        pins: pins(tls),
        // uTLS may be configured but switched off.
        fingerprint: if utls.flag(&["enabled"]) { utls.text(&["fingerprint"]) } else { "" },
        public_key: reality.text(&["public_key"]),
        short_id: reality.text(&["short_id"]),
        ..SecurityText::default()
    }
}

/// The certificates that an entry brings along. Hashes of keys, and files of the publisher's machine, cannot be checked.
fn pins(tls: &Tree) -> Vec<Pin> {
    if shadow_tls::has_other_pin(tls) {
        return vec![UNREADABLE_PIN];
    }
    field::pem_pins(&tls.get("certificate").texts())
}

/// The ECH configuration: the base64 between the PEM lines, which may be one text or a list of lines.
fn ech(entry: &Tree) -> String {
    let ech = entry.get("tls").get("ech");
    if !ech.flag(&["enabled"]) {
        return String::new();
    }
    let lines = ech.get("config").texts();
    lines.iter().flat_map(|line| line.lines()).map(str::trim).filter(|line| !line.starts_with("-----")).collect()
}

/// The TLS settings of a protocol that always uses TLS.
fn tls(entry: &Tree) -> Tls {
    let ech = ech(entry);
    SecurityText { ech: &ech, ..security(entry, true) }.tls()
}

fn optional_tls(entry: &Tree) -> Option<Tls> {
    entry.get("tls").flag(&["enabled"]).then(|| tls(entry))
}

fn user(entry: &Tree) -> UserText<'_> {
    UserText {
        id: entry.text(&["uuid"]),
        flow: entry.text(&["flow"]),
        encryption: entry.text(&["encryption"]),
        alter_id: entry.text(&["alter_id"]),
        cipher: entry.text(&["security"]),
        // Here an empty text means "none", and absence is the default.
        packet_encoding: match entry.get("packet_encoding") {
            Tree::Quoted(text) if text.is_empty() => "none",
            other => other.scalar(),
        },
    }
}

fn carrier(entry: &Tree) -> Result<Carrier, RejectCode> {
    let ech = ech(entry);
    let security = SecurityText { ech: &ech, ..security(entry, false) };
    let opts = entry.get("transport");
    let kind = opts.text(&["type"]);
    let mut text = CarrierText { network: kind, paths: opts.get("path").texts(), ..CarrierText::default() };
    (text.hosts, text.headers) = headers::split(opts.get("headers"));
    let hosts = opts.get("host").texts();
    if !hosts.is_empty() {
        text.hosts = hosts;
    }
    let extra;
    match kind {
        // Without TLS this is the HTTP/1.1 disguise, with it HTTP/2.
        "http" if security.kind == SecurityKind::None => (text.network, text.header_type) = ("tcp", "http"),
        "ws" | "httpupgrade" => {
            let header = field::filled(opts.text(&["early_data_header_name"]));
            let max_bytes = opts.number::<u32>(&["max_early_data"]).filter(|bytes| *bytes > 0);
            text.early_data = max_bytes.map(|max_bytes| EarlyData { max_bytes, header });
        }
        "grpc" => text.service_name = opts.text(&["service_name"]),
        "xhttp" | "splithttp" => {
            text.mode = opts.text(&["mode"]);
            extra = extra_text(opts.get("extra"));
            text.extra = &extra;
        }
        _ => {}
    }
    text.carrier(&security)
}

fn shadowsocks(entry: &Tree, beneath: Option<&Tree>) -> Result<NodeSpec, RejectCode> {
    let mut plugin = outbound::plugin(entry.text(&["plugin"]), entry.text(&["plugin_opts"]));
    let shadow_tls = beneath.filter(|other| shadow_tls::is_shadow_tls(other));
    if let Some(other) = shadow_tls {
        plugin = Some(shadow_tls::read(other));
    }
    let uot = entry.get("udp_over_tcp");
    let udp_over_tcp = uot.flag(&["enabled"]) || field::truth(uot.scalar());
    let outbound = outbound::shadowsocks(entry.text(&["method"]), entry.text(&["password"]), plugin, udp_over_tcp)?;
    let address = shadow_tls.unwrap_or(entry);
    Ok(NodeSpec::new(field::server(address.text(&["server"]), address.text(&["server_port"]))?, outbound))
}

/// Whether an entry is one that ShadowTLS can be the plugin of.
pub(in super::super) fn is_shadowsocks(entry: &Tree) -> bool {
    matches!(entry.text(&["type"]).to_ascii_lowercase().as_str(), "shadowsocks" | "ss")
}

fn shadowsocksr(entry: &Tree) -> Result<Outbound, RejectCode> {
    ShadowsocksRText {
        method: entry.text(&["method"]),
        password: entry.text(&["password"]),
        protocol: entry.text(&["protocol"]),
        protocol_param: entry.text(&["protocol_param"]),
        obfs: entry.text(&["obfs"]),
        obfs_param: entry.text(&["obfs_param"]),
    }
    .outbound()
}

fn ssh(entry: &Tree) -> Result<Outbound, RejectCode> {
    SshText {
        username: entry.text(&["user"]),
        password: entry.text(&["password"]),
        private_key: &entry.get("private_key").texts().join("\n"),
        passphrase: entry.text(&["private_key_passphrase"]),
        host_keys: entry.get("host_key").texts(),
        host_key_algorithms: entry.get("host_key_algorithms").texts(),
    }
    .outbound()
}

fn http(entry: &Tree) -> Outbound {
    let credentials = field::credentials(entry.text(&["username"]), entry.text(&["password"]));
    Outbound::Http(HttpProxy { credentials, tls: optional_tls(entry).map(Box::new) })
}

fn socks(entry: &Tree) -> Outbound {
    let version = match entry.text(&["version"]) {
        "4" => SocksVersion::V4,
        "4a" => SocksVersion::V4a,
        _ => SocksVersion::V5,
    };
    let credentials = field::credentials(entry.text(&["username"]), entry.text(&["password"]));
    Outbound::Socks(SocksProxy { version, credentials, tls: optional_tls(entry).map(Box::new) })
}

fn anytls(entry: &Tree) -> Result<Outbound, RejectCode> {
    let password = outbound::credential(entry.text(&["password"]))?;
    Ok(Outbound::AnyTls(Box::new(AnyTls { password, tls: tls(entry) })))
}

/// The server with its hopping ports, which here exclude `server_port`.
fn hopping(entry: &Tree) -> Result<(hezar_core::Target, Vec<(u16, u16)>), RejectCode> {
    let ranges = entry.get("server_ports").words().join(",");
    let (port, ports) = outbound::hopping(entry.text(&["server_port"]), &ranges)?;
    Ok((field::server(entry.text(&["server"]), &port)?, ports))
}

fn hysteria(entry: &Tree) -> Result<NodeSpec, RejectCode> {
    let (server, ports) = hopping(entry)?;
    let hysteria = Hysteria {
        auth: outbound::hysteria_auth(entry.text(&["auth_str"]), entry.text(&["auth"]))?,
        ports,
        transport: outbound::hysteria_transport(entry.text(&["protocol"])),
        obfs: field::secret(entry.text(&["obfs"])).map(HysteriaObfs),
        up_mbps: field::mbps(entry.text(&["up_mbps", "up"])),
        down_mbps: field::mbps(entry.text(&["down_mbps", "down"])),
        tls: tls(entry),
    };
    Ok(NodeSpec::new(server, Outbound::Hysteria(Box::new(hysteria))))
}

fn hysteria2(entry: &Tree) -> Result<NodeSpec, RejectCode> {
    let (server, ports) = hopping(entry)?;
    let obfs = entry.get("obfs");
    let hysteria2 = Hysteria2 {
        auth: Secret::new(entry.text(&["password"])),
        ports,
        hop_interval: field::seconds(entry.text(&["hop_interval"])),
        obfs: outbound::obfs2(
            obfs.text(&["type"]),
            obfs.text(&["password"]),
            obfs.text(&["min_packet_size"]),
            obfs.text(&["max_packet_size"]),
        ),
        up_mbps: field::mbps(entry.text(&["up_mbps"])),
        down_mbps: field::mbps(entry.text(&["down_mbps"])),
        tls: tls(entry),
    };
    Ok(NodeSpec::new(server, Outbound::Hysteria2(Box::new(hysteria2))))
}

fn tuic(entry: &Tree) -> Result<Outbound, RejectCode> {
    let user = outbound::tuic_user(entry.text(&["uuid"]), entry.text(&["password"]), entry.text(&["token"]))?;
    Ok(Outbound::Tuic(Box::new(Tuic {
        user,
        congestion: outbound::congestion(entry.text(&["congestion_control"])),
        udp_relay: outbound::udp_relay(entry.text(&["udp_relay_mode"])),
        reduce_rtt: entry.flag(&["zero_rtt_handshake"]),
        tls: tls(entry),
    })))
}

/// The endpoint, and the older outbound with its one peer or its list of peers.
fn wireguard(entry: &Tree) -> Result<NodeSpec, RejectCode> {
    let peer = entry.get("peers").items().first().unwrap_or(entry);
    let reserved = peer.get("reserved");
    let reserved = if reserved.is_null() { entry.get("reserved") } else { reserved };
    let outbound = WireGuardText {
        private_key: entry.text(&["private_key"]),
        public_key: peer.text(&["public_key", "peer_public_key"]),
        pre_shared_key: peer.text(&["pre_shared_key"]),
        addresses: entry.any(&["address", "local_address"]).words(),
        reserved: &reserved_text(reserved),
        mtu: entry.text(&["mtu"]),
        keepalive: peer.text(&["persistent_keepalive_interval", "persistent_keepalive"]),
    }
    .outbound()?;
    let outbound = amnezia::with_options(outbound, entry.any(&["amnezia", "awg"]))?;
    // An entry with peers may still name the server itself.
    let host = if peer.text(&["address", "server"]).is_empty() || peer == entry {
        entry.text(&["server"])
    } else {
        peer.text(&["address", "server"])
    };
    let port = match peer.text(&["port", "server_port"]) {
        "" => entry.text(&["server_port"]),
        port => port,
    };
    Ok(NodeSpec::new(field::server(host, port)?, outbound))
}
