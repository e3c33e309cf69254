//! The settings of each protocol by their names in Clash entries, after mihomo's configuration reference
//! (<https://wiki.metacubex.one/config/proxies/>), without those that concern the client's own machine.

use hezar_core::ClashKind;

use super::{
    Setting,
    Shape::{FirstTexts, Flag, Named, Number, Pem, Table, Text, Texts},
};

/// The tables of a Sudoku node that are kept. Its client uses one of them at random, and its server knows all; a core works on each for a tenth
/// of a second whenever it takes over a list of nodes.
const MAX_SUDOKU_TABLES: usize = 4;

/// The settings of a kind, and those that it cannot do without.
pub(super) const fn of(kind: ClashKind) -> (&'static [Setting], &'static [&'static str]) {
    match kind {
        ClashKind::AmneziaWg => (AMNEZIA_WG, &["private-key", "public-key", "amnezia-wg-option"]),
        ClashKind::GostRelay => (GOST_RELAY, &[]),
        ClashKind::Masque => (MASQUE, &["private-key", "public-key"]),
        ClashKind::OpenVpn => (OPEN_VPN, &["ca"]),
        ClashKind::ShadowQuic => (SHADOW_QUIC, &["password"]),
        ClashKind::Sudoku => (SUDOKU, &["key"]),
        ClashKind::TrustTunnel => (TRUST_TUNNEL, &["password"]),
    }
}

const ECH: &[Setting] = &[("enable", Flag), ("config", Text), ("query-server-name", Text)];

const AMNEZIA_WG: &[Setting] = &[
    ("private-key", Text),
    ("public-key", Text),
    ("pre-shared-key", Text),
    ("ip", Text),
    ("ipv6", Text),
    ("reserved", Text),
    ("mtu", Number),
    ("persistent-keepalive", Number),
    ("amnezia-wg-option", Table(AMNEZIA)),
];

/// What makes AmneziaWG's packets look different. The four headers are numbers, or ranges of them.
const AMNEZIA: &[Setting] = &[
    ("jc", Number),
    ("jmin", Number),
    ("jmax", Number),
    ("s1", Number),
    ("s2", Number),
    ("s3", Number),
    ("s4", Number),
    ("h1", Text),
    ("h2", Text),
    ("h3", Text),
    ("h4", Text),
    ("i1", Text),
    ("i2", Text),
    ("i3", Text),
    ("i4", Text),
    ("i5", Text),
    ("j1", Text),
    ("j2", Text),
    ("j3", Text),
    ("itime", Number),
];

const GOST_RELAY: &[Setting] = &[
    ("username", Text),
    ("password", Text),
    ("forward", Flag),
    ("mux", Flag),
    ("tls", Flag),
    ("sni", Text),
    ("alpn", Texts),
    ("skip-cert-verify", Flag),
    ("fingerprint", Text),
    ("client-fingerprint", Text),
    ("certificate", Pem),
    ("private-key", Pem),
];

const MASQUE: &[Setting] = &[
    ("private-key", Text),
    ("public-key", Text),
    ("ip", Text),
    ("ipv6", Text),
    ("network", Text),
    ("uri", Text),
    ("sni", Text),
    ("skip-cert-verify", Flag),
    ("mtu", Number),
    ("congestion-controller", Text),
    ("bbr-profile", Text),
    ("handshake-timeout", Number),
];

const OPEN_VPN: &[Setting] = &[
    ("proto", Text),
    ("dev", Text),
    ("cipher", Text),
    ("data-ciphers", Texts),
    ("data-ciphers-fallback", Text),
    ("auth", Text),
    ("comp-lzo", Text),
    ("username", Text),
    ("password", Text),
    ("ca", Pem),
    ("cert", Pem),
    ("key", Pem),
    ("key-direction", Text),
    ("tls-auth", Pem),
    ("tls-crypt", Pem),
    ("tls-crypt-v2", Pem),
    ("peer-info", Named),
    ("ping", Number),
    ("ping-restart", Number),
    ("handshake-timeout", Number),
    ("mtu", Number),
];

const SHADOW_QUIC: &[Setting] = &[
    ("username", Text),
    ("password", Text),
    ("sni", Text),
    ("alpn", Texts),
    ("udp-over-stream", Flag),
    ("zero-rtt", Flag),
    ("keep-alive-interval", Number),
    ("congestion-controller", Text),
    ("bbr-profile", Text),
    ("up", Text),
    ("down", Text),
    ("cwnd", Number),
    ("max-datagram-frame-size", Number),
];

const SUDOKU: &[Setting] = &[
    ("key", Text),
    ("aead-method", Text),
    ("padding-min", Number),
    ("padding-max", Number),
    ("table-type", Text),
    ("custom-table", Text),
    ("custom-tables", FirstTexts(MAX_SUDOKU_TABLES)),
    ("enable-pure-downlink", Flag),
    ("http-mask", Flag),
    ("http-mask-mode", Text),
    ("http-mask-tls", Flag),
    ("http-mask-host", Text),
    ("http-mask-multiplex", Text),
    ("path-root", Text),
    ("httpmask", Table(HTTP_MASK)),
];

const HTTP_MASK: &[Setting] =
    &[("disable", Flag), ("mode", Text), ("tls", Flag), ("host", Text), ("path-root", Text), ("multiplex", Text)];

const TRUST_TUNNEL: &[Setting] = &[
    ("username", Text),
    ("password", Text),
    ("health-check", Flag),
    ("sni", Text),
    ("alpn", Texts),
    ("skip-cert-verify", Flag),
    ("fingerprint", Text),
    ("client-fingerprint", Text),
    ("certificate", Pem),
    ("private-key", Pem),
    ("ech-opts", Table(ECH)),
    ("quic", Flag),
    ("congestion-controller", Text),
    ("bbr-profile", Text),
    ("max-connections", Number),
    ("min-streams", Number),
    ("max-streams", Number),
];
