//! mihomo as the server: one listener for each row.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::Part;
use crate::{
    certificate::Certificate,
    core_servers,
    process::ReadyTunnel,
    row::{PLUGGED_METHOD, Plugged, Protocol, Row, Transport, Trust},
    secrets::{
        ID, MBPS, OBFS_PASSWORD, PASSWORD, PATH, REALITY_KEY, SERVER_NAME, SERVICE, SHORT_ID, USER, decryption,
        server_key,
    },
};

/// Its Shadowsocks server knows one user, and its WebSocket server takes early bytes in the header only.
pub(super) fn plays(row: Row) -> bool {
    let protocol = match row.protocol {
        Protocol::Shadowsocks { method, users } => !users && !method.starts_with("camellia-"),
        // It refuses to connect to itself.
        Protocol::Chain => false,
        Protocol::WireGuard => false,
        Protocol::Plugged(plugin) => !matches!(plugin, Plugged::V2ray { .. }),
        Protocol::Core(protocol) => core_servers::mihomo_listener(protocol).is_some(),
        Protocol::Hysteria2 { disguise, .. } => disguise != Some("gecko"),
        _ => true,
    };
    // Of gRPC it has one method; raw TCP has no disguise, and HTTP/2 is a client's affair. XHTTP is VLESS'
    // alone, and a GET with a body is no upload to it.
    let xhttp = row.protocol == Protocol::Vless && xhttp(row.transport).is_some();
    let transport = xhttp
        || matches!(
            row.transport,
            Transport::Tcp
                | Transport::WebSocket
                | Transport::EarlyHeader
                | Transport::HttpUpgrade
                | Transport::EarlyUpgrade
                | Transport::Grpc
        );
    protocol && transport && !matches!(row.tls, Some(Trust::Reality { ml_dsa: true, .. } | Trust::Ech))
}

/// The whole configuration. `localhost` is answered from the configuration itself, so that no resolver is asked.
pub(super) fn render(parts: &[Part], certificate: &Certificate, site: SocketAddr, ready: &ReadyTunnel) -> Value {
    let mut listeners: Vec<Value> = parts.iter().map(|part| listener(part, certificate, site)).collect();
    if parts.is_empty() {
        listeners.push(json!({
            "name": "site", "type": "http", "users": [], "listen": site.ip(), "port": site.port(),
            "certificate": certificate.chain, "private-key": certificate.key,
        }));
    }
    listeners.push(json!({
        "name": "ready", "type": "tunnel", "network": ["tcp"],
        "listen": ready.entry.ip(), "port": ready.entry.port(), "target": ready.exit.to_string(),
    }));
    json!({
        "log-level": "warning",
        "mode": "rule",
        "ipv6": false,
        "hosts": { "localhost": "127.0.0.1" },
        "listeners": listeners,
        "rules": ["MATCH,DIRECT"],
    })
}

fn listener(part: &Part, certificate: &Certificate, site: SocketAddr) -> Value {
    let row = part.row;
    let login = |on: bool| if on { json!([{ "username": USER, "password": PASSWORD }]) } else { json!([]) };
    let mut listener = match row.protocol {
        Protocol::Socks4 | Protocol::Socks4a => json!({ "type": "socks", "users": [] }),
        Protocol::Socks5 { password } => json!({ "type": "socks", "users": login(password) }),
        Protocol::Http { password } => json!({ "type": "http", "users": login(password) }),
        Protocol::Shadowsocks { method, .. } => shadowsocks(method),
        Protocol::Plugged(Plugged::ShadowTls { method }) => {
            let users = json!([{ "name": USER, "password": PASSWORD }]);
            let handshake = json!({ "dest": site.to_string() });
            let mut listener = shadowsocks(method);
            listener["shadow-tls"] = json!({ "enable": true, "version": 3, "users": users, "handshake": handshake });
            listener
        }
        Protocol::Core(protocol) => core_servers::mihomo_listener(protocol).unwrap_or_default(),
        Protocol::Plugged(Plugged::Kcptun) => {
            let mut listener = shadowsocks(PLUGGED_METHOD);
            listener["kcp-tun"] = core_servers::mihomo_kcptun();
            listener
        }
        Protocol::Plugged(plugin) => {
            let mode = if plugin == Plugged::ObfsHttp { "http" } else { "tls" };
            let obfs = json!({ "enable": true, "mode": mode });
            let mut listener = shadowsocks(PLUGGED_METHOD);
            listener["simple-obfs"] = obfs;
            listener
        }
        Protocol::AnyTls => json!({ "type": "anytls", "users": { USER: PASSWORD } }),
        Protocol::Vmess { alter, .. } => {
            json!({ "type": "vmess", "users": [{ "username": USER, "uuid": ID, "alterId": alter }] })
        }
        Protocol::Vless => json!({ "type": "vless", "users": [{ "username": USER, "uuid": ID }] }),
        Protocol::Encrypted { looks, post_quantum, vision, .. } => {
            let flow = if vision { "xtls-rprx-vision" } else { "" };
            let users = json!([{ "username": USER, "uuid": ID, "flow": flow }]);
            json!({ "type": "vless", "users": users, "decryption": decryption(looks, post_quantum) })
        }
        Protocol::VlessVision => {
            json!({ "type": "vless", "users": [{ "username": USER, "uuid": ID, "flow": "xtls-rprx-vision" }] })
        }
        Protocol::Trojan | Protocol::Chain => {
            json!({ "type": "trojan", "users": [{ "username": USER, "password": PASSWORD }] })
        }
        Protocol::Hysteria2 { disguise, bandwidth } => hysteria2(disguise, bandwidth),
        Protocol::Tuic { congestion, .. } => {
            json!({ "type": "tuic", "users": { ID: PASSWORD }, "congestion-controller": congestion, "alpn": ["h3"] })
        }
        Protocol::WireGuard => Value::Null,
    };
    listener["name"] = json!(row.to_string());
    listener["udp"] = json!(true);
    listener["listen"] = json!(part.address.ip());
    listener["port"] = json!(part.address.port());
    match (row.tls, row.protocol) {
        (Some(Trust::Reality { .. }), _) => {
            listener["reality-config"] = json!({
                "dest": site.to_string(),
                "private-key": URL_SAFE_NO_PAD.encode(REALITY_KEY),
                "short-id": [SHORT_ID],
                "server-names": [SERVER_NAME],
            });
        }
        (Some(_), _) => {
            listener["certificate"] = json!(certificate.chain);
            listener["private-key"] = json!(certificate.key);
        }
        // Without this they ask for TLS.
        (None, Protocol::Vless | Protocol::Trojan | Protocol::Chain) => listener["allow-insecure"] = json!(true),
        _ => {}
    }
    match row.transport {
        Transport::Tcp => {}
        Transport::Grpc => listener["grpc-service-name"] = json!(SERVICE),
        transport => match xhttp(transport) {
            Some(settings) => listener["xhttp-config"] = settings,
            None => listener["ws-path"] = json!(PATH),
        },
    }
    listener
}

/// The server's side of XHTTP, in its own words.
fn xhttp(transport: Transport) -> Option<Value> {
    match transport {
        Transport::Xhttp(mode) => Some(json!({ "path": PATH, "mode": mode })),
        Transport::XhttpHttp1 => Some(json!({ "path": PATH, "mode": "packet-up" })),
        // The same as `EXTRA`.
        Transport::XhttpPlaced => Some(json!({
            "path": PATH,
            "mode": "packet-up",
            "x-padding-obfs-mode": true,
            "x-padding-placement": "header",
            "x-padding-header": "X-Token",
            "x-padding-method": "tokenish",
            "x-padding-bytes": "50-120",
            "session-placement": "cookie",
            "seq-placement": "query",
            "uplink-http-method": "PUT",
            "sc-max-each-post-bytes": "100000",
        })),
        _ => None,
    }
}

fn shadowsocks(method: &str) -> Value {
    let password = if method.starts_with("2022-") { server_key(method) } else { PASSWORD.to_owned() };
    json!({ "type": "shadowsocks", "cipher": method, "password": password })
}

fn hysteria2(disguise: Option<&str>, bandwidth: bool) -> Value {
    let mut listener = json!({ "type": "hysteria2", "users": { USER: PASSWORD }, "alpn": ["h3"] });
    if let Some(disguise) = disguise {
        listener["obfs"] = json!(disguise);
        listener["obfs-password"] = json!(OBFS_PASSWORD);
    }
    if bandwidth {
        listener["up"] = json!(format!("{MBPS} Mbps"));
        listener["down"] = json!(format!("{MBPS} Mbps"));
    }
    listener
}
