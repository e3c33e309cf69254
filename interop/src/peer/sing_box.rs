//! sing-box as the server.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::Part;
use crate::{
    certificate::Certificate,
    core_servers,
    row::{Plugged, Protocol, Row, Transport, Trust},
    secrets::{
        ECH_KEYS, ID, MBPS, OBFS_PASSWORD, PASSWORD, PATH, SERVICE, TUNNEL, TUNNEL_SERVER, TUNNEL_SHARED, USER,
        server_key, tunnel_peer, user_key,
    },
};

/// Its Shadowsocks server has no stream ciphers. Of gRPC it has one method, of raw TCP no disguise, of XHTTP nothing, and
/// its HTTPUpgrade knows no early data: it loses what comes before its answer.
pub(super) fn plays(row: Row) -> bool {
    use Transport::{
        EarlyUpgrade, GrpcMulti, GrpcPath, HttpHeader, Kcp, Xhttp, XhttpApart, XhttpGet, XhttpHttp1, XhttpHttp3,
        XhttpPlaced,
    };
    // The packaged build is without uTLS, which its REALITY server asks for.
    let xhttp = matches!(row.transport, Xhttp(_) | XhttpApart(_) | XhttpHttp3(_) | XhttpGet | XhttpHttp1 | XhttpPlaced);
    let others = matches!(row.transport, HttpHeader | EarlyUpgrade | GrpcMulti | GrpcPath | Kcp { .. });
    if xhttp || others || matches!(row.tls, Some(Trust::Reality { .. })) {
        return false;
    }
    match row.protocol {
        Protocol::Shadowsocks { method, .. } => {
            method.ends_with("-gcm") || method.ends_with("-poly1305") || method == "none"
        }
        Protocol::Plugged(plugin) => matches!(plugin, Plugged::ShadowTls { .. }),
        Protocol::Encrypted { .. } => false,
        Protocol::Core(protocol) => core_servers::sing_box_inbound(protocol).is_some(),
        _ => true,
    }
}

/// The whole configuration. `localhost` is answered from the configuration itself, so that no resolver is asked.
pub(super) fn render(parts: &[Part], certificate: &Certificate, site: SocketAddr) -> Value {
    let (tunnels, parts): (Vec<&Part>, Vec<&Part>) =
        parts.iter().partition(|part| part.row.protocol == Protocol::WireGuard);
    let endpoints: Vec<Value> = tunnels.iter().map(|part| endpoint(part)).collect();
    let tags: Vec<String> = tunnels.iter().map(|part| part.row.to_string()).collect();
    // Without tunnels the rule would mean everything.
    let rules = if tags.is_empty() {
        json!([])
    } else {
        json!([{ "inbound": tags, "action": "route-options", "override_address": "127.0.0.1" }])
    };
    let mut inbounds: Vec<Value> = parts.iter().map(|part| inbound(part, certificate, site)).collect();
    inbounds.extend(parts.iter().filter_map(|part| behind(part)));
    let mut secured = json!({ "type": "http", "tag": "site", "listen": site.ip(), "listen_port": site.port() });
    secured["tls"] = json!({ "enabled": true, "certificate_path": certificate.chain, "key_path": certificate.key });
    inbounds.push(secured);
    json!({
        "log": { "level": "warn" },
        "dns": { "servers": [{ "type": "hosts", "tag": "hosts", "predefined": { "localhost": "127.0.0.1" } }] },
        "inbounds": inbounds,
        "endpoints": endpoints,
        "outbounds": [{ "type": "direct", "tag": "direct" }],
        "route": { "rules": rules, "final": "direct", "default_domain_resolver": "hosts" },
    })
}

/// WireGuard is no inbound here; it listens on every address.
fn endpoint(part: &Part) -> Value {
    let [own, client] = TUNNEL;
    let peer = json!({ "public_key": tunnel_peer(), "pre_shared_key": TUNNEL_SHARED, "allowed_ips": [client] });
    json!({
        "type": "wireguard",
        "tag": part.row.to_string(),
        "system": false,
        "mtu": 1408,
        "address": [own],
        "private_key": TUNNEL_SERVER[0],
        "listen_port": part.address.port(),
        "peers": [peer],
    })
}

/// The Shadowsocks server behind a ShadowTLS one; nobody else connects to it.
fn behind(part: &Part) -> Option<Value> {
    let Protocol::Plugged(plugin) = part.row.protocol else { return None };
    let mut inbound = shadowsocks(plugin.method(), false);
    inbound["tag"] = json!(format!("behind {}", part.row));
    inbound["listen"] = json!(part.address.ip());
    Some(inbound)
}

fn inbound(part: &Part, certificate: &Certificate, site: SocketAddr) -> Value {
    let row = part.row;
    let login = |on: bool| if on { json!([{ "username": USER, "password": PASSWORD }]) } else { json!([]) };
    let mut inbound = match row.protocol {
        Protocol::Socks4 | Protocol::Socks4a => json!({ "type": "socks" }),
        Protocol::Socks5 { password } => json!({ "type": "socks", "users": login(password) }),
        Protocol::Http { password } => json!({ "type": "http", "users": login(password) }),
        Protocol::Shadowsocks { method, users } => shadowsocks(method, users),
        Protocol::Plugged(_) => json!({
            "type": "shadowtls", "version": 3, "users": [{ "name": USER, "password": PASSWORD }], "strict_mode": true,
            "handshake": { "server": site.ip(), "server_port": site.port() }, "detour": format!("behind {row}"),
        }),
        Protocol::Encrypted { .. } | Protocol::WireGuard => Value::Null,
        Protocol::Core(protocol) => core_servers::sing_box_inbound(protocol).unwrap_or_default(),
        Protocol::AnyTls => json!({ "type": "anytls", "users": [{ "name": USER, "password": PASSWORD }] }),
        Protocol::Vmess { alter, .. } => {
            json!({ "type": "vmess", "users": [{ "name": USER, "uuid": ID, "alterId": alter }] })
        }
        Protocol::Vless => json!({ "type": "vless", "users": [{ "name": USER, "uuid": ID }] }),
        Protocol::VlessVision => {
            json!({ "type": "vless", "users": [{ "name": USER, "uuid": ID, "flow": "xtls-rprx-vision" }] })
        }
        Protocol::Trojan | Protocol::Chain => {
            json!({ "type": "trojan", "users": [{ "name": USER, "password": PASSWORD }] })
        }
        Protocol::Tuic { congestion, .. } => {
            let users = json!([{ "name": USER, "uuid": ID, "password": PASSWORD }]);
            json!({ "type": "tuic", "users": users, "congestion_control": congestion })
        }
        Protocol::Hysteria2 { disguise, bandwidth } => hysteria2(disguise, bandwidth),
    };
    inbound["tag"] = json!(row.to_string());
    inbound["listen"] = json!(part.address.ip());
    inbound["listen_port"] = json!(part.address.port());
    if row.tls.is_some() {
        inbound["tls"] = json!({ "enabled": true, "certificate_path": certificate.chain, "key_path": certificate.key });
        if matches!(row.tls, Some(Trust::Browser | Trust::Ech)) {
            // To a browser's hello, whose ECH has nothing inside, it answers with its configurations.
            let key = ["-----BEGIN ECH KEYS-----", ECH_KEYS, "-----END ECH KEYS-----"];
            inbound["tls"]["ech"] = json!({ "enabled": true, "key": key });
        }
    }
    if row.over_udp() {
        inbound["tls"]["alpn"] = json!(["h3"]);
    }
    let early =
        |header: &str| json!({ "type": "ws", "path": PATH, "max_early_data": 2048, "early_data_header_name": header });
    match row.transport {
        Transport::Tcp => {}
        Transport::WebSocket => inbound["transport"] = json!({ "type": "ws", "path": PATH }),
        Transport::EarlyHeader => inbound["transport"] = early("Sec-WebSocket-Protocol"),
        Transport::EarlyPath => inbound["transport"] = early(""),
        Transport::HttpUpgrade | Transport::EarlyUpgrade => {
            inbound["transport"] = json!({ "type": "httpupgrade", "path": PATH });
        }
        Transport::Grpc => inbound["transport"] = json!({ "type": "grpc", "service_name": SERVICE }),
        Transport::Http2 => inbound["transport"] = json!({ "type": "http", "path": PATH }),
        Transport::HttpHeader | Transport::GrpcMulti | Transport::GrpcPath => {}
        Transport::Xhttp(_) | Transport::XhttpApart(_) | Transport::XhttpHttp3(_) | Transport::Kcp { .. } => {}
        Transport::XhttpGet | Transport::XhttpHttp1 | Transport::XhttpPlaced => {}
    }
    inbound
}

fn hysteria2(disguise: Option<&str>, bandwidth: bool) -> Value {
    let mut inbound = json!({ "type": "hysteria2", "users": [{ "name": USER, "password": PASSWORD }] });
    if let Some(disguise) = disguise {
        inbound["obfs"] = json!({ "type": disguise, "password": OBFS_PASSWORD });
    }
    if bandwidth {
        inbound["up_mbps"] = json!(MBPS);
        inbound["down_mbps"] = json!(MBPS);
    }
    inbound
}

fn shadowsocks(method: &str, users: bool) -> Value {
    let modern = method.starts_with("2022-");
    let password = if modern { server_key(method) } else { PASSWORD.to_owned() };
    let mut inbound = json!({ "type": "shadowsocks", "method": method, "password": password });
    if users {
        inbound["users"] = json!([{ "name": USER, "password": user_key(method) }]);
    }
    inbound
}
