//! The listeners of the table, and who is a client of each.

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
}

const ALL: &[Peer] = &[Peer::SingBox, Peer::Mihomo, Peer::Xray];

/// The certificate that the world has made.
const TLS: &str = "[listener.tls]\ncert = \"server.pem\"\nkey = \"server.key\"";

/// Every listener.
pub(crate) const ROWS: &[Row] = &[
    row("ss-2022-128", &[SHADOWSOCKS, "method = \"2022-blake3-aes-128-gcm\"", KEY_16], ALL).heavy(),
    row("ss-2022-256", &[SHADOWSOCKS, "method = \"2022-blake3-aes-256-gcm\"", KEY_32], ALL),
    row("ss-aes-256", &[SHADOWSOCKS, "method = \"aes-256-gcm\""], ALL).heavy(),
    row("ss-chacha20", &[SHADOWSOCKS, "method = \"chacha20-ietf-poly1305\""], ALL),
    row("trojan", &["kind = \"trojan\"", TLS], ALL).heavy(),
];

const SHADOWSOCKS: &str = "kind = \"shadowsocks\"\n[listener.shadowsocks]";
const KEY_16: &str = "key = \"AAECAwQFBgcICQoLDA0ODw==\"";
const KEY_32: &str = "key = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"";

const fn row(name: &'static str, settings: &'static [&'static str], clients: &'static [Peer]) -> Row {
    Row { name, settings, clients, is_heavy: false }
}

impl Row {
    const fn heavy(self) -> Self {
        Self { is_heavy: true, ..self }
    }

    /// The lines after `name`, `listen` and `host`.
    pub(crate) fn settings(self) -> String {
        self.settings.join("\n")
    }

    /// Those whose client a peer is.
    pub(crate) fn of(peer: Peer) -> Vec<Self> {
        ROWS.iter().copied().filter(|row| row.clients.contains(&peer)).collect()
    }
}
