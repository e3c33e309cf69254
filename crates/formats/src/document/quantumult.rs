//! Reads rows `type = host:port, key=value, …, tag=name` of Quantumult X.

use hezar_core::{
    AnyTls, Carrier, HttpProxy, Label, NodeSpec, Outbound, Plugin, SecurityKind, SocksProxy, SocksVersion, Tls,
};

use super::ini::Row;
use crate::{
    Parsed, RejectCode,
    carrier::{CarrierText, SecurityText},
    field, outbound,
    outbound::{ShadowsocksRText, UserText},
};

const TYPES: &[&str] = &["shadowsocks", "vmess", "vless", "trojan", "http", "socks5", "anytls"];

/// Whether a line alone can be recognised as one of these rows.
pub(super) fn is_row(line: &str) -> bool {
    let Some(row) = Row::parse(line) else { return false };
    let known = TYPES.contains(&row.left.to_ascii_lowercase().as_str());
    known && row.plain.len() == 1 && row.at(0).rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

/// Reads one row.
pub(super) fn line(parsed: &mut Parsed, number: usize, text: &str) {
    let Some(row) = Row::parse(text) else { return parsed.refuse(number, text, RejectCode::BadField) };
    match node(&row) {
        Ok(spec) => parsed.accept(number, spec, Label::new(row.text(&["tag"]))),
        Err(code) => parsed.refuse(number, text, code),
    }
}

fn node(row: &Row<'_>) -> Result<NodeSpec, RejectCode> {
    let outbound = match row.left.to_ascii_lowercase().as_str() {
        "shadowsocks" => shadowsocks(row)?,
        "vmess" => {
            let alter_id = if row.denied(&["aead"]) { "1" } else { "0" };
            user(row, alter_id).vmess(carrier(row)?)?
        }
        "vless" => user(row, "").vless(carrier(row)?)?,
        "trojan" => outbound::trojan(row.text(&["password"]), None, carrier(row)?)?,
        "http" => Outbound::Http(HttpProxy { credentials: credentials(row), tls: optional_tls(row).map(Box::new) }),
        "socks5" => {
            let (credentials, tls) = (credentials(row), optional_tls(row));
            Outbound::Socks(SocksProxy { version: SocksVersion::V5, credentials, tls: tls.map(Box::new) })
        }
        "anytls" => {
            let password = outbound::credential(row.text(&["password"]))?;
            Outbound::AnyTls(Box::new(AnyTls { password, tls: security(row, SecurityKind::Tls).tls() }))
        }
        _ => return Err(RejectCode::UnsupportedScheme),
    };
    let (host, port) = row.at(0).rsplit_once(':').ok_or(RejectCode::BadPort)?;
    Ok(NodeSpec::new(field::server(host, port)?, outbound))
}

fn user<'a>(row: &'a Row<'_>, alter_id: &'a str) -> UserText<'a> {
    UserText {
        id: row.text(&["password"]),
        flow: row.text(&["vless-flow"]),
        alter_id,
        cipher: row.text(&["method"]),
        ..UserText::default()
    }
}

fn credentials(row: &Row<'_>) -> Option<hezar_core::Credentials> {
    field::credentials(row.text(&["username"]), row.text(&["password"]))
}

fn has_tls(row: &Row<'_>) -> bool {
    row.flag(&["over-tls"]) || matches!(row.text(&["obfs"]), "over-tls" | "wss")
}

fn security<'a>(row: &'a Row<'_>, kind: SecurityKind) -> SecurityText<'a> {
    SecurityText {
        kind,
        server_name: row.text(&["tls-host", "obfs-host"]),
        disable_sni: row.flag(&["tls-no-sni"]),
        alpn: field::list(row.text(&["tls-alpn"])),
        skip_verify: row.denied(&["tls-verification"]),
        pins: row.pins(&["tls-cert-sha256"]),
        public_key: row.text(&["reality-base64-pubkey"]),
        short_id: row.text(&["reality-hex-shortid"]),
        ..SecurityText::default()
    }
}

fn optional_tls(row: &Row<'_>) -> Option<Tls> {
    has_tls(row).then(|| security(row, SecurityKind::Tls).tls())
}

fn carrier(row: &Row<'_>) -> Result<Carrier, RejectCode> {
    let kind = match (has_tls(row), row.text(&["reality-base64-pubkey"])) {
        (_, key) if !key.is_empty() => SecurityKind::Reality,
        (true, _) => SecurityKind::Tls,
        (false, _) => SecurityKind::None,
    };
    let (network, header_type) = match row.text(&["obfs"]) {
        "ws" | "wss" => ("ws", ""),
        "http" | "vmess-http" => ("tcp", "http"),
        _ => ("tcp", ""),
    };
    let hosts = field::filled(row.text(&["obfs-host"])).into_iter().collect();
    let paths = field::filled(row.text(&["obfs-uri"])).into_iter().collect();
    CarrierText { network, header_type, hosts, paths, ..CarrierText::default() }.carrier(&security(row, kind))
}

fn shadowsocks(row: &Row<'_>) -> Result<Outbound, RejectCode> {
    let (method, password) = (row.text(&["method"]), row.text(&["password"]));
    let protocol = row.text(&["ssr-protocol"]);
    if !protocol.is_empty() {
        return ShadowsocksRText {
            method,
            password,
            protocol,
            protocol_param: row.text(&["ssr-protocol-param"]),
            obfs: row.text(&["obfs"]),
            obfs_param: row.text(&["obfs-host"]),
        }
        .outbound();
    }
    outbound::shadowsocks(method, password, plugin(row)?, row.flag(&["udp-over-tcp"]))
}

/// The disguise as a plugin. There is no plugin for plain TLS around Shadowsocks.
fn plugin(row: &Row<'_>) -> Result<Option<Plugin>, RejectCode> {
    let mode = row.text(&["obfs"]);
    let (host, uri) = (row.text(&["obfs-host"]), row.text(&["obfs-uri"]));
    let (name, fields): (&str, Vec<(&str, &str)>) = match mode {
        "http" | "tls" => ("obfs-local", vec![("obfs", mode), ("obfs-host", host), ("obfs-uri", uri)]),
        "ws" => ("v2ray-plugin", vec![("mode", "websocket"), ("host", host), ("path", uri)]),
        "wss" => ("v2ray-plugin", vec![("mode", "websocket"), ("tls", ""), ("host", host), ("path", uri)]),
        "over-tls" => return Err(RejectCode::ImpossiblePair),
        _ => return Ok(None),
    };
    let filled = fields.into_iter().filter(|(name, value)| *name == "tls" || !value.is_empty());
    let options = filled.map(|(name, value)| (name.into(), value.into())).collect();
    Ok(Some(Plugin { name: name.into(), options }))
}
