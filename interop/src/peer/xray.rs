//! Xray and v2ray as the server: one configuration, two sets of abilities.

use std::{net::SocketAddr, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::Part;
use crate::{
    certificate::Certificate,
    core_servers,
    row::{Protocol, Row, Transport, Trust},
    secrets::{
        ECH_KEYS, EXTRA, ID, ML_DSA_SEED, PASSWORD, PATH, REALITY_KEY, SERVER_NAME, SERVICE, SERVICE_PATH, SHORT_ID,
        USER, decryption, server_key, user_key,
    },
};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Xray 26.
    Xray,
    /// v2ray 4.34, as Debian ships it.
    V2ray,
}

/// What each can be.
pub(super) fn plays(row: Row, dialect: Dialect) -> bool {
    let xray = dialect == Dialect::Xray;
    let protocol = match row.protocol {
        Protocol::Shadowsocks { method, .. } if method.starts_with("2022-") => xray,
        Protocol::Shadowsocks { method, .. } => {
            ["aes-128-gcm", "aes-256-gcm", "chacha20-ietf-poly1305", "none"].contains(&method)
        }
        Protocol::Plugged(_) | Protocol::AnyTls | Protocol::Core(_) => false,
        Protocol::Encrypted { .. } => xray,
        Protocol::Vmess { cipher: "zero", .. } | Protocol::VlessVision => xray,
        Protocol::Hysteria2 { .. } | Protocol::Tuic { .. } | Protocol::WireGuard => false,
        _ => true,
    };
    // Early data came after v2ray 4.34; in the path, Xray never had it. HTTP/2 by itself has left Xray; gRPC and
    // HTTPUpgrade came after v2ray 4.34.
    let transport = match row.transport {
        Transport::Tcp | Transport::WebSocket | Transport::HttpHeader => true,
        Transport::EarlyHeader | Transport::HttpUpgrade | Transport::EarlyUpgrade => xray,
        Transport::Grpc | Transport::GrpcMulti | Transport::GrpcPath => xray,
        Transport::Xhttp(_) | Transport::XhttpHttp1 | Transport::XhttpPlaced => xray,
        Transport::XhttpApart(_) | Transport::XhttpHttp3(_) | Transport::XhttpGet => xray,
        Transport::Http2 => !xray,
        Transport::EarlyPath => false,
        // A disguise that came after v2ray 4.34.
        Transport::Kcp { header, .. } => xray || header != "dns",
    };
    let security = xray || !matches!(row.tls, Some(Trust::Reality { .. } | Trust::Ech));
    protocol && transport && security
}

/// The whole configuration.
pub(super) fn render(parts: &[Part], certificate: &Certificate, site: SocketAddr, dialect: Dialect) -> Value {
    let mut inbounds: Vec<Value> = parts.iter().map(|part| inbound(part, certificate, site, dialect)).collect();
    inbounds.extend(parts.iter().filter_map(|part| download_inbound(part, certificate)));
    inbounds.push(json!({
        "tag": "site",
        "listen": site.ip(),
        "port": site.port(),
        "protocol": "http",
        "settings": {},
        "streamSettings": tls(&certificate.long_chain, &certificate.key),
    }));
    json!({
        "log": { "loglevel": "warning" },
        "inbounds": inbounds,
        "outbounds": [{ "protocol": "freedom", "settings": {} }],
    })
}

fn inbound(part: &Part, certificate: &Certificate, site: SocketAddr, dialect: Dialect) -> Value {
    let (protocol, settings) = settings(part.row.protocol);
    let mut stream = carrier(part.row.transport, dialect);
    stream["security"] = json!("none");
    let mut security = match part.row.tls {
        None => Value::Null,
        Some(Trust::Reality { ml_dsa, .. }) => reality(site, ml_dsa),
        Some(Trust::Browser | Trust::Ech) if dialect == Dialect::Xray => {
            // To a browser's hello, whose ECH has nothing inside, it answers with its configurations.
            let mut tls = tls(&certificate.chain, &certificate.key);
            tls["tlsSettings"]["echServerKeys"] = json!(ECH_KEYS);
            tls
        }
        Some(_) => tls(&certificate.chain, &certificate.key),
    };
    if let Transport::XhttpHttp3(_) = part.row.transport {
        security["tlsSettings"]["alpn"] = json!(["h3"]);
    }
    if let (Some(stream), Value::Object(security)) = (stream.as_object_mut(), security) {
        stream.extend(security);
    }
    json!({
        "tag": part.row.to_string(),
        "listen": part.address.ip(),
        "port": part.address.port(),
        "protocol": protocol,
        "settings": settings,
        "streamSettings": stream,
    })
}

/// The other way to a row's server. It takes off TLS that the server does not have itself: by a fallback, because what
/// a `dokodemo-door` with TLS sends back is not encrypted.
fn download_inbound(part: &Part, certificate: &Certificate) -> Option<Value> {
    if !part.row.has_download_listener() {
        return None;
    }
    let mut download = json!({ "tag": format!("download of {}", part.row), "listen": part.download.ip(), "port": part.download.port() });
    if part.row.tls.is_none() {
        let fallbacks = json!([{ "dest": part.address.to_string() }]);
        download["protocol"] = json!("vless");
        download["settings"] = json!({ "clients": [{ "id": ID }], "decryption": "none", "fallbacks": fallbacks });
        download["streamSettings"] = tls(&certificate.chain, &certificate.key);
    } else {
        download["protocol"] = json!("dokodemo-door");
        download["settings"] = json!({ "address": part.address.ip(), "port": part.address.port(), "network": "tcp" });
    }
    Some(download)
}

fn carrier(transport: Transport, dialect: Dialect) -> Value {
    let grpc =
        |service: &str| json!({ "network": "grpc", "grpcSettings": { "serviceName": service, "multiMode": true } });
    match transport {
        Transport::Tcp => json!({ "network": "tcp" }),
        Transport::HttpHeader => {
            let header = json!({ "type": "http", "request": { "path": [PATH] } });
            json!({ "network": "tcp", "tcpSettings": { "header": header } })
        }
        Transport::WebSocket | Transport::EarlyHeader | Transport::EarlyPath => {
            json!({ "network": "ws", "wsSettings": { "path": PATH } })
        }
        Transport::HttpUpgrade | Transport::EarlyUpgrade => {
            json!({ "network": "httpupgrade", "httpupgradeSettings": { "path": PATH } })
        }
        Transport::Grpc | Transport::GrpcMulti => grpc(SERVICE),
        Transport::GrpcPath => grpc(SERVICE_PATH),
        Transport::Xhttp(mode) => json!({ "network": "xhttp", "xhttpSettings": { "path": PATH, "mode": mode } }),
        Transport::XhttpApart(mode) | Transport::XhttpHttp3(mode) => {
            json!({ "network": "xhttp", "xhttpSettings": { "path": PATH, "mode": mode } })
        }
        Transport::XhttpGet => {
            let settings = json!({ "path": PATH, "mode": "packet-up", "uplinkHTTPMethod": "GET" });
            json!({ "network": "xhttp", "xhttpSettings": settings })
        }
        Transport::XhttpHttp1 => json!({ "network": "xhttp", "xhttpSettings": { "path": PATH, "mode": "packet-up" } }),
        Transport::XhttpPlaced => {
            let extra: Value = serde_json::from_str(EXTRA).unwrap_or_default();
            let settings = json!({ "path": PATH, "mode": "packet-up", "extra": extra });
            json!({ "network": "xhttp", "xhttpSettings": settings })
        }
        Transport::Kcp { header, seed } => core_servers::kcp_settings(header, seed, dialect == Dialect::Xray),
        Transport::Http2 => {
            json!({ "network": "http", "httpSettings": { "path": PATH, "host": ["disguise.interop.test"] } })
        }
    }
}

fn tls(chain: &Path, key: &Path) -> Value {
    let pair = json!({ "certificateFile": chain, "keyFile": key });
    json!({ "security": "tls", "tlsSettings": { "certificates": [pair] } })
}

fn reality(site: SocketAddr, ml_dsa: bool) -> Value {
    let mut settings = json!({
        "dest": site.to_string(),
        "serverNames": [SERVER_NAME],
        "privateKey": URL_SAFE_NO_PAD.encode(REALITY_KEY),
        "shortIds": [SHORT_ID],
    });
    if ml_dsa {
        settings["mldsa65Seed"] = json!(URL_SAFE_NO_PAD.encode(ML_DSA_SEED));
    }
    json!({ "security": "reality", "realitySettings": settings })
}

fn settings(protocol: Protocol) -> (&'static str, Value) {
    let account = json!([{ "user": USER, "pass": PASSWORD }]);
    match protocol {
        Protocol::Socks4 | Protocol::Socks4a | Protocol::Socks5 { password: false } => {
            ("socks", json!({ "auth": "noauth", "udp": true, "ip": "127.0.0.1" }))
        }
        Protocol::Socks5 { password: true } => {
            ("socks", json!({ "auth": "password", "accounts": account, "udp": true, "ip": "127.0.0.1" }))
        }
        Protocol::Http { password: false } => ("http", json!({})),
        Protocol::Http { password: true } => ("http", json!({ "accounts": account })),
        Protocol::Shadowsocks { method, users } => ("shadowsocks", shadowsocks(method, users)),
        Protocol::Plugged(_) | Protocol::AnyTls | Protocol::Core(_) => ("", Value::Null),
        Protocol::Vmess { alter, .. } => ("vmess", json!({ "clients": [{ "id": ID, "alterId": alter }] })),
        Protocol::Encrypted { looks, post_quantum, vision, .. } => {
            let flow = if vision { "xtls-rprx-vision" } else { "" };
            let client = json!({ "id": ID, "flow": flow });
            ("vless", json!({ "clients": [client], "decryption": decryption(looks, post_quantum) }))
        }
        Protocol::Vless => ("vless", json!({ "clients": [{ "id": ID }], "decryption": "none" })),
        Protocol::VlessVision => {
            let client = json!({ "id": ID, "flow": "xtls-rprx-vision" });
            ("vless", json!({ "clients": [client], "decryption": "none" }))
        }
        Protocol::Trojan | Protocol::Chain => ("trojan", json!({ "clients": [{ "password": PASSWORD }] })),
        // No row that it plays.
        Protocol::Hysteria2 { .. } | Protocol::Tuic { .. } | Protocol::WireGuard => ("", Value::Null),
    }
}

fn shadowsocks(method: &str, users: bool) -> Value {
    let password = if method.starts_with("2022-") { server_key(method) } else { PASSWORD.to_owned() };
    let mut settings = json!({ "method": method, "password": password, "network": "tcp,udp" });
    if users {
        settings["clients"] = json!([{ "password": user_key(method), "email": USER }]);
    }
    settings
}
