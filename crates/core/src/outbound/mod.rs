//! The protocols, each with exactly the settings it has.

mod datagrams;
mod form;
mod quic;
mod rare;
mod stream;
mod verification;
mod warp;

pub use self::{
    quic::{Congestion, Hysteria, Hysteria2, HysteriaObfs, HysteriaTransport, Obfs2, Tuic, TuicUser, UdpRelayMode},
    rare::{ClashKind, ClashOnly, Mieru, MieruMultiplexing, MieruTransport, Snell, SnellObfs, Ssh},
    stream::{ImpossiblePair, PacketEncoding, StreamNode, StreamProtocol, Trojan, Vision, Vless, Vmess, VmessCipher},
};
use std::fmt;

use ecow::EcoString;

use crate::{Carrier, Secret, SecurityKind, Tls, TransportKind};

/// A user name and a password; either may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The user name.
    pub username: EcoString,
    /// The password.
    pub password: Secret,
}

/// The SOCKS version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocksVersion {
    /// SOCKS4: IPv4 targets only.
    V4,
    /// SOCKS4a: names too.
    V4a,
    /// SOCKS5 (RFC 1928).
    V5,
    /// SOCKS5 as a Tor client speaks it: each user name and password has a circuit of its own, `.onion` names are targets, and there
    /// are no datagrams (Tor's `socks-extensions.txt`).
    Tor,
}

impl SocksVersion {
    /// Whether the bytes on the wire are those of SOCKS5.
    #[must_use]
    pub const fn is_five(self) -> bool {
        matches!(self, Self::V5 | Self::Tor)
    }
}

/// A SOCKS server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SocksProxy {
    /// The version to speak.
    pub version: SocksVersion,
    /// User and password (SOCKS4 sends only the user).
    pub credentials: Option<Credentials>,
    /// TLS around it, as some clients allow.
    pub tls: Option<Box<Tls>>,
}

/// An HTTP CONNECT proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpProxy {
    /// User and password (Basic).
    pub credentials: Option<Credentials>,
    /// TLS to the proxy itself (an `https` proxy).
    pub tls: Option<Box<Tls>>,
}

/// A SIP003 plugin: its name and its options in their order. `Debug` shows no value of an option: shadow-tls has a password there.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Plugin {
    /// The standard name: `obfs-local`, `v2ray-plugin`, `shadow-tls`, …
    pub name: Box<str>,
    /// Options; a bare word has an empty value.
    pub options: Vec<(Box<str>, Box<str>)>,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options: Vec<&str> = self.options.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Plugin").field("name", &self.name).field("options", &options).finish()
    }
}

/// Shadowsocks (SIP002, SIP022).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shadowsocks {
    /// The method in its standard lower-case name, e.g. `chacha20-ietf-poly1305`, `2022-blake3-aes-256-gcm`, `rc4-md5`.
    pub method: Box<str>,
    /// The password; for 2022 methods base64 keys, several joined by `:` (SIP023).
    pub password: Secret,
    /// The plugin in front, if any. Boxed, because few nodes have one.
    pub plugin: Option<Box<Plugin>>,
    /// Whether UDP goes over the TCP stream.
    pub udp_over_tcp: bool,
}

/// ShadowsocksR. `Debug` shows no parameter: those of some protocols are a user and a password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ShadowsocksR {
    /// The cipher's name.
    pub method: Box<str>,
    /// The password.
    pub password: Secret,
    /// The protocol plugin's name, such as `auth_chain_a`.
    pub protocol: Box<str>,
    /// The parameters of the protocol plugin.
    pub protocol_param: Box<str>,
    /// The obfuscation plugin's name, such as `tls1.2_ticket_auth`.
    pub obfs: Box<str>,
    /// The parameters of the obfuscation plugin.
    pub obfs_param: Box<str>,
}

impl fmt::Debug for ShadowsocksR {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShadowsocksR")
            .field("method", &self.method)
            .field("protocol", &self.protocol)
            .field("obfs", &self.obfs)
            .finish_non_exhaustive()
    }
}

/// AnyTLS; it has no plain form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AnyTls {
    /// The password.
    pub password: Secret,
    /// TLS beneath it.
    pub tls: Tls,
}

/// WireGuard as a client: one peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WireGuard {
    /// Our private key, base64.
    pub private_key: Secret,
    /// The peer's public key, base64; absent in links that leave it out (only a node of Cloudflare WARP can be dialled without).
    pub public_key: Option<Box<str>>,
    /// The pre-shared key, base64.
    pub pre_shared_key: Option<Secret>,
    /// Our addresses inside the tunnel, in CIDR notation.
    pub addresses: Vec<Box<str>>,
    /// The three reserved bytes (Cloudflare WARP's client id).
    pub reserved: [u8; 3],
    /// The MTU in bytes; absent = 1420.
    pub mtu: Option<u16>,
    /// Seconds between keep-alives; absent = none.
    pub keepalive: Option<u16>,
}

/// One protocol with all its settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outbound {
    /// SOCKS4, 4a or 5.
    Socks(SocksProxy),
    /// HTTP CONNECT and absolute form, with or without TLS.
    Http(HttpProxy),
    /// Shadowsocks.
    Shadowsocks(Shadowsocks),
    /// ShadowsocksR.
    ShadowsocksR(Box<ShadowsocksR>),
    /// VLESS, VMess or Trojan on a carrier.
    Stream(Box<StreamNode>),
    /// AnyTLS.
    AnyTls(Box<AnyTls>),
    /// Hysteria 2.
    Hysteria2(Box<Hysteria2>),
    /// Hysteria 1.
    Hysteria(Box<Hysteria>),
    /// TUIC.
    Tuic(Box<Tuic>),
    /// WireGuard.
    WireGuard(Box<WireGuard>),
    /// Snell.
    Snell(Box<Snell>),
    /// SSH.
    Ssh(Box<Ssh>),
    /// mieru.
    Mieru(Box<Mieru>),
    /// A protocol that only Clash cores speak.
    ClashOnly(Box<ClashOnly>),
}

impl Outbound {
    /// Shorthand for [`StreamNode::new`].
    ///
    /// # Errors
    /// [`ImpossiblePair`] when no server speaks that pair.
    pub fn stream(protocol: StreamProtocol, carrier: Carrier) -> Result<Self, ImpossiblePair> {
        StreamNode::new(protocol, carrier).map(|node| Self::Stream(Box::new(node)))
    }

    /// The link scheme in its standard spelling.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        match self {
            Self::Socks(SocksProxy { version: SocksVersion::V5, .. }) => "socks5",
            Self::Socks(SocksProxy { version: SocksVersion::Tor, .. }) => "tor",
            Self::Socks(_) => "socks4",
            Self::Http(HttpProxy { tls: Some(_), .. }) => "https",
            Self::Http(_) => "http",
            Self::Shadowsocks(_) => "ss",
            Self::ShadowsocksR(_) => "ssr",
            Self::Stream(node) => match node.protocol() {
                StreamProtocol::Vless(_) => "vless",
                StreamProtocol::Vmess(_) => "vmess",
                StreamProtocol::Trojan(_) => "trojan",
            },
            Self::AnyTls(_) => "anytls",
            Self::Hysteria2(_) => "hysteria2",
            Self::Hysteria(_) => "hysteria",
            Self::Tuic(_) => "tuic",
            Self::WireGuard(_) => "wireguard",
            Self::Snell(_) => "snell",
            Self::Ssh(_) => "ssh",
            Self::Mieru(_) => "mieru",
            Self::ClashOnly(node) => node.kind.name(),
        }
    }

    /// The transport's name.
    #[must_use]
    pub const fn transport(&self) -> TransportKind {
        match self {
            Self::Socks(_) | Self::Http(_) | Self::Shadowsocks(_) | Self::ShadowsocksR(_) | Self::AnyTls(_) => {
                TransportKind::Tcp
            }
            Self::Snell(_) | Self::Ssh(_) => TransportKind::Tcp,
            Self::Stream(node) => node.carrier().transport(),
            Self::Hysteria2(_) | Self::Hysteria(_) | Self::Tuic(_) => TransportKind::Quic,
            Self::WireGuard(_) => TransportKind::Udp,
            Self::Mieru(mieru) => match mieru.transport {
                MieruTransport::Tcp => TransportKind::Tcp,
                MieruTransport::Udp => TransportKind::Udp,
            },
            Self::ClashOnly(node) => match node.kind {
                ClashKind::GostRelay | ClashKind::Sudoku | ClashKind::TrustTunnel => TransportKind::Tcp,
                ClashKind::Masque | ClashKind::ShadowQuic => TransportKind::Quic,
                ClashKind::AmneziaWg | ClashKind::OpenVpn => TransportKind::Udp,
            },
        }
    }

    /// The security layer's name.
    #[must_use]
    pub const fn security(&self) -> SecurityKind {
        match self {
            Self::Socks(SocksProxy { tls: Some(_), .. }) | Self::Http(HttpProxy { tls: Some(_), .. }) => {
                SecurityKind::Tls
            }
            Self::Socks(_) | Self::Http(_) => SecurityKind::None,
            Self::Shadowsocks(_) | Self::ShadowsocksR(_) | Self::WireGuard(_) => SecurityKind::None,
            Self::Stream(node) => node.carrier().security(),
            Self::Snell(_) | Self::Ssh(_) | Self::Mieru(_) => SecurityKind::None,
            Self::AnyTls(_) | Self::Hysteria2(_) | Self::Hysteria(_) | Self::Tuic(_) => SecurityKind::Tls,
            Self::ClashOnly(node) => match node.kind {
                ClashKind::AmneziaWg | ClashKind::GostRelay | ClashKind::Sudoku => SecurityKind::None,
                ClashKind::Masque | ClashKind::OpenVpn | ClashKind::ShadowQuic | ClashKind::TrustTunnel => {
                    SecurityKind::Tls
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_plugins_and_parameters_tells_no_secret() {
        let plugin = Plugin {
            name: "shadow-tls".into(),
            options: vec![("host".into(), "h".into()), ("password".into(), "SECRET".into())],
        };
        let ssr = ShadowsocksR {
            method: "rc4-md5".into(),
            password: "SECRET".into(),
            protocol: "auth_chain_a".into(),
            protocol_param: "1:SECRET".into(),
            obfs: "plain".into(),
            obfs_param: "SECRET".into(),
        };
        let clash = ClashOnly { kind: ClashKind::Sudoku, settings: r#"{"key":"SECRET"}"#.into() };
        let ssh = Ssh {
            username: "root".into(),
            password: Some("SECRET".into()),
            private_key: Some("SECRET".into()),
            passphrase: Some("SECRET".into()),
            host_keys: Vec::new(),
            host_key_algorithms: Vec::new(),
        };
        let told = format!("{plugin:?} {ssr:?} {clash:?} {ssh:?}");
        assert!(told.contains("password") && told.contains("auth_chain_a") && !told.contains("SECRET"), "{told}");
    }
}
