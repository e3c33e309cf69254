//! The fuzz targets, one for each decoder: any bytes in, no panic and no endless work.

mod datagrams;
mod inbound;
mod inbound_sessions;
mod outbound;

use hezar_formats::{Hints, parse, parse_link, parse_with, to_link};

/// A decoder that takes any bytes.
pub type Decoder = fn(&[u8]);

/// Every decoder by name.
pub const DECODERS: &[(&str, Decoder)] = &[
    ("text", text),
    ("link", link),
    ("list", list),
    ("config", config),
    ("outbound", outbound::answer),
    ("datagrams", datagrams::answer),
    ("socks-datagram", hezar_gateway::fuzzing::datagram),
    ("http-request", hezar_gateway::fuzzing::http_request),
    ("proxy-header", hezar_accept::fuzzing::proxy_header),
    ("http-answer", hezar_engine::fuzzing::http_answer),
    ("grpc", outbound::grpc),
    ("xhttp", outbound::xhttp),
    ("http", outbound::http),
    ("http3", hezar_engine::fuzzing::http3),
    ("hysteria2", hezar_engine::fuzzing::hysteria2),
    ("server-hysteria2", hezar_engine::fuzzing::server_hysteria2),
    ("tuic", hezar_engine::fuzzing::tuic),
    ("disguise", hezar_engine::fuzzing::disguise),
    ("fragments", hezar_engine::fuzzing::fragments),
    ("reality", hezar_engine::fuzzing::reality),
    ("server-reality", hezar_engine::fuzzing::server_reality),
    ("vision", hezar_engine::fuzzing::vision),
    ("anytls", hezar_engine::fuzzing::anytls),
    ("plugins", hezar_engine::fuzzing::plugins),
    ("tls", hezar_engine::fuzzing::tls),
    ("tls-records", hezar_engine::fuzzing::tls_records),
    ("shadow-tls", hezar_engine::fuzzing::shadow_tls),
    ("encryption", hezar_engine::fuzzing::encryption),
    ("tunnel", hezar_engine::fuzzing::tunnel),
    ("server-anytls", hezar_engine::fuzzing::server_anytls),
    ("server-tls", hezar_engine::fuzzing::server_tls),
    ("server-trojan", hezar_engine::fuzzing::server_trojan),
    ("server-vless", inbound::vless),
    ("server-websocket", inbound::websocket),
    ("server-http", inbound::http),
    ("server-grpc", inbound_sessions::grpc),
    ("server-http2", inbound_sessions::http2),
    ("server-xhttp", inbound_sessions::xhttp),
    ("server-shadowsocks", hezar_engine::fuzzing::server_shadowsocks),
    ("server-shadowsocks-udp", hezar_engine::fuzzing::server_shadowsocks_udp),
];

/// Any text: links, subscriptions, YAML, JSON, INI, HTML. What it reads must survive writing.
fn text(data: &[u8]) {
    for entry in parse(data).nodes.iter().take(64) {
        round_trip(&entry.spec, &entry.label);
    }
}

/// One link.
fn link(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok((spec, label)) = parse_link(text)
    {
        round_trip(&spec, &label);
    }
}

/// A bare list under another default scheme.
fn list(data: &[u8]) {
    for entry in parse_with(data, &Hints::from_file_name("socks5.txt")).nodes.iter().take(64) {
        round_trip(&entry.spec, &entry.label);
    }
}

/// A configuration file.
fn config(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(config) = hezar::config::Config::read(text, None, &hezar::config::Layers::default())
    {
        let shown = config.show();
        assert!(hezar::config::Config::read(&shown, None, &hezar::config::Layers::default()).is_ok(), "{shown}");
    }
}

fn round_trip(spec: &hezar_core::NodeSpec, label: &hezar_core::Label) {
    let link = to_link(spec, label);
    match parse_link(&link) {
        Ok(again) => assert_eq!((&again.0, &again.1), (spec, label), "{link}"),
        Err(code) => panic_with(&link, code),
    }
}

#[allow(clippy::panic, reason = "a broken law is what a fuzz target is for")]
fn panic_with(link: &str, code: hezar_formats::RejectCode) {
    panic!("a written link is refused with {}: {link}", code.code());
}
