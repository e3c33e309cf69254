//! The servers that there are of protocols that only a core dials, and the links to them.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    core_protocol::CoreProtocol,
    secrets::{Access, MBPS, OBFS_PASSWORD, PASSWORD, SERVER_NAME, USER},
};

/// The method of ShadowsocksR: one that the system's OpenSSL still has.
const METHOD: &str = "aes-256-cfb";

/// The server as an entry of the list that interop/shadowsocksr reads; nothing of other protocols.
pub(crate) fn shadowsocksr_server(protocol: CoreProtocol, server: SocketAddr) -> Option<Value> {
    let CoreProtocol::ShadowsocksR { protocol, obfs } = protocol else { return None };
    let (port, method) = (server.port(), METHOD);
    Some(json!({ "server_port": port, "password": PASSWORD, "method": method, "protocol": protocol, "obfs": obfs }))
}

/// mihomo's listener for a protocol, without what every listener has; it has none of ShadowsocksR and Hysteria 1.
pub(crate) fn mihomo_listener(protocol: CoreProtocol) -> Option<Value> {
    Some(match protocol {
        CoreProtocol::ShadowsocksR { .. } | CoreProtocol::Hysteria { .. } => return None,
        CoreProtocol::Snell { version, obfs } => {
            let obfs = if obfs { "http" } else { "" };
            let obfs = json!({ "mode": obfs, "host": SERVER_NAME });
            json!({ "type": "snell", "psk": PASSWORD, "version": version, "obfs-opts": obfs })
        }
        CoreProtocol::TuicToken => json!({ "type": "tuic", "token": [PASSWORD], "alpn": ["h3"] }),
        CoreProtocol::Mieru { udp } => {
            let transport = if udp { "UDP" } else { "TCP" };
            json!({ "type": "mieru", "transport": transport, "users": { USER: PASSWORD } })
        }
        CoreProtocol::Sudoku => json!({ "type": "sudoku", "key": PASSWORD, "table-type": "prefer_ascii" }),
        CoreProtocol::TrustTunnel { .. } => {
            let users = json!([{ "username": USER, "password": PASSWORD }]);
            json!({ "type": "trusttunnel", "users": users, "network": ["tcp", "udp"], "congestion-controller": "bbr" })
        }
        // Whoever does not know the password is led to another server; here nobody listens there (RFC 863).
        CoreProtocol::ShadowQuic => {
            let users = json!([{ "username": USER, "password": PASSWORD }]);
            let upstream = json!({ "addr": "127.0.0.1:9", "server-name": SERVER_NAME });
            json!({ "type": "shadowquic", "users": users, "jls-upstream": upstream })
        }
    })
}

/// sing-box's inbound for a protocol, without what every inbound has.
pub(crate) fn sing_box_inbound(protocol: CoreProtocol) -> Option<Value> {
    let CoreProtocol::Hysteria { obfs } = protocol else { return None };
    let users = json!([{ "name": USER, "auth_str": PASSWORD }]);
    let mut inbound = json!({ "type": "hysteria", "users": users, "up_mbps": MBPS, "down_mbps": MBPS });
    if obfs {
        inbound["obfs"] = json!(OBFS_PASSWORD);
    }
    Some(inbound)
}

/// The link of a protocol; `tls` are the words of its security.
pub(crate) fn link(protocol: CoreProtocol, server: SocketAddr, tls: &str, access: Access) -> String {
    let password = access.password();
    match protocol {
        CoreProtocol::ShadowsocksR { protocol, obfs } => {
            let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
            let name = encode(SERVER_NAME);
            let body = format!("{server}:{protocol}:{METHOD}:{obfs}:{}/?obfsparam={name}", encode(password));
            format!("ssr://{}", encode(&body))
        }
        CoreProtocol::Hysteria { obfs } => {
            let obfs = if obfs { format!("&obfs=xplus&obfsParam={OBFS_PASSWORD}") } else { String::new() };
            format!("hysteria://{server}?auth={password}&upmbps={MBPS}&downmbps={MBPS}&alpn=h3{obfs}&{tls}")
        }
        CoreProtocol::Snell { version, obfs } => {
            let obfs = if obfs { format!("&obfs=http&obfs-host={SERVER_NAME}") } else { String::new() };
            format!("snell://{password}@{server}?version={version}{obfs}")
        }
        CoreProtocol::TuicToken => format!("tuic://{password}@{server}?alpn=h3&{tls}"),
        CoreProtocol::Mieru { udp } => {
            let (host, port, transport) = (server.ip(), server.port(), if udp { "UDP" } else { "TCP" });
            format!("mierus://{USER}:{password}@{host}?port={port}&protocol={transport}")
        }
        CoreProtocol::Sudoku => clash_link("sudoku", server, &json!({ "key": password, "table-type": "prefer_ascii" })),
        CoreProtocol::TrustTunnel { quic } => {
            let alpn = if quic { json!(["h3"]) } else { Value::Null };
            let settings = json!({
                "username": USER, "password": password, "sni": SERVER_NAME, "skip-cert-verify": true, "quic": quic, "alpn": alpn,
            });
            clash_link("trusttunnel", server, &settings)
        }
        CoreProtocol::ShadowQuic => {
            let settings = json!({ "username": USER, "password": password, "sni": SERVER_NAME });
            clash_link("shadowquic", server, &settings)
        }
    }
}

/// The link of a protocol that has none of its own.
fn clash_link(kind: &str, server: SocketAddr, settings: &Value) -> String {
    let settings = URL_SAFE_NO_PAD.encode(settings.to_string());
    format!("hezar-clash://{kind}@{server}?settings={settings}")
}

/// The words of a link for mKCP.
pub(crate) fn kcp_words(header: &str, seed: bool) -> Vec<String> {
    let header = if header.is_empty() { String::new() } else { format!("headerType={header}") };
    let seed = if seed { format!("seed={OBFS_PASSWORD}") } else { String::new() };
    ["type=kcp".to_owned(), header, seed].into_iter().filter(|word| !word.is_empty()).collect()
}

/// An inbound's settings of mKCP: Xray's since 2026, or those of v2ray and of Xray before.
pub(crate) fn kcp_settings(header: &str, seed: bool, masks: bool) -> Value {
    if !masks {
        let mut settings = json!({ "header": { "type": if header.is_empty() { "none" } else { header } } });
        if seed {
            settings["seed"] = json!(OBFS_PASSWORD);
        }
        return json!({ "network": "kcp", "kcpSettings": settings });
    }
    let mask = match header {
        "" => None,
        "wechat-video" => Some("header-wechat".to_owned()),
        header => Some(format!("header-{header}")),
    };
    let inner = if seed {
        json!({ "type": "mkcp-aes128gcm", "settings": { "password": OBFS_PASSWORD } })
    } else {
        json!({ "type": "mkcp-original" })
    };
    let masks: Vec<Value> = mask.map(|name| json!({ "type": name })).into_iter().chain([inner]).collect();
    json!({ "network": "kcp", "finalmask": { "udp": masks } })
}

/// What mihomo's Shadowsocks listener says of kcptun.
pub(crate) fn mihomo_kcptun() -> Value {
    json!({ "enable": true, "key": OBFS_PASSWORD })
}
