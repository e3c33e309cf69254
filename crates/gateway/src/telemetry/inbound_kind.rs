//! How requests come in, as logs, metrics and the API name it.

use crate::InboundProtocol;

/// How a request came in; a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InboundKind {
    Http,
    Connect,
    Socks4,
    Socks5,
    Socks5Udp,
    Shadowsocks,
    ShadowsocksUdp,
    Trojan,
    TrojanUdp,
    Vless,
    VlessUdp,
    Hysteria2,
    Hysteria2Udp,
    AnyTls,
    AnyTlsUdp,
}

impl InboundKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Connect => "connect",
            Self::Socks4 => "socks4",
            Self::Socks5 => "socks5",
            Self::Socks5Udp => "socks5-udp",
            Self::Shadowsocks => "shadowsocks",
            Self::ShadowsocksUdp => "shadowsocks-udp",
            Self::Trojan => "trojan",
            Self::TrojanUdp => "trojan-udp",
            Self::Vless => "vless",
            Self::VlessUdp => "vless-udp",
            Self::Hysteria2 => "hysteria2",
            Self::Hysteria2Udp => "hysteria2-udp",
            Self::AnyTls => "anytls",
            Self::AnyTlsUdp => "anytls-udp",
        }
    }

    /// A stream over an encrypted inbound.
    pub(crate) const fn stream_of(protocol: &InboundProtocol) -> Self {
        match protocol {
            InboundProtocol::Shadowsocks(_) => Self::Shadowsocks,
            InboundProtocol::Trojan => Self::Trojan,
            InboundProtocol::Vless => Self::Vless,
            InboundProtocol::Hysteria2(_) => Self::Hysteria2,
            InboundProtocol::AnyTls => Self::AnyTls,
        }
    }

    /// Datagrams over an encrypted inbound.
    pub(crate) const fn datagrams_of(protocol: &InboundProtocol) -> Self {
        match protocol {
            InboundProtocol::Shadowsocks(_) => Self::ShadowsocksUdp,
            InboundProtocol::Trojan => Self::TrojanUdp,
            InboundProtocol::Vless => Self::VlessUdp,
            InboundProtocol::Hysteria2(_) => Self::Hysteria2Udp,
            InboundProtocol::AnyTls => Self::AnyTlsUdp,
        }
    }
}
