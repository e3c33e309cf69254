//! Reads one outbound of Xray or v2ray as nodes: it may name several servers.

use hezar_core::{HttpProxy, Hysteria2, NodeSpec, Outbound, Secret, SocksProxy, SocksVersion};

use super::clash::read::reserved_text;
use crate::{
    RejectCode,
    carrier::xray::{carrier, optional_tls, security},
    field, outbound,
    outbound::{UserText, WireGuardText},
    tree::Tree,
};

/// Outbounds that are not proxy servers.
const SILENT: &[&str] = &["freedom", "blackhole", "dns", "loopback", "direct", "block"];

/// Reads an entry. Returns one result for each server that it names, and none for an entry that is not a proxy.
pub(super) fn entry(entry: &Tree) -> Vec<Result<NodeSpec, RejectCode>> {
    let protocol = entry.text(&["protocol"]).to_ascii_lowercase();
    if SILENT.contains(&protocol.as_str()) {
        return Vec::new();
    }
    let settings = entry.get("settings");
    let listed = match protocol.as_str() {
        "wireguard" => settings.get("peers"),
        _ => settings.any(&["vnext", "servers"]),
    };
    // The newer, flat form has the one server in `settings` itself.
    let servers = if listed.items().is_empty() { std::slice::from_ref(settings) } else { listed.items() };
    servers.iter().map(|server| node(&protocol, entry, server)).collect()
}

fn node(protocol: &str, entry: &Tree, server: &Tree) -> Result<NodeSpec, RejectCode> {
    let settings = entry.get("settings");
    let user = server.get("users").items().first().unwrap_or(server);
    let stream = entry.get("streamSettings");
    let outbound = match protocol {
        "vless" => user_text(user).vless(carrier(stream)?)?,
        "vmess" => user_text(user).vmess(carrier(stream)?)?,
        "trojan" => outbound::trojan(user.text(&["password"]), None, carrier(stream)?)?,
        "shadowsocks" => shadowsocks(user)?,
        "socks" => {
            let credentials = field::credentials(user.text(&["user"]), user.text(&["pass"]));
            Outbound::Socks(SocksProxy {
                version: SocksVersion::V5,
                credentials,
                tls: optional_tls(stream)?.map(Box::new),
            })
        }
        "http" => {
            let credentials = field::credentials(user.text(&["user"]), user.text(&["pass"]));
            Outbound::Http(HttpProxy { credentials, tls: optional_tls(stream)?.map(Box::new) })
        }
        "wireguard" => return wireguard(settings, server),
        "hysteria" | "hysteria2" => hysteria2(server, stream),
        "" => return Err(RejectCode::BadField),
        _ => return Err(RejectCode::UnsupportedScheme),
    };
    Ok(NodeSpec::new(field::server(server.text(&["address"]), server.text(&["port"]))?, outbound))
}

fn user_text(user: &Tree) -> UserText<'_> {
    UserText {
        id: user.text(&["id"]),
        flow: user.text(&["flow"]),
        encryption: user.text(&["encryption"]),
        alter_id: user.text(&["alterId"]),
        cipher: user.text(&["security"]),
        packet_encoding: "",
    }
}

fn shadowsocks(user: &Tree) -> Result<Outbound, RejectCode> {
    outbound::shadowsocks(user.text(&["method"]), user.text(&["password"]), None, user.flag(&["uot"]))
}

fn wireguard(settings: &Tree, peer: &Tree) -> Result<NodeSpec, RejectCode> {
    let outbound = WireGuardText {
        private_key: settings.text(&["secretKey"]),
        public_key: peer.text(&["publicKey"]),
        pre_shared_key: peer.text(&["preSharedKey"]),
        addresses: settings.get("address").words(),
        reserved: &reserved_text(settings.get("reserved")),
        mtu: settings.text(&["mtu"]),
        keepalive: peer.text(&["keepAlive"]),
    }
    .outbound()?;
    let (host, port) = peer.text(&["endpoint"]).rsplit_once(':').ok_or(RejectCode::BadPort)?;
    Ok(NodeSpec::new(field::server(host, port)?, outbound))
}

/// Reads Hysteria 2, which Xray writes as a protocol together with a transport.
fn hysteria2(server: &Tree, stream: &Tree) -> Outbound {
    let opts = stream.get("hysteriaSettings");
    let hop = opts.any(&["udphop", "udpHop"]);
    let ports = field::port_ranges(&hop.any(&["port", "ports"]).texts().join(",")).unwrap_or_default();
    Outbound::Hysteria2(Box::new(Hysteria2 {
        auth: Secret::new(match opts.text(&["auth"]) {
            "" => server.text(&["auth", "password"]),
            auth => auth,
        }),
        ports,
        hop_interval: field::seconds(hop.text(&["interval"])),
        obfs: None,
        up_mbps: field::mbps(opts.text(&["up"])),
        down_mbps: field::mbps(opts.text(&["down"])),
        tls: security(stream).tls(),
    }))
}
