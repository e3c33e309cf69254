//! The listeners of the table, and who is a client of each.

use std::env;

use hezar_interop::Peer;

/// One listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Its `kind` and its tables, in TOML.
    settings: &'static [&'static str],
    /// Who is its client.
    clients: &'static [Peer],
    /// Whether much is sent through it, too: once for each protocol and transport.
    pub(crate) is_heavy: bool,
    /// The port that links name, where another program stands in front.
    pub(crate) front: Option<u16>,
}

const ALL: &[Peer] = &[Peer::SingBox, Peer::Mihomo, Peer::Xray];
/// Those that know XHTTP, and those that send the hello of a browser, without which there is no REALITY: sing-box does neither as it is
/// published in a package.
const BROWSERS: &[Peer] = &[Peer::Mihomo, Peer::Xray];
/// Those that know protocols from beyond the world of Xray.
const OTHERS: &[Peer] = &[Peer::SingBox, Peer::Mihomo];

const HYSTERIAS: &[Peer] = &[Peer::SingBox, Peer::Mihomo, Peer::Hysteria];

/// Every listener.
const ROWS: &[Row] = &[
    row("ss-2022-128", &[SHADOWSOCKS, "method = \"2022-blake3-aes-128-gcm\"", KEY_16], ALL).heavy(),
    row("ss-2022-256", &[SHADOWSOCKS, "method = \"2022-blake3-aes-256-gcm\"", KEY_32], ALL),
    row("ss-aes-256", &[SHADOWSOCKS, "method = \"aes-256-gcm\""], ALL).heavy(),
    row("ss-chacha20", &[SHADOWSOCKS, "method = \"chacha20-ietf-poly1305\""], ALL),
    row("trojan", &["kind = \"trojan\"", TLS], ALL).heavy(),
    row("vless-vision", &[VLESS, TLS], ALL).heavy(),
    row("vless-ws", &[VLESS, TLS, TRANSPORT, "kind = \"websocket\"\npath = \"/q7f0c2\""], ALL).heavy(),
    row("vless-upgrade", &[VLESS, TLS, TRANSPORT, "kind = \"httpupgrade\"\npath = \"/q7f0c2\""], ALL).heavy(),
    row("vless-grpc", &[VLESS, TLS, TRANSPORT, "kind = \"grpc\"\npath = \"q7f0c2\""], ALL).heavy(),
    row("vless-xhttp", &[VLESS, TLS, TRANSPORT, XHTTP], BROWSERS).heavy(),
    row("vless-xhttp-up", &[VLESS, TLS, TRANSPORT, XHTTP, "mode = \"stream-up\""], BROWSERS),
    row("vless-xhttp-one", &[VLESS, TLS, TRANSPORT, XHTTP, "mode = \"stream-one\""], BROWSERS),
    row("reality-vision", &[VLESS, TLS, REALITY], BROWSERS).heavy(),
    row("reality-grpc", &[VLESS, TLS, REALITY, TRANSPORT, "kind = \"grpc\"\npath = \"q7f0c2\""], BROWSERS),
    row("reality-xhttp", &[VLESS, TLS, REALITY, TRANSPORT, XHTTP], BROWSERS),
    row("anytls", &["kind = \"anytls\"", TLS], OTHERS).heavy(),
    row("hysteria2", &[HYSTERIA2, TLS], HYSTERIAS).heavy(),
    row("hysteria2-obfs", &[HYSTERIA2, TLS, "[listener.hysteria2]\nobfs_password = \"salty\""], HYSTERIAS),
];

const SHADOWSOCKS: &str = "kind = \"shadowsocks\"\n[listener.shadowsocks]";
const KEY_16: &str = "key = \"AAECAwQFBgcICQoLDA0ODw==\"";
const KEY_32: &str = "key = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"";
const VLESS: &str = "kind = \"vless\"";
const HYSTERIA2: &str = "kind = \"hysteria2\"";
const TRANSPORT: &str = "[listener.transport]";
/// Links leave the way of uploading to the client: packets over TLS, one request over REALITY.
const XHTTP: &str = "kind = \"xhttp\"\npath = \"/q7f0c2\"";
/// The certificate that the world has made.
const TLS: &str = "[listener.tls]\ncert = \"server.pem\"\nkey = \"server.key\"";
/// In front of the listener's own site.
const REALITY: &str = "[listener.reality]\nprivate_key = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"";

const fn row(name: &'static str, settings: &'static [&'static str], clients: &'static [Peer]) -> Row {
    Row { name, settings, clients, is_heavy: false, front: None }
}

impl Row {
    /// A listener beside the table, behind a program at this port.
    pub(crate) const fn behind(front: u16, name: &'static str, settings: &'static [&'static str]) -> Self {
        Self { front: Some(front), ..row(name, settings, ALL) }
    }

    const fn heavy(self) -> Self {
        Self { is_heavy: true, ..self }
    }

    /// The lines after `name`, `listen` and `host`.
    pub(crate) fn settings(self) -> String {
        self.settings.join("\n")
    }

    /// Those whose client a peer is: all, or those whose name contains `HEZAR_INTEROP_ROWS`.
    pub(crate) fn of(peer: Peer) -> Vec<Self> {
        let part = env::var("HEZAR_INTEROP_ROWS").unwrap_or_default();
        let is_chosen = |row: &Self| row.clients.contains(&peer) && row.name.contains(&part);
        ROWS.iter().copied().filter(is_chosen).collect()
    }
}
