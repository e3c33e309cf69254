//! The protocols, each with exactly the settings it has.

mod datagrams;
mod form;

use thiserror::Error;
use uuid::Uuid;

use crate::{Carrier, Secret, Security, SecurityKind, Tls, TransportKind, transport::tls_kind};

/// A user name and a password; either may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The user name.
    pub username: Box<str>,
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
}

/// A SOCKS server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SocksProxy {
    /// The version to speak.
    pub version: SocksVersion,
    /// User and password (SOCKS4 sends only the user).
    pub credentials: Option<Credentials>,
    /// TLS around it, as some clients allow.
    pub tls: Option<Tls>,
}

/// An HTTP CONNECT proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpProxy {
    /// User and password (Basic).
    pub credentials: Option<Credentials>,
    /// TLS to the proxy itself (an `https` proxy).
    pub tls: Option<Tls>,
}

/// A SIP003 plugin: its name and its options in their order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plugin {
    /// The standard name: `obfs-local`, `v2ray-plugin`, `shadow-tls`, …
    pub name: Box<str>,
    /// Options; a bare word has an empty value.
    pub options: Vec<(Box<str>, Box<str>)>,
}

/// Shadowsocks (SIP002, SIP022).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shadowsocks {
    /// The method in its standard lower-case name, e.g. `chacha20-ietf-poly1305`, `2022-blake3-aes-256-gcm`, `rc4-md5`.
    pub method: Box<str>,
    /// The password; for 2022 methods base64 keys, several joined by `:` (SIP023).
    pub password: Secret,
    /// The plugin in front, if any.
    pub plugin: Option<Plugin>,
    /// Whether UDP goes over the TCP stream.
    pub udp_over_tcp: bool,
}

/// ShadowsocksR.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct ShadowsocksR {
    pub method: Box<str>,
    pub password: Secret,
    pub protocol: Box<str>,
    pub protocol_param: Box<str>,
    pub obfs: Box<str>,
    pub obfs_param: Box<str>,
}

/// XTLS Vision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vision {
    /// `xtls-rprx-vision`: UDP to port 443 is refused.
    Plain,
    /// `xtls-rprx-vision-udp443`.
    Udp443,
}

/// How UDP is packed into a VLESS or VMess stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum PacketEncoding {
    #[default]
    Xudp,
    PacketAddr,
    None,
}

/// VLESS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Vless {
    /// The user.
    pub id: Uuid,
    /// The flow.
    pub flow: Option<Vision>,
    /// VLESS encryption (`mlkem768x25519plus…`) as published; absent = none.
    pub encryption: Option<Secret>,
    /// The packing of UDP.
    pub packet_encoding: PacketEncoding,
}

/// The cipher of a VMess body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum VmessCipher {
    #[default]
    Auto,
    Aes128Gcm,
    Chacha20Poly1305,
    None,
    Zero,
}

impl VmessCipher {
    /// The name in links.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Aes128Gcm => "aes-128-gcm",
            Self::Chacha20Poly1305 => "chacha20-poly1305",
            Self::None => "none",
            Self::Zero => "zero",
        }
    }
}

/// VMess.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Vmess {
    /// The user.
    pub id: Uuid,
    /// The number of alternative ids, as published: 0 says that the server is not older than AEAD headers.
    pub alter_id: u16,
    /// The body cipher.
    pub cipher: VmessCipher,
    /// The packing of UDP.
    pub packet_encoding: PacketEncoding,
}

/// Trojan.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Trojan {
    /// The password.
    pub password: Secret,
    /// trojan-go's inner Shadowsocks layer, `method:password` behind `ss;`.
    pub inner_shadowsocks: Option<Secret>,
}

/// The protocols that ride on a [`Carrier`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum StreamProtocol {
    Vless(Vless),
    Vmess(Vmess),
    Trojan(Trojan),
}

/// The pair of a protocol and a carrier that no server can speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ImpossiblePair {
    /// Vision needs TLS or REALITY directly over TCP, or VLESS encryption.
    #[error("Vision needs TLS or REALITY over raw TCP, or VLESS encryption")]
    VisionCarrier,
}

/// A stream protocol on its carrier. The fields are private so that an impossible pair cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamNode {
    protocol: StreamProtocol,
    carrier: Carrier,
}

impl StreamNode {
    /// Puts a protocol on a carrier.
    ///
    /// # Errors
    /// [`ImpossiblePair`] when no server speaks that pair.
    pub fn new(protocol: StreamProtocol, carrier: Carrier) -> Result<Self, ImpossiblePair> {
        if let StreamProtocol::Vless(Vless { flow: Some(_), encryption: None, .. }) = &protocol {
            let secured_tcp =
                matches!(&carrier, Carrier::Tcp { header: None, security: Security::Tls(_) | Security::Reality(_) });
            if !secured_tcp {
                return Err(ImpossiblePair::VisionCarrier);
            }
        }
        Ok(Self { protocol, carrier })
    }

    /// The protocol.
    #[must_use]
    pub const fn protocol(&self) -> &StreamProtocol {
        &self.protocol
    }

    /// The carrier.
    #[must_use]
    pub const fn carrier(&self) -> &Carrier {
        &self.carrier
    }
}

/// The disguise of Hysteria 2's packets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Obfs2 {
    Salamander {
        password: Secret,
    },
    /// Gecko, with packet sizes in bytes as published.
    Gecko {
        password: Secret,
        min_packet: Option<u16>,
        max_packet: Option<u16>,
    },
}

/// Hysteria 2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hysteria2 {
    /// The whole `auth` string.
    pub auth: Secret,
    /// The ports to hop over, as inclusive ranges, besides the server's own; empty = no hopping.
    pub ports: Vec<(u16, u16)>,
    /// Seconds between hops; absent = the client's default (30).
    pub hop_interval: Option<u32>,
    /// The disguise.
    pub obfs: Option<Obfs2>,
    /// Our upload bandwidth in Mbit/s for Brutal; absent = congestion control without a promise.
    pub up_mbps: Option<u32>,
    /// Our download bandwidth in Mbit/s.
    pub down_mbps: Option<u32>,
    /// TLS inside QUIC.
    pub tls: Tls,
}

/// What Hysteria 1 pretends to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum HysteriaTransport {
    #[default]
    Udp,
    WechatVideo,
    FakeTcp,
}

/// The disguise of Hysteria 1's packets (`xplus`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HysteriaObfs(pub Secret);

/// Hysteria 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hysteria {
    /// The `auth` string.
    pub auth: Secret,
    /// The ports to hop over besides the server's own.
    pub ports: Vec<(u16, u16)>,
    /// What carries QUIC.
    pub transport: HysteriaTransport,
    /// The disguise.
    pub obfs: Option<HysteriaObfs>,
    /// Our upload bandwidth in Mbit/s.
    pub up_mbps: Option<u32>,
    /// Our download bandwidth in Mbit/s.
    pub down_mbps: Option<u32>,
    /// TLS inside QUIC.
    pub tls: Tls,
}

/// Who a TUIC client is: version 5 has a user, version 4 a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum TuicUser {
    V5 { id: Uuid, password: Secret },
    V4 { token: Secret },
}

/// TUIC's congestion control.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Congestion {
    #[default]
    Cubic,
    NewReno,
    Bbr,
}

impl Congestion {
    /// The name in links.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::NewReno => "new_reno",
            Self::Bbr => "bbr",
        }
    }
}

/// How TUIC relays UDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum UdpRelayMode {
    #[default]
    Native,
    Quic,
}

/// TUIC.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct Tuic {
    pub user: TuicUser,
    pub congestion: Congestion,
    pub udp_relay: UdpRelayMode,
    pub reduce_rtt: bool,
    pub tls: Tls,
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
#[allow(missing_docs)]
pub enum Outbound {
    Socks(SocksProxy),
    Http(HttpProxy),
    Shadowsocks(Shadowsocks),
    ShadowsocksR(ShadowsocksR),
    /// VLESS, VMess or Trojan on a carrier.
    Stream(Box<StreamNode>),
    AnyTls(Box<AnyTls>),
    Hysteria2(Box<Hysteria2>),
    Hysteria(Box<Hysteria>),
    Tuic(Box<Tuic>),
    WireGuard(Box<WireGuard>),
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
        }
    }

    /// The transport's name.
    #[must_use]
    pub const fn transport(&self) -> TransportKind {
        match self {
            Self::Socks(_) | Self::Http(_) | Self::Shadowsocks(_) | Self::ShadowsocksR(_) | Self::AnyTls(_) => {
                TransportKind::Tcp
            }
            Self::Stream(node) => node.carrier().transport(),
            Self::Hysteria2(_) | Self::Hysteria(_) | Self::Tuic(_) => TransportKind::Quic,
            Self::WireGuard(_) => TransportKind::Udp,
        }
    }

    /// The security layer's name.
    #[must_use]
    pub const fn security(&self) -> SecurityKind {
        match self {
            Self::Socks(SocksProxy { tls, .. }) | Self::Http(HttpProxy { tls, .. }) => tls_kind(tls.as_ref()),
            Self::Shadowsocks(_) | Self::ShadowsocksR(_) | Self::WireGuard(_) => SecurityKind::None,
            Self::Stream(node) => node.carrier().security(),
            Self::AnyTls(_) | Self::Hysteria2(_) | Self::Hysteria(_) | Self::Tuic(_) => SecurityKind::Tls,
        }
    }
}
