//! Reads the configuration of a client that knows one server: Hysteria, TUIC, Trojan and others.

use hezar_core::{
    Hysteria, Hysteria2, HysteriaObfs, NodeSpec, Obfs2, Outbound, Pin, Secret, SecurityKind, Tls, Tuic, UNREADABLE_PIN,
};

use crate::{
    RejectCode,
    carrier::{CarrierText, SecurityText},
    field, outbound, parse_link,
    tree::Tree,
};

/// The keys of Hysteria 2's client.
const HYSTERIA2: &[&str] = &[
    "server",
    "auth",
    "tls",
    "obfs",
    "bandwidth",
    "transport",
    "quic",
    "congestion",
    "fastOpen",
    "lazy",
    "socks5",
    "http",
    "tcpForwarding",
    "udpForwarding",
    "tcpTProxy",
    "udpTProxy",
    "tcpRedirect",
    "tun",
];

/// Reads the one server of a client's configuration; `None` for any other map.
pub(super) fn read(tree: &Tree) -> Option<Result<NodeSpec, RejectCode>> {
    let has = |key: &str| !tree.get(key).is_null();
    let relay = tree.get("relay");
    if relay.is_map() && !relay.get("server").is_null() {
        return Some(tuic(relay));
    }
    if has("remote_addr") && has("remote_port") && has("password") && has("run_type") {
        return Some(trojan(tree));
    }
    // This is naiveproxy, a protocol that Hezar does not speak.
    if has("listen") && ["https://", "quic://"].iter().any(|scheme| tree.text(&["proxy"]).starts_with(scheme)) {
        return Some(Err(RejectCode::UnsupportedScheme));
    }
    if !tree.get("server").is_scalar() || ["type", "port", "server_port", "method", "listen"].into_iter().any(has) {
        return None;
    }
    // Juicity has the same keys for the user as TUIC.
    if has("uuid") && has("password") {
        return Some(Err(RejectCode::UnsupportedScheme));
    }
    let first = ["up_mbps", "down_mbps", "auth_str", "server_name", "recv_window", "recv_window_conn"];
    let second = ["tls", "bandwidth", "transport", "quic"];
    if first.into_iter().any(has) {
        return Some(hysteria(tree));
    }
    let ours = second.iter().any(|key| tree.get(key).is_map())
        || (has("auth") && tree.pairs().iter().all(|(key, _)| HYSTERIA2.contains(&key.as_ref())));
    ours.then(|| hysteria2(tree))
}

/// Reads `host:443,5000-6000`. Without a port it is 443.
fn server(text: &str) -> Result<(hezar_core::Target, Vec<(u16, u16)>), RejectCode> {
    let text = text.trim();
    let behind = text.rfind(']').map_or(0, |end| end + 1);
    let colon = text.get(behind..).and_then(|rest| rest.find(':')).map(|at| at + behind);
    let (host, ports) = match colon {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()),
        None => (text, "443"),
    };
    let (port, ports) = outbound::hopping("", ports)?;
    Ok((field::server(host, &port)?, ports))
}

/// A certificate's hash; an authority in a file of the publisher's machine cannot be checked.
fn pins(hash: &str, file: &str) -> Vec<Pin> {
    if hash.is_empty() && !file.is_empty() { vec![UNREADABLE_PIN] } else { field::pins(hash) }
}

/// Hysteria 2: <https://v2.hysteria.network/docs/advanced/Full-Client-Config/>.
fn hysteria2(tree: &Tree) -> Result<NodeSpec, RejectCode> {
    let address = tree.text(&["server"]);
    // A whole link may stand in the place of the server.
    if address.contains("://") {
        return parse_link(address).map(|(node, _)| node);
    }
    let (server, ports) = server(address)?;
    let (tls, obfs, bandwidth) = (tree.get("tls"), tree.get("obfs"), tree.get("bandwidth"));
    let hysteria2 = Hysteria2 {
        auth: Secret::new(tree.text(&["auth"])),
        ports,
        hop_interval: field::seconds(tree.get("transport").get("udp").text(&["hopInterval"])),
        obfs: obfs2(obfs)?,
        up_mbps: field::mbps(bandwidth.text(&["up"])),
        down_mbps: field::mbps(bandwidth.text(&["down"])),
        tls: Tls {
            server_name: field::filled(tls.text(&["sni"])),
            skip_verify: tls.flag(&["insecure"]),
            pins: pins(tls.text(&["pinSHA256"]), tls.text(&["ca"])),
            ..Tls::default()
        },
    };
    Ok(NodeSpec::new(server, Outbound::Hysteria2(Box::new(hysteria2))))
}

fn obfs2(obfs: &Tree) -> Result<Option<Obfs2>, RejectCode> {
    let kind = obfs.text(&["type"]);
    if kind.is_empty() || kind == "plain" {
        return Ok(None);
    }
    let settings = obfs.get(kind);
    let found = outbound::obfs2(
        kind,
        settings.text(&["password"]),
        settings.text(&["minPacketSize"]),
        settings.text(&["maxPacketSize"]),
    );
    found.map(Some).ok_or(RejectCode::BadField)
}

/// Hysteria 1: <https://v1.hysteria.network/docs/advanced-usage/>.
fn hysteria(tree: &Tree) -> Result<NodeSpec, RejectCode> {
    let (server, ports) = server(tree.text(&["server"]))?;
    let hysteria = Hysteria {
        auth: outbound::hysteria_auth(tree.text(&["auth_str"]), tree.text(&["auth"]))?,
        ports,
        transport: outbound::hysteria_transport(tree.text(&["protocol"])),
        obfs: field::secret(tree.text(&["obfs"])).map(HysteriaObfs),
        up_mbps: field::mbps(tree.text(&["up_mbps", "up"])),
        down_mbps: field::mbps(tree.text(&["down_mbps", "down"])),
        tls: Tls {
            server_name: field::filled(tree.text(&["server_name"])),
            alpn: tree.get("alpn").words(),
            skip_verify: tree.flag(&["insecure"]),
            pins: pins("", tree.text(&["ca"])),
            ..Tls::default()
        },
    };
    Ok(NodeSpec::new(server, Outbound::Hysteria(Box::new(hysteria))))
}

/// TUIC's own client: the server with its port (5), or apart from it (4).
fn tuic(relay: &Tree) -> Result<NodeSpec, RejectCode> {
    let address = relay.text(&["server"]);
    let target = match relay.text(&["port"]) {
        "" => server(address)?.0,
        port => field::server(address, port)?,
    };
    let tuic = Tuic {
        user: outbound::tuic_user(relay.text(&["uuid"]), relay.text(&["password"]), relay.text(&["token"]))?,
        congestion: outbound::congestion(relay.text(&["congestion_control", "congestion_controller"])),
        udp_relay: outbound::udp_relay(relay.text(&["udp_relay_mode"])),
        reduce_rtt: relay.flag(&["zero_rtt_handshake", "reduce_rtt"]),
        tls: Tls {
            server_name: field::filled(relay.text(&["sni"])),
            alpn: relay.get("alpn").words(),
            disable_sni: relay.flag(&["disable_sni"]),
            skip_verify: relay.flag(&["skip_cert_verify", "insecure"]),
            pins: pins("", relay.text(&["certificates"])),
            ..Tls::default()
        },
    };
    Ok(NodeSpec::new(target, Outbound::Tuic(Box::new(tuic))))
}

/// The clients of the original Trojan and of trojan-go, which adds WebSocket and a Shadowsocks layer.
fn trojan(tree: &Tree) -> Result<NodeSpec, RejectCode> {
    if !["client", "nat", "forward"].contains(&tree.text(&["run_type"])) {
        return Err(RejectCode::UnsupportedScheme);
    }
    let (ssl, websocket, inner) = (tree.get("ssl"), tree.get("websocket"), tree.get("shadowsocks"));
    let off = |key: &str| !ssl.get(key).is_null() && !ssl.flag(&[key]);
    let security = SecurityText {
        kind: SecurityKind::Tls,
        server_name: ssl.text(&["sni"]),
        alpn: ssl.get("alpn").words(),
        skip_verify: off("verify"),
        pins: pins("", ssl.text(&["cert"])),
        fingerprint: ssl.text(&["fingerprint"]),
        ..SecurityText::default()
    };
    let mut text = CarrierText::default();
    if websocket.flag(&["enabled"]) {
        text.network = "ws";
        text.hosts = websocket.any(&["host", "hostname"]).texts();
        text.paths = websocket.get("path").texts();
    }
    let method = inner.text(&["method"]).to_ascii_lowercase();
    let method = if method.is_empty() { "aes-128-gcm" } else { &method };
    let inner = inner.flag(&["enabled"]).then(|| Secret::new(format!("{method}:{}", inner.text(&["password"]))));
    let outbound = outbound::trojan(tree.text(&["password"]), inner, text.carrier(&security)?)?;
    Ok(NodeSpec::new(field::server(tree.text(&["remote_addr"]), tree.text(&["remote_port"]))?, outbound))
}
