//! The share link of a row: what a user would paste.

use std::net::SocketAddr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    certificate::Certificate,
    core_servers,
    peer::Part,
    row::{Plugged, Protocol, Row, Transport, Trust},
    secrets::{
        self, Access, ECH_LIST, EXTRA, MBPS, OBFS_PASSWORD, PATH, SERVER_NAME, SERVICE, SERVICE_PATH, SHORT_ID, USER,
    },
};

/// The most early bytes that the links ask for.
const EARLY: u32 = 2048;

/// Writes it.
pub(crate) fn link(part: Part, certificate: &Certificate, access: Access) -> String {
    let Part { row, address: server, download, .. } = part;
    let password = access.password();
    let parameters = [transport(row, download, access), security(row, certificate, access)].concat().join("&");
    match row.protocol {
        Protocol::Socks4 => format!("socks4://{server}"),
        Protocol::Socks4a => format!("socks4a://{server}"),
        Protocol::Socks5 { password: false } => format!("socks5://{server}"),
        Protocol::Socks5 { password: true } => format!("socks5://{USER}:{password}@{server}"),
        Protocol::Http { password: with } => {
            let scheme = if row.tls.is_some() { "https" } else { "http" };
            let user = if with { format!("{USER}:{password}@") } else { String::new() };
            let tls = security(row, certificate, access);
            let tls = tls.iter().filter(|pair| !pair.starts_with("security=")).cloned().collect::<Vec<_>>().join("&");
            format!("{scheme}://{user}{server}{}{tls}", if tls.is_empty() { "" } else { "?" })
        }
        Protocol::Shadowsocks { method, .. } => {
            let pair = format!("{method}:{}", secrets::shadowsocks_password(row, access));
            format!("ss://{}@{server}", URL_SAFE_NO_PAD.encode(pair))
        }
        Protocol::Plugged(plugin) => {
            let inner = secrets::shadowsocks_password(row, access);
            let pair = URL_SAFE_NO_PAD.encode(format!("{}:{inner}", plugin.method()));
            let plugin = plugin_text(plugin, row.tls.is_some(), access);
            format!("ss://{pair}@{server}?plugin={}", plugin.replace(';', "%3B").replace('=', "%3D"))
        }
        Protocol::Encrypted { looks, rtt, post_quantum, vision } => {
            let encryption = secrets::encryption(looks, rtt, post_quantum);
            let flow = if vision { "&flow=xtls-rprx-vision" } else { "" };
            format!("vless://{}@{server}?encryption={encryption}{flow}&{parameters}", access.id())
        }
        Protocol::WireGuard => {
            let escape = |key: &str| key.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
            let (key, peer) = (escape(secrets::tunnel_key(access)), escape(secrets::TUNNEL_SERVER[1]));
            let (shared, own) = (escape(secrets::TUNNEL_SHARED), escape(secrets::TUNNEL[1]));
            format!("wireguard://{key}@{server}?publickey={peer}&presharedkey={shared}&address={own}&mtu=1408")
        }
        Protocol::Chain => {
            let hop = URL_SAFE_NO_PAD.encode(format!("trojan://{password}@{server}?{parameters}"));
            format!("hezar-chain://{hop}.{hop}")
        }
        Protocol::Core(protocol) => {
            core_servers::link(protocol, server, &quic_security(row, certificate, access).join("&"), access)
        }
        Protocol::AnyTls => format!("anytls://{password}@{server}?{}", security(row, certificate, access).join("&")),
        Protocol::Vmess { cipher, alter } => {
            format!("vmess://{}@{server}?encryption={cipher}&alterId={alter}&{parameters}", access.id())
        }
        Protocol::Vless => format!("vless://{}@{server}?encryption=none&{parameters}", access.id()),
        Protocol::VlessVision => {
            format!("vless://{}@{server}?encryption=none&flow=xtls-rprx-vision&{parameters}", access.id())
        }
        Protocol::Trojan => format!("trojan://{password}@{server}?{parameters}"),
        Protocol::Tuic { congestion, streams } => {
            let mode = if streams { "quic" } else { "native" };
            let tls = quic_security(row, certificate, access).join("&");
            let user = format!("{}:{password}", access.id());
            format!("tuic://{user}@{server}?congestion_control={congestion}&udp_relay_mode={mode}&alpn=h3&{tls}")
        }
        Protocol::Hysteria2 { disguise, bandwidth } => {
            let disguise = disguise.map(|name| format!("obfs={name}&obfs-password={OBFS_PASSWORD}"));
            let bandwidth = bandwidth.then(|| format!("upmbps={MBPS}&downmbps={MBPS}"));
            let tls = quic_security(row, certificate, access);
            let pairs: Vec<String> = tls.into_iter().chain(disguise).chain(bandwidth).collect();
            format!("hysteria2://{password}@{server}/?{}", pairs.join("&"))
        }
    }
}

fn plugin_text(plugin: Plugged, tls: bool, access: Access) -> String {
    let host = if access == Access::WrongCertificate { "other.interop.test" } else { SERVER_NAME };
    match plugin {
        Plugged::ObfsHttp => format!("obfs-local;obfs=http;obfs-host={host}"),
        Plugged::ObfsTls => format!("obfs-local;obfs=tls;obfs-host={host}"),
        Plugged::V2ray { mux } => {
            let tls = if tls { ";tls" } else { "" };
            let mux = if mux { "" } else { ";mux=0" };
            format!("v2ray-plugin{tls};host={host};path={PATH}{mux}")
        }
        Plugged::Kcptun => format!("kcptun;key={OBFS_PASSWORD}"),
        Plugged::ShadowTls { .. } => format!("shadow-tls;version=3;host={host};password={}", access.password()),
    }
}

/// The same as [`security`] in the words of links that are always TLS.
fn quic_security(row: Row, certificate: &Certificate, access: Access) -> Vec<String> {
    let pairs = security(row, certificate, access).into_iter();
    let renamed = |pair: String| pair.replace("pcs=", "pinSHA256=").replace("allowInsecure=", "insecure=");
    pairs.filter(|pair| !pair.starts_with("security=")).map(renamed).collect()
}

fn transport(row: Row, download: SocketAddr, access: Access) -> Vec<String> {
    let early = |more: &str| vec!["type=ws".to_owned(), format!("path={PATH}&ed={EARLY}{more}")];
    match row.transport {
        Transport::Tcp => vec!["type=tcp".to_owned()],
        Transport::WebSocket => vec!["type=ws".to_owned(), format!("path={PATH}")],
        Transport::EarlyHeader => early("&eh=Sec-WebSocket-Protocol"),
        // The parser's own spelling for early data without a header.
        Transport::EarlyPath => early("&eh=-"),
        Transport::HttpHeader => ["type=tcp", "headerType=http", "host=disguise.interop.test", &format!("path={PATH}")]
            .map(str::to_owned)
            .to_vec(),
        Transport::HttpUpgrade => vec!["type=httpupgrade".to_owned(), format!("path={PATH}")],
        Transport::EarlyUpgrade => vec!["type=httpupgrade".to_owned(), format!("path={PATH}%3Fed%3D{EARLY}")],
        Transport::Grpc => grpc(SERVICE, "gun"),
        Transport::GrpcMulti => grpc(SERVICE, "multi"),
        Transport::GrpcPath => grpc(SERVICE_PATH, "gun"),
        Transport::Xhttp(mode) => {
            ["type=xhttp", &format!("path={PATH}"), &format!("mode={mode}")].map(str::to_owned).to_vec()
        }
        Transport::XhttpHttp3(mode) => {
            ["type=xhttp", &format!("path={PATH}"), &format!("mode={mode}"), "alpn=h3"].map(str::to_owned).to_vec()
        }
        Transport::XhttpHttp1 => {
            ["type=xhttp", &format!("path={PATH}"), "mode=packet-up", "alpn=http%2F1.1"].map(str::to_owned).to_vec()
        }
        Transport::Kcp { header, seed } => core_servers::kcp_words(header, seed),
        Transport::XhttpPlaced => xhttp("packet-up", EXTRA),
        Transport::XhttpGet => xhttp("packet-up", r#"{"uplinkHTTPMethod":"GET"}"#),
        Transport::XhttpApart(mode) => xhttp(mode, &apart(row, download, access).to_string()),
        Transport::Http2 => {
            ["type=http", "host=disguise.interop.test", &format!("path={PATH}")].map(str::to_owned).to_vec()
        }
    }
}

fn xhttp(mode: &str, extra: &str) -> Vec<String> {
    let extra: String = extra.bytes().map(|byte| format!("%{byte:02x}")).collect();
    ["type=xhttp", &format!("path={PATH}"), &format!("mode={mode}"), &format!("extra={extra}")]
        .map(str::to_owned)
        .to_vec()
}

/// An `extra` with the way of the download.
fn apart(row: Row, download: SocketAddr, access: Access) -> Value {
    let mut settings = json!({
        "address": download.ip(),
        "port": download.port(),
        "network": "xhttp",
        "security": "tls",
        "tlsSettings": { "serverName": SERVER_NAME, "alpn": ["h2", "http/1.1"], "fingerprint": "firefox" },
        "xhttpSettings": { "path": PATH, "host": "disguise.interop.test" },
    });
    if matches!(row.tls, Some(Trust::Reality { .. })) {
        settings["security"] = json!("reality");
        settings["realitySettings"] = json!({
            "serverName": SERVER_NAME,
            "publicKey": secrets::reality_public_key(access),
            "shortId": SHORT_ID,
            "fingerprint": "chrome",
        });
    }
    json!({ "downloadSettings": settings })
}

fn grpc(service: &str, mode: &str) -> Vec<String> {
    let service = service.replace(' ', "%20").replace('|', "%7C");
    ["type=grpc", &format!("serviceName={service}"), &format!("mode={mode}")].map(str::to_owned).to_vec()
}

fn security(row: Row, certificate: &Certificate, access: Access) -> Vec<String> {
    let Some(trust) = row.tls else {
        return vec!["security=none".to_owned()];
    };
    let wrong = access == Access::WrongCertificate;
    let named = matches!(trust, Trust::Verify | Trust::Browser | Trust::Own | Trust::Ech);
    let name = if wrong && named { "other.interop.test" } else { SERVER_NAME };
    let kind = if matches!(trust, Trust::Reality { .. }) { "reality" } else { "tls" };
    let mut pairs = vec![format!("security={kind}"), format!("sni={name}")];
    match trust {
        Trust::Verify => {}
        Trust::Browser => pairs.push("fp=chrome".to_owned()),
        Trust::Own => pairs.push("fp=none".to_owned()),
        Trust::Ech => pairs.push(format!("fp=chrome&ech={}", ECH_LIST.replace('+', "%2B").replace('=', "%3D"))),
        Trust::Reality { hello, ml_dsa } => {
            pairs.push(format!("fp={hello}&sid={SHORT_ID}&pbk={}", secrets::reality_public_key(access)));
            if ml_dsa {
                pairs.push(format!("pqv={}", secrets::ml_dsa_public_key()));
            }
        }
        Trust::Pin if wrong => pairs.push(format!("pcs={}", "0f".repeat(32))),
        Trust::Pin => pairs.push(format!("pcs={}", certificate.pin)),
        Trust::Skip => pairs.push("allowInsecure=1".to_owned()),
    }
    pairs
}
