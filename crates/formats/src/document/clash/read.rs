//! Reads one entry of Clash's `proxies` as a node.

use hezar_core::{
    AnyTls, EarlyData, HttpProxy, Hysteria, Hysteria2, HysteriaObfs, NodeSpec, Outbound, Pin, Secret, SecurityKind,
    SocksProxy, SocksVersion, Tls, Tuic, UNREADABLE_PIN,
};

use super::{super::xhttp, plugin, rare};
use crate::{
    RejectCode, amnezia,
    carrier::{CarrierText, EARLY_DATA_HEADER, SecurityText},
    clash_only, field, outbound,
    outbound::{ShadowsocksRText, UserText, WireGuardText},
    tree::{Tree, headers},
};

/// Reads an entry; `None` for one that is not a proxy server, such as `direct`.
pub(in super::super) fn entry(entry: &Tree) -> Result<Option<NodeSpec>, RejectCode> {
    let kind = entry.text(&["type"]).to_ascii_lowercase();
    let outbound = match kind.as_str() {
        "direct" | "reject" | "reject-drop" | "dns" | "pass" | "compatible" | "rematch" => return Ok(None),
        "" => return Err(RejectCode::BadField),
        "ss" | "shadowsocks" => shadowsocks(entry)?,
        "ssr" | "shadowsocksr" => shadowsocksr(entry)?,
        "vmess" => user(entry).vmess(carrier(entry)?)?,
        "vless" => user(entry).vless(carrier(entry)?)?,
        "trojan" => trojan(entry)?,
        "http" | "https" => http(entry, kind == "https"),
        "socks5" | "socks" | "socks4" | "socks4a" => socks(entry, &kind),
        "anytls" => anytls(entry)?,
        "hysteria" => return hysteria(entry).map(Some),
        "hysteria2" | "hy2" => return hysteria2(entry).map(Some),
        "tuic" => tuic(entry)?,
        "wireguard" | "wg" => return wireguard(entry).map(Some),
        "snell" => rare::read_snell(entry)?,
        "ssh" => rare::read_ssh(entry)?,
        "mieru" => return rare::read_mieru(entry).map(Some),
        kind => match clash_only::kind_of_entry(kind) {
            Some(kind) => rare::read_clash_only(kind, entry)?,
            None => return Err(RejectCode::UnsupportedScheme),
        },
    };
    let server = field::server(entry.text(&["server"]), entry.text(&["port"]))?;
    Ok(Some(NodeSpec::new(server, outbound)))
}

fn security(entry: &Tree, kind: SecurityKind) -> SecurityText<'_> {
    let reality = entry.get("reality-opts");
    let ech = entry.get("ech-opts");
    SecurityText {
        kind,
        server_name: entry.text(&["servername", "sni", "server-name", "peer"]),
        disable_sni: entry.flag(&["disable-sni"]),
        alpn: entry.get("alpn").words(),
        skip_verify: entry.flag(&["skip-cert-verify", "allowInsecure", "allow-insecure", "insecure"]),
        pins: pins(entry),
        fingerprint: browser(entry),
        ech: if ech.flag(&["enable"]) { ech.text(&["config"]) } else { "" },
        public_key: reality.text(&["public-key"]),
        short_id: reality.text(&["short-id"]),
        ..SecurityText::default()
    }
}

/// The pinned certificate's hash. Old configurations name a browser here, as `client-fingerprint` does now.
pub(in super::super) fn pin_text(entry: &Tree) -> &str {
    let is_browser = |text: &str| field::fingerprint(text).is_some() || text.eq_ignore_ascii_case("none");
    let texts = ["fingerprint", "server-cert-fingerprint", "tls-fingerprint"].map(|key| entry.text(&[key]));
    texts.into_iter().find(|text| !text.is_empty() && !is_browser(text)).unwrap_or_default()
}

/// A pinned certificate, or the authority that an entry contains. The path of a file on the publisher's machine is neither.
fn pins(entry: &Tree) -> Vec<Pin> {
    let authority = entry.get("ca-str").texts();
    match (pin_text(entry), authority.is_empty(), entry.text(&["ca"])) {
        ("", true, "") => Vec::new(),
        ("", true, _) => vec![UNREADABLE_PIN],
        ("", false, _) => field::pem_pins(&authority),
        (pin, _, _) => field::pins(pin),
    }
}

fn browser(entry: &Tree) -> &str {
    match entry.text(&["client-fingerprint"]) {
        "" if pin_text(entry).is_empty() => entry.text(&["fingerprint"]),
        name => name,
    }
}

/// The TLS settings of protocols that always use TLS.
fn tls(entry: &Tree) -> Tls {
    security(entry, SecurityKind::Tls).tls()
}

fn optional_tls(entry: &Tree, always: bool) -> Option<Tls> {
    (always || entry.flag(&["tls"])).then(|| tls(entry))
}

/// The security that an entry of VLESS, VMess or Trojan asks for.
fn stream_security(entry: &Tree, always: bool) -> SecurityText<'_> {
    let reality = !entry.get("reality-opts").text(&["public-key"]).is_empty();
    // Some generators leave out `tls: true` beside reality-opts.
    let on = always || entry.flag(&["tls"]) || (reality && entry.get("tls").is_null());
    let kind = match (on, reality) {
        (false, _) => SecurityKind::None,
        (true, false) => SecurityKind::Tls,
        (true, true) => SecurityKind::Reality,
    };
    security(entry, kind)
}

fn user(entry: &Tree) -> UserText<'_> {
    let packet_encoding = match entry.text(&["packet-encoding", "packet_encoding"]) {
        "" if entry.flag(&["packet-addr"]) => "packetaddr",
        other => other,
    };
    UserText {
        id: entry.text(&["uuid", "id"]),
        flow: entry.text(&["flow"]),
        encryption: entry.text(&["encryption"]),
        alter_id: entry.text(&["alterId", "alter-id", "alterid", "aid"]),
        cipher: entry.text(&["cipher", "security"]),
        packet_encoding,
    }
}

fn carrier(entry: &Tree) -> Result<hezar_core::Carrier, RejectCode> {
    transport(entry, &stream_security(entry, false))
}

fn transport(entry: &Tree, security: &SecurityText<'_>) -> Result<hezar_core::Carrier, RejectCode> {
    let mut text = CarrierText { network: entry.text(&["network"]), ..CarrierText::default() };
    let extra;
    match text.network.to_ascii_lowercase().as_str() {
        "ws" | "websocket" | "httpupgrade" => websocket(entry, &mut text),
        "h2" => {
            let opts = entry.get("h2-opts");
            text.hosts = opts.get("host").texts();
            text.paths = opts.get("path").texts();
        }
        "http" => {
            let opts = entry.get("http-opts");
            (text.network, text.header_type) = ("tcp", "http");
            text.hosts = headers::split(opts.get("headers")).0;
            text.paths = opts.get("path").texts();
        }
        "grpc" => {
            let opts = entry.get("grpc-opts");
            text.service_name = opts.text(&["grpc-service-name", "serviceName", "service-name"]);
            text.authority = opts.text(&["authority", "grpc-authority"]);
            text.mode = opts.text(&["grpc-mode", "mode"]);
        }
        "xhttp" | "splithttp" => {
            let opts = entry.any(&["xhttp-opts", "splithttp-opts"]);
            text.hosts = opts.get("host").texts();
            if text.hosts.is_empty() {
                text.hosts = headers::split(opts.get("headers")).0;
            }
            text.paths = opts.get("path").texts();
            text.mode = opts.text(&["mode"]);
            extra = xhttp::extra_from_clash(entry, opts);
            text.extra = &extra;
        }
        "kcp" | "mkcp" => {
            let opts = entry.any(&["kcp-opts", "mkcp-opts"]);
            text.seed = opts.text(&["seed"]);
            text.header_type = opts.text(&["header", "header-type", "type"]);
        }
        _ => {}
    }
    text.carrier(security)
}

fn websocket<'a>(entry: &'a Tree, text: &mut CarrierText<'a>) {
    let opts = entry.any(&["ws-opts", "http-upgrade-opts", "httpupgrade-opts"]);
    let legacy = entry.any(&["ws-headers"]);
    let headers = if opts.get("headers").is_null() { legacy } else { opts.get("headers") };
    (text.hosts, text.headers) = headers::split(headers);
    if text.hosts.is_empty() {
        text.hosts = opts.get("host").texts();
    }
    text.paths = opts.get("path").texts();
    if text.paths.is_empty() {
        text.paths = entry.get("ws-path").texts();
    }
    let max_bytes = opts.number::<u32>(&["max-early-data"]).filter(|bytes| *bytes > 0);
    let header = field::filled(opts.text(&["early-data-header-name"]));
    text.early_data = max_bytes.map(|max_bytes| EarlyData { max_bytes, header });
    if opts.flag(&["v2ray-http-upgrade"]) {
        text.network = "httpupgrade";
        if text.early_data.is_none() && opts.flag(&["v2ray-http-upgrade-fast-open"]) {
            text.early_data = Some(EarlyData { max_bytes: 2048, header: Some(EARLY_DATA_HEADER.into()) });
        }
    }
}

fn trojan(entry: &Tree) -> Result<Outbound, RejectCode> {
    // Clash's Trojan has no form without TLS, whatever `tls` says.
    let carrier = transport(entry, &stream_security(entry, true))?;
    let inner = entry.get("ss-opts");
    let inner = inner.flag(&["enabled"]).then(|| {
        let method = inner.text(&["method"]);
        let method = if method.is_empty() { "aes-128-gcm" } else { method };
        Secret::new(format!("{method}:{}", inner.text(&["password"])))
    });
    outbound::trojan(entry.text(&["password"]), inner, carrier)
}

fn shadowsocks(entry: &Tree) -> Result<Outbound, RejectCode> {
    let method = entry.text(&["cipher", "method"]);
    outbound::shadowsocks(method, entry.text(&["password"]), plugin::read(entry), entry.flag(&["udp-over-tcp"]))
}

fn shadowsocksr(entry: &Tree) -> Result<Outbound, RejectCode> {
    ShadowsocksRText {
        method: entry.text(&["cipher", "method"]),
        password: entry.text(&["password"]),
        protocol: entry.text(&["protocol"]),
        protocol_param: entry.text(&["protocol-param", "protocolparam", "protocol_param"]),
        obfs: entry.text(&["obfs"]),
        obfs_param: entry.text(&["obfs-param", "obfsparam", "obfs_param"]),
    }
    .outbound()
}

fn http(entry: &Tree, https: bool) -> Outbound {
    let credentials = field::credentials(entry.text(&["username"]), entry.text(&["password"]));
    Outbound::Http(HttpProxy { credentials, tls: optional_tls(entry, https).map(Box::new) })
}

fn socks(entry: &Tree, kind: &str) -> Outbound {
    let version = match kind {
        "socks4" => SocksVersion::V4,
        "socks4a" => SocksVersion::V4a,
        _ => SocksVersion::V5,
    };
    let credentials = field::credentials(entry.text(&["username"]), entry.text(&["password"]));
    Outbound::Socks(SocksProxy { version, credentials, tls: optional_tls(entry, false).map(Box::new) })
}

fn anytls(entry: &Tree) -> Result<Outbound, RejectCode> {
    let password = outbound::credential(entry.text(&["password"]))?;
    Ok(Outbound::AnyTls(Box::new(AnyTls { password, tls: tls(entry) })))
}

fn hysteria(entry: &Tree) -> Result<NodeSpec, RejectCode> {
    let (port, ports) = outbound::hopping(entry.text(&["port"]), entry.text(&["ports"]))?;
    let hysteria = Hysteria {
        auth: Secret::new(entry.text(&["auth-str", "auth_str", "auth"])),
        ports,
        transport: outbound::hysteria_transport(entry.text(&["protocol", "obfs-protocol"])),
        obfs: field::secret(entry.text(&["obfs"])).map(HysteriaObfs),
        up_mbps: field::mbps(entry.text(&["up", "up-speed", "up_mbps"])),
        down_mbps: field::mbps(entry.text(&["down", "down-speed", "down_mbps"])),
        tls: tls(entry),
    };
    let server = field::server(entry.text(&["server"]), &port)?;
    Ok(NodeSpec::new(server, Outbound::Hysteria(Box::new(hysteria))))
}

fn hysteria2(entry: &Tree) -> Result<NodeSpec, RejectCode> {
    let (port, ports) = outbound::hopping(entry.text(&["port"]), entry.text(&["ports", "mport"]))?;
    let min = entry.text(&["obfs-min-packet-size"]);
    let max = entry.text(&["obfs-max-packet-size"]);
    let hysteria2 = Hysteria2 {
        auth: Secret::new(entry.text(&["password", "auth"])),
        ports,
        hop_interval: field::seconds(entry.text(&["hop-interval"])),
        obfs: outbound::obfs2(entry.text(&["obfs"]), entry.text(&["obfs-password"]), min, max),
        up_mbps: field::mbps(entry.text(&["up", "up-speed"])),
        down_mbps: field::mbps(entry.text(&["down", "down-speed"])),
        tls: tls(entry),
    };
    let port = if port.is_empty() { "443" } else { port.as_ref() };
    let server = field::server(entry.text(&["server"]), port)?;
    Ok(NodeSpec::new(server, Outbound::Hysteria2(Box::new(hysteria2))))
}

fn tuic(entry: &Tree) -> Result<Outbound, RejectCode> {
    let user = outbound::tuic_user(entry.text(&["uuid"]), entry.text(&["password"]), entry.text(&["token"]))?;
    Ok(Outbound::Tuic(Box::new(Tuic {
        user,
        congestion: outbound::congestion(entry.text(&["congestion-controller", "congestion-control"])),
        udp_relay: outbound::udp_relay(entry.text(&["udp-relay-mode"])),
        reduce_rtt: entry.flag(&["reduce-rtt"]),
        tls: tls(entry),
    })))
}

fn wireguard(entry: &Tree) -> Result<NodeSpec, RejectCode> {
    // A list of peers replaces the entry's own server; only one peer is supported.
    let peer = match entry.get("peers").items().first() {
        Some(peer) if peer.is_map() => peer,
        _ => entry,
    };
    let reserved = peer.any(&["reserved"]);
    let reserved = if reserved.is_null() { entry.get("reserved") } else { reserved };
    let addresses = [entry.get("ip").words(), entry.get("ipv6").words()].concat();
    let outbound = WireGuardText {
        private_key: entry.text(&["private-key"]),
        public_key: peer.text(&["public-key"]),
        pre_shared_key: peer.text(&["pre-shared-key", "preshared-key"]),
        addresses,
        reserved: &reserved_text(reserved),
        mtu: entry.text(&["mtu"]),
        keepalive: entry.text(&["persistent-keepalive", "keepalive"]),
    }
    .outbound()?;
    let outbound = amnezia::with_options(outbound, entry.get("amnezia-wg-option"))?;
    Ok(NodeSpec::new(field::server(peer.text(&["server"]), peer.text(&["port"]))?, outbound))
}

/// The three bytes as a list or as a text.
pub(in super::super) fn reserved_text(reserved: &Tree) -> Box<str> {
    if reserved.is_scalar() { reserved.scalar().into() } else { reserved.texts().join(",").into() }
}
