//! Reads rows `name = type, host, port, …` of Surge, Surfboard, Loon and the first Quantumult.

use hezar_core::{
    AnyTls, Carrier, HttpProxy, Hysteria2, Label, NodeSpec, Outbound, Plugin, Secret, SecurityKind, SocksProxy,
    SocksVersion, Tls, Tuic,
};

use super::ini::{self, Row};
use crate::{
    Parsed, RejectCode,
    carrier::{CarrierText, SecurityText},
    field, outbound,
    outbound::{ShadowsocksRText, UserText},
    rare::{SnellText, SshText},
};

/// Types that are not proxy servers.
const SILENT: &[&str] = &["direct", "reject", "reject-tinygif", "reject-img", "reject-drop", "reject-no-drop", "block"];

/// Types of proxies, known or unknown to Hezar, by which a row without a section is recognised.
const TYPES: &[&str] = &[
    "ss",
    "shadowsocks",
    "custom",
    "ssr",
    "shadowsocksr",
    "vmess",
    "vless",
    "trojan",
    "http",
    "https",
    "socks5",
    "socks5-tls",
    "hysteria2",
    "tuic",
    "tuic-v5",
    "anytls",
    "snell",
    "ssh",
];

/// Whether a line alone can be recognised as one of these rows.
pub(super) fn is_row(line: &str) -> bool {
    let Some(row) = Row::parse(line) else { return false };
    let port_ok = !row.at(2).is_empty() && row.at(2).bytes().all(|b| b.is_ascii_digit());
    TYPES.contains(&row.at(0).to_ascii_lowercase().as_str()) && !row.at(1).is_empty() && port_ok
}

/// Reads one row.
pub(super) fn line(parsed: &mut Parsed, number: usize, text: &str) {
    let Some(row) = Row::parse(text) else { return parsed.refuse(number, text, RejectCode::BadField) };
    let chain = row.text(&["underlying-proxy"]);
    if !chain.is_empty() {
        let text = format!("underlying-proxy {chain} of {text}");
        return parsed.refuse(number, &text, RejectCode::BadChain);
    }
    match node(&row) {
        Ok(Some(spec)) => parsed.accept(number, spec, Label::new(&row.left)),
        Ok(None) => {}
        Err(code) => parsed.refuse(number, text, code),
    }
}

fn node(row: &Row<'_>) -> Result<Option<NodeSpec>, RejectCode> {
    let kind = row.at(0).to_ascii_lowercase();
    let outbound = match kind.as_str() {
        kind if SILENT.contains(&kind) => return Ok(None),
        "" => return Err(RejectCode::BadField),
        "ss" | "shadowsocks" | "custom" => shadowsocks(row)?,
        "ssr" | "shadowsocksr" => shadowsocksr(row)?,
        "vmess" => vmess(row)?,
        "vless" => vless(row)?,
        "trojan" => outbound::trojan(keyed(row, &["password"], 3), None, carrier(row, true)?)?,
        "http" | "https" => {
            let tls = (kind == "https" || over_tls(row)).then(|| tls(row));
            Outbound::Http(HttpProxy { credentials: credentials(row), tls: tls.map(Box::new) })
        }
        "socks5" | "socks5-tls" | "socks" => {
            let tls = (kind == "socks5-tls" || over_tls(row)).then(|| tls(row));
            Outbound::Socks(SocksProxy {
                version: SocksVersion::V5,
                credentials: credentials(row),
                tls: tls.map(Box::new),
            })
        }
        "hysteria2" | "hy2" => hysteria2(row)?,
        "tuic" | "tuic-v5" => tuic(row)?,
        "snell" => SnellText {
            psk: row.text(&["psk"]),
            version: row.text(&["version"]),
            obfs: row.text(&["obfs"]),
            obfs_host: row.text(&["obfs-host"]),
        }
        .outbound()?,
        // A private key and the server's stand elsewhere in Surge, so only a password can be read here.
        "ssh" => SshText {
            username: keyed(row, &["username"], 3),
            password: keyed(row, &["password"], 4),
            ..SshText::default()
        }
        .outbound()?,
        "anytls" => {
            let password = outbound::credential(keyed(row, &["password"], 3))?;
            Outbound::AnyTls(Box::new(AnyTls { password, tls: tls(row) }))
        }
        _ => return Err(RejectCode::UnsupportedScheme),
    };
    Ok(Some(NodeSpec::new(field::server(row.at(1), row.at(2))?, outbound)))
}

/// An option, or the field at this place, as the older rows have it.
fn keyed<'a>(row: &'a Row<'_>, keys: &[&str], place: usize) -> &'a str {
    match row.text(keys) {
        "" => row.at(place),
        text => text,
    }
}

fn credentials(row: &Row<'_>) -> Option<hezar_core::Credentials> {
    field::credentials(keyed(row, &["username"], 3), keyed(row, &["password"], 4))
}

fn over_tls(row: &Row<'_>) -> bool {
    row.flag(&["tls", "over-tls"])
}

fn security<'a>(row: &'a Row<'_>, kind: SecurityKind) -> SecurityText<'a> {
    let public_key = row.text(&["public-key", "reality-public-key"]);
    let kind = if kind == SecurityKind::Tls && !public_key.is_empty() { SecurityKind::Reality } else { kind };
    let sni = row.text(&["sni", "tls-name", "tls-host"]);
    SecurityText {
        kind,
        // `off` is Surge's way to send none.
        server_name: if sni.eq_ignore_ascii_case("off") { "" } else { sni },
        disable_sni: sni.eq_ignore_ascii_case("off"),
        alpn: field::list(row.text(&["alpn"])),
        skip_verify: row.flag(&["skip-cert-verify", "allow-insecure"])
            || row.denied(&["certificate", "tls-verification"]),
        pins: row.pins(&["server-cert-fingerprint-sha256", "tls-cert-sha256"]),
        fingerprint: row.text(&["client-fingerprint"]),
        public_key,
        short_id: row.text(&["short-id"]),
        ..SecurityText::default()
    }
}

fn tls(row: &Row<'_>) -> Tls {
    security(row, SecurityKind::Tls).tls()
}

fn carrier(row: &Row<'_>, always_tls: bool) -> Result<Carrier, RejectCode> {
    let public_key = !row.text(&["public-key", "reality-public-key"]).is_empty();
    let tls = always_tls || over_tls(row) || public_key;
    let security = security(row, if tls { SecurityKind::Tls } else { SecurityKind::None });
    let named = row.text(&["transport", "obfs"]);
    let network = if row.flag(&["ws"]) { "ws" } else { named };
    let (mut hosts, headers) = ini::headers(row.text(&["ws-headers", "obfs-header"]));
    if let Some(host) = field::filled(row.text(&["host", "obfs-host"])) {
        hosts.insert(0, host);
    }
    let paths = field::filled(row.text(&["ws-path", "path", "obfs-path", "obfs-uri"])).into_iter().collect();
    let (network, header_type) = if network == "http" { ("tcp", "http") } else { (network, "") };
    let service_name = row.text(&["service-name", "grpc-service-name"]);
    CarrierText { network, header_type, hosts, paths, headers, service_name, ..CarrierText::default() }
        .carrier(&security)
}

fn shadowsocks(row: &Row<'_>) -> Result<Outbound, RejectCode> {
    let method = keyed(row, &["encrypt-method", "method"], 3);
    let password = keyed(row, &["password"], 4);
    outbound::shadowsocks(method, password, plugin(row), row.flag(&["udp-over-tcp"]))
}

fn plugin(row: &Row<'_>) -> Option<Plugin> {
    let options = |fields: &[(&str, &str)]| {
        let filled = fields.iter().filter(|(_, value)| !value.is_empty());
        filled.map(|(name, value)| ((*name).into(), (*value).into())).collect()
    };
    let shadow_tls = row.text(&["shadow-tls-password"]);
    if !shadow_tls.is_empty() {
        let host = row.text(&["shadow-tls-sni"]);
        let version = row.text(&["shadow-tls-version"]);
        let options = options(&[("host", host), ("password", shadow_tls), ("version", version)]);
        return Some(Plugin { name: "shadow-tls".into(), options });
    }
    let mode = row.text(&["obfs", "obfs-name"]);
    if !matches!(mode, "http" | "tls") {
        return None;
    }
    let host = row.text(&["obfs-host"]);
    let uri = row.text(&["obfs-uri"]);
    let options = options(&[("obfs", mode), ("obfs-host", host), ("obfs-uri", uri)]);
    Some(Plugin { name: "obfs-local".into(), options })
}

fn shadowsocksr(row: &Row<'_>) -> Result<Outbound, RejectCode> {
    ShadowsocksRText {
        method: keyed(row, &["encrypt-method", "method"], 3),
        password: keyed(row, &["password"], 4),
        protocol: row.text(&["protocol"]),
        protocol_param: row.text(&["protocol-param"]),
        obfs: row.text(&["obfs"]),
        obfs_param: row.text(&["obfs-param"]),
    }
    .outbound()
}

fn vmess(row: &Row<'_>) -> Result<Outbound, RejectCode> {
    let old_header = if row.denied(&["vmess-aead"]) { "1" } else { "0" };
    let alter_id = row.text(&["alterid", "alter-id"]);
    let id = match row.text(&["username", "uuid"]) {
        "" => row.at(4),
        id => id,
    };
    let cipher = keyed(row, &["encrypt-method", "method"], 3);
    let alter_id = if alter_id.is_empty() { old_header } else { alter_id };
    UserText { id, cipher, alter_id, ..UserText::default() }.vmess(carrier(row, false)?)
}

fn vless(row: &Row<'_>) -> Result<Outbound, RejectCode> {
    let id = keyed(row, &["username", "uuid", "password"], 3);
    UserText { id, flow: row.text(&["flow"]), encryption: row.text(&["encryption"]), ..UserText::default() }
        .vless(carrier(row, false)?)
}

fn hysteria2(row: &Row<'_>) -> Result<Outbound, RejectCode> {
    let ports = row.text(&["port-hopping"]).replace(';', ",");
    Ok(Outbound::Hysteria2(Box::new(Hysteria2 {
        auth: Secret::new(keyed(row, &["password"], 3)),
        ports: field::port_ranges(&ports).ok_or(RejectCode::BadPort)?,
        hop_interval: field::seconds(row.text(&["port-hopping-interval"])),
        obfs: outbound::obfs2("salamander", row.text(&["salamander-password", "obfs-password"]), "", ""),
        up_mbps: field::mbps(row.text(&["upload-bandwidth"])),
        down_mbps: field::mbps(row.text(&["download-bandwidth"])),
        tls: tls(row),
    })))
}

fn tuic(row: &Row<'_>) -> Result<Outbound, RejectCode> {
    let user = outbound::tuic_user(row.text(&["uuid"]), row.text(&["password"]), row.text(&["token"]))?;
    Ok(Outbound::Tuic(Box::new(Tuic {
        user,
        congestion: outbound::congestion(row.text(&["congestion-controller", "congestion-control"])),
        udp_relay: outbound::udp_relay(row.text(&["udp-relay-mode"])),
        reduce_rtt: false,
        tls: tls(row),
    })))
}
