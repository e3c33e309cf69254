//! Reads Xray's `streamSettings`: a transport with its security, and XHTTP's `extra` object, which may hold another one.

use hezar_core::{Carrier, Pin, SecurityKind, UNREADABLE_PIN, XhttpDownload};

use super::{CarrierText, SecurityText};
use crate::{
    RejectCode, field,
    tree::{Tree, headers, json},
};

/// The disguises of mKCP's packets, and what they are called in `finalmask`.
pub(crate) const KCP_MASKS: [(&str, &str); 6] = [
    ("dns", "header-dns"),
    ("dtls", "header-dtls"),
    ("srtp", "header-srtp"),
    ("utp", "header-utp"),
    ("wechat-video", "header-wechat"),
    ("wireguard", "header-wireguard"),
];
/// What encrypts mKCP's packets with a key from the seed, in `finalmask`.
pub(crate) const KCP_AES: &str = "mkcp-aes128gcm";
/// What protects mKCP's packets where there is no seed, in `finalmask`.
pub(crate) const KCP_ORIGINAL: &str = "mkcp-original";

/// The security that `streamSettings` describe.
pub(crate) fn security(stream: &Tree) -> SecurityText<'_> {
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
        // Newer versions call the public key of the server a password.
        public_key: opts.text(&["publicKey", "password"]),
        short_id: opts.text(&["shortId"]),
        spider_x: opts.text(&["spiderX"]),
        mldsa65_verify: opts.text(&["mldsa65Verify"]),
        ..SecurityText::default()
    }
}

/// The pinned certificates: hashes of certificates, or the only authorities that are trusted. Hashes of chains and of keys
/// cannot be checked here.
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

/// The security of a transport that has TLS or nothing; REALITY is refused.
pub(crate) fn optional_tls(stream: &Tree) -> Result<Option<hezar_core::Tls>, RejectCode> {
    let security = security(stream);
    match security.kind {
        SecurityKind::None => Ok(None),
        SecurityKind::Tls => Ok(Some(security.tls())),
        SecurityKind::Reality => Err(RejectCode::ImpossiblePair),
    }
}

/// The transport and security that `streamSettings` describe.
pub(crate) fn carrier(stream: &Tree) -> Result<Carrier, RejectCode> {
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
    let extra = extra_of(xhttp_settings(stream));
    text.extra = &extra;
    text.seed = opts.text(&["seed"]);
    text.quic_security = opts.text(&["security"]);
    text.quic_key = opts.text(&["key"]);
    let header = opts.get("header");
    text.header_type = header.text(&["type"]);
    if matches!(network.to_ascii_lowercase().as_str(), "kcp" | "mkcp") {
        text.hosts = header.get("domain").texts();
        kcp_masks(stream, &mut text);
    }
    if text.header_type == "http" {
        let request = header.get("request");
        text.hosts = headers::split(request.get("headers")).0;
        text.paths = request.get("path").texts();
    }
    text.carrier(&security(stream))
}

/// What hides mKCP's packets, where `finalmask` says it (since 2026).
fn kcp_masks<'a>(stream: &'a Tree, text: &mut CarrierText<'a>) {
    for mask in stream.get("finalmask").get("udp").items() {
        let (name, settings) = (mask.text(&["type"]), mask.get("settings"));
        if name == KCP_AES {
            text.seed = settings.text(&["password"]);
        } else if let Some((header, _)) = KCP_MASKS.iter().find(|(_, mask)| *mask == name) {
            text.header_type = header;
            text.hosts = settings.get("domain").texts();
        }
    }
}

fn xhttp_settings(stream: &Tree) -> &Tree {
    stream.any(&["xhttpSettings", "splithttpSettings"])
}

/// The settings of a download over another server or transport (`downloadSettings`) in an `extra` object of XHTTP.
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
    let extra = extra_of(opts);
    let hosts = opts.get("host").texts();
    let text = CarrierText {
        hosts: if hosts.is_empty() { headers::split(opts.get("headers")).0 } else { hosts },
        paths: opts.get("path").texts(),
        extra: &extra,
        ..CarrierText::default()
    };
    Ok(Some(XhttpDownload { server, xhttp: text.xhttp(), security: security(stream).security()? }))
}

/// The `extra` object of Xray's `xhttpSettings`, as compact JSON: its own, or else the settings that stand beside it.
fn extra_of(opts: &Tree) -> String {
    let extra = extra_text(opts.get("extra"));
    if !extra.is_empty() {
        return extra;
    }
    let other = |(name, _): &&(Box<str>, Tree)| !["host", "path", "mode", "extra"].contains(&name.as_ref());
    let others: Vec<_> = opts.pairs().iter().filter(other).cloned().collect();
    if others.is_empty() { String::new() } else { Tree::Map(others).json() }
}

/// An `extra` object, or a text that holds one, as compact JSON; empty when there is none.
pub(crate) fn extra_text(extra: &Tree) -> String {
    match extra {
        Tree::Map(pairs) if !pairs.is_empty() => extra.json(),
        Tree::Quoted(text) => match json::read(text).as_deref() {
            Ok([tree @ Tree::Map(pairs)]) if !pairs.is_empty() => tree.json(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}
