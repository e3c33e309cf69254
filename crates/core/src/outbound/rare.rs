//! Protocols that few lists publish; the native engine speaks none of them, but Clash cores do.

use std::fmt;

use ecow::EcoString;

use crate::Secret;

/// The disguise of Snell's stream, as simple-obfs has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SnellObfs {
    /// An HTTP/1.1 request that asks for WebSocket.
    Http,
    /// A TLS session's records.
    Tls,
}

impl SnellObfs {
    /// The name in configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tls => "tls",
        }
    }
}

/// Snell, Surge's own protocol.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snell {
    /// The pre-shared key.
    pub psk: Secret,
    /// The protocol's version, 1 to 5; datagrams are carried from 3 on.
    pub version: u8,
    /// The disguise.
    pub obfs: Option<SnellObfs>,
    /// The host that the disguise names; absent = the client's default.
    pub obfs_host: Option<Box<str>>,
}

/// SSH as a proxy: one channel for each stream (RFC 4254, section 7.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ssh {
    /// The user.
    pub username: EcoString,
    /// The password, if it is one of the ways to log in.
    pub password: Option<Secret>,
    /// The private key in PEM, if it is one of the ways to log in; never the path of a file.
    pub private_key: Option<Secret>,
    /// The passphrase of the private key.
    pub passphrase: Option<Secret>,
    /// The keys that the server may have, each as a line of `authorized_keys`; empty = any key is accepted.
    pub host_keys: Vec<Box<str>>,
    /// The algorithms of host keys that the client asks for; empty = its default.
    pub host_key_algorithms: Vec<Box<str>>,
}

/// What carries mieru's segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MieruTransport {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl MieruTransport {
    /// The name in configurations and links.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

/// How many streams share one of mieru's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MieruMultiplexing {
    /// One.
    Off,
    /// Few.
    Low,
    /// Some.
    Middle,
    /// Many.
    High,
}

impl MieruMultiplexing {
    /// Every level.
    pub const ALL: [Self; 4] = [Self::Off, Self::Low, Self::Middle, Self::High];

    /// The name in configurations and links.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "MULTIPLEXING_OFF",
            Self::Low => "MULTIPLEXING_LOW",
            Self::Middle => "MULTIPLEXING_MIDDLE",
            Self::High => "MULTIPLEXING_HIGH",
        }
    }
}

/// mieru.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mieru {
    /// The user.
    pub username: EcoString,
    /// The password.
    pub password: Secret,
    /// The last port of the range that begins with the server's own; absent = that port alone.
    pub last_port: Option<u16>,
    /// What carries the segments.
    pub transport: MieruTransport,
    /// The level of multiplexing; absent = the client's default.
    pub multiplexing: Option<MieruMultiplexing>,
    /// Whether the client sends data before the server has answered.
    pub no_wait: bool,
    /// How segments are shaped, as base64 of mieru's own description; absent = the client's default.
    pub traffic_pattern: Option<Box<str>>,
}

/// The protocols that are kept in the words of Clash cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClashKind {
    /// AmneziaWG: WireGuard whose packets look different.
    AmneziaWg,
    /// GOST's relay protocol.
    GostRelay,
    /// MASQUE (RFC 9484) as Cloudflare WARP speaks it.
    Masque,
    /// OpenVPN.
    OpenVpn,
    /// ShadowQUIC.
    ShadowQuic,
    /// Sudoku.
    Sudoku,
    /// TrustTunnel.
    TrustTunnel,
}

impl ClashKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::AmneziaWg,
        Self::GostRelay,
        Self::Masque,
        Self::OpenVpn,
        Self::ShadowQuic,
        Self::Sudoku,
        Self::TrustTunnel,
    ];

    /// The name in tables and links.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AmneziaWg => "amneziawg",
            Self::GostRelay => "gost-relay",
            Self::Masque => "masque",
            Self::OpenVpn => "openvpn",
            Self::ShadowQuic => "shadowquic",
            Self::Sudoku => "sudoku",
            Self::TrustTunnel => "trusttunnel",
        }
    }
}

/// A protocol that only Clash cores speak, with its settings in their words.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClashOnly {
    /// The protocol.
    pub kind: ClashKind,
    /// The settings as one compact JSON object whose keys are sorted; secrets are among them.
    pub settings: Secret,
}

impl ClashOnly {
    /// The longest settings, in bytes: those of OpenVPN hold certificates.
    pub const MAX_SETTINGS_BYTES: usize = 24 * 1024;

    /// Whether the server's certificate is accepted unseen.
    pub(super) fn skips_verification(&self) -> bool {
        // In compact JSON no text can hold these characters: its quotes are escaped.
        self.settings.expose().contains("\"skip-cert-verify\":true")
    }
}

impl fmt::Debug for ClashOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClashOnly").field("kind", &self.kind).finish_non_exhaustive()
    }
}
