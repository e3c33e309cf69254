//! One outbound of Xray or v2ray, turned into nodes: it may name several servers.

use hezar_core::{
    Carrier, HttpProxy, Hysteria2, NodeSpec, Outbound, Pin, Secret, SecurityKind, SocksProxy, SocksVersion,
    UNREADABLE_PIN, XhttpDownload,
};

use super::{clash::read::reserved_text, headers, json, tree::Tree, xhttp};
use crate::{
    RejectCode,
    carrier::{CarrierText, SecurityText},
    field, outbound,
    outbound::{UserText, WireGuardText},
};

/// Outbounds that are no proxy servers.
const SILENT: &[&str] = &["freedom", "blackhole", "dns", "loopback", "direct", "block"];

/// One result for each server that the entry names; nothing for an entry that is no proxy.
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
            Outbound::Socks(SocksProxy { version: SocksVersion::V5, credentials, tls: optional_tls(stream)? })
        }
        "http" => {
            let credentials = field::credentials(user.text(&["user"]), user.text(&["pass"]));
            Outbound::Http(HttpProxy { credentials, tls: optional_tls(stream)? })
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

fn security(stream: &Tree) -> SecurityText<'_> {
    let (kind, opts) = match stream.text(&["security"]).to_ascii_lowercase().as_str() {
        "tls" | "xtls" => (SecurityKind::Tls, stream.any(&["tlsSettings", "xtlsSettings"])),
        "reality" => (SecurityKind::Reality, stream.get("realitySettings")),
        _ => (SecurityKind::None, stream.get("tlsSettings")),
    };
    SecurityText {
        kind,
        server_name: opts.text(&["serverName"]),
        alpn: opts.get("alpn").words(),
        skip_verify: opts.flag(&["allowInsecure"]),
        pins: pins(opts),
        verify_names: opts.any(&["verifyPeerCertByName", "verifyPeerCertInNames"]).words(),
        fingerprint: opts.text(&["fingerprint"]),
        ech: opts.text(&["echConfigList"]),
        // Newer versions call the server's public key a password.
        public_key: opts.text(&["publicKey", "password"]),
        short_id: opts.text(&["shortId"]),
        spider_x: opts.text(&["spiderX"]),
        mldsa65_verify: opts.text(&["mldsa65Verify"]),
        ..SecurityText::default()
    }
}

/// Hashes of certificates, or the only authorities that count. Hashes of chains and of keys cannot be checked here.
fn pins(opts: &Tree) -> Vec<Pin> {
    let other = ["pinnedPeerCertificateChainSha256", "pinnedPeerCertificatePublicKeySha256"];
    if !opts.any(&other).texts().is_empty() {
        return vec![UNREADABLE_PIN];
    }
    let hashes = opts.any(&["pinnedPeerCertSha256", "pinnedPeerCertificateSha256"]).texts();
    if !hashes.is_empty() || !opts.flag(&["disableSystemRoot"]) {
        return field::pins(&hashes.join(","));
    }
    let authority = |certificate: &&Tree| certificate.text(&["usage"]) == "verify";
    let authorities = opts.get("certificates").items().iter().filter(authority);
    field::pem_pins(&authorities.flat_map(|certificate| certificate.get("certificate").texts()).collect::<Vec<_>>())
}

fn optional_tls(stream: &Tree) -> Result<Option<hezar_core::Tls>, RejectCode> {
    let security = security(stream);
    match security.kind {
        SecurityKind::None => Ok(None),
        SecurityKind::Tls => Ok(Some(security.tls())),
        SecurityKind::Reality => Err(RejectCode::ImpossiblePair),
    }
}

fn carrier(stream: &Tree) -> Result<Carrier, RejectCode> {
    let network = stream.text(&["network", "method"]);
    let mut text = CarrierText { network, ..CarrierText::default() };
    let opts = match network.to_ascii_lowercase().as_str() {
        "ws" | "websocket" => stream.get("wsSettings"),
        "httpupgrade" => stream.get("httpupgradeSettings"),
        "http" | "h2" => stream.get("httpSettings"),
        "xhttp" | "splithttp" => xhttp_settings(stream),
        "grpc" | "gun" => stream.any(&["grpcSettings", "gunSettings"]),
        "kcp" | "mkcp" => stream.get("kcpSettings"),
        "quic" => stream.get("quicSettings"),
        _ => stream.any(&["rawSettings", "tcpSettings"]),
    };
    (text.hosts, text.headers) = headers::split(opts.get("headers"));
    let hosts = opts.get("host").texts();
    if !hosts.is_empty() {
        text.hosts = hosts;
    }
    text.paths = opts.get("path").texts();
    text.service_name = opts.text(&["serviceName"]);
    text.authority = opts.text(&["authority"]);
    text.mode = if opts.flag(&["multiMode"]) { "multi" } else { opts.text(&["mode"]) };
    let extra = xhttp::extra_of(xhttp_settings(stream));
    text.extra = &extra;
    text.seed = opts.text(&["seed"]);
    text.quic_security = opts.text(&["security"]);
    text.quic_key = opts.text(&["key"]);
    let header = opts.get("header");
    text.header_type = header.text(&["type"]);
    if text.header_type == "http" {
        let request = header.get("request");
        text.hosts = headers::split(request.get("headers")).0;
        text.paths = request.get("path").texts();
    }
    text.carrier(&security(stream))
}

fn xhttp_settings(stream: &Tree) -> &Tree {
    stream.any(&["xhttpSettings", "splithttpSettings"])
}

/// What an `extra` object of XHTTP says about a download that takes another way (`downloadSettings`).
pub(crate) fn download(extra: &str) -> Result<Option<XhttpDownload>, RejectCode> {
    let trees = if extra.contains("downloadSettings") { json::read(extra).unwrap_or_default() } else { Vec::new() };
    let Some(stream @ Tree::Map(_)) = trees.first().map(|extra| extra.get("downloadSettings")) else {
        return Ok(None);
    };
    if !["", "xhttp", "splithttp"].iter().any(|name| stream.text(&["network"]).eq_ignore_ascii_case(name)) {
        return Err(RejectCode::ImpossiblePair);
    }
    let server = match (stream.text(&["address"]), stream.text(&["port"])) {
        ("", "") => None,
        (host, port) => Some(field::server(host, port)?),
    };
    let opts = xhttp_settings(stream);
    let extra = xhttp::extra_of(opts);
    let hosts = opts.get("host").texts();
    let text = CarrierText {
        hosts: if hosts.is_empty() { headers::split(opts.get("headers")).0 } else { hosts },
        paths: opts.get("path").texts(),
        extra: &extra,
        ..CarrierText::default()
    };
    Ok(Some(XhttpDownload { server, xhttp: text.xhttp(), security: security(stream).security()? }))
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

/// Xray spells Hysteria 2 as a protocol and a transport of its own.
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
