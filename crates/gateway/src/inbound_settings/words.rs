//! Settings that are one word out of a few.

use hezar_core::choices;

/// What clients speak to a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ListenerKind {
    /// HTTP and SOCKS on one port, told apart by the first byte.
    #[default]
    Mixed,
    /// Shadowsocks (SIP004, SIP022), over TCP and UDP.
    Shadowsocks,
    /// Trojan over TLS.
    Trojan,
    /// VLESS over TLS or REALITY.
    Vless,
    /// Hysteria 2, over UDP.
    Hysteria2,
    /// AnyTLS.
    AnyTls,
}

impl ListenerKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Mixed, Self::Shadowsocks, Self::Trojan, Self::Vless, Self::Hysteria2, Self::AnyTls];

    /// Its name in the settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Shadowsocks => "shadowsocks",
            Self::Trojan => "trojan",
            Self::Vless => "vless",
            Self::Hysteria2 => "hysteria2",
            Self::AnyTls => "anytls",
        }
    }

    /// Whether a listener of this kind accepts TCP connections.
    #[must_use]
    pub const fn uses_tcp(self) -> bool {
        !matches!(self, Self::Hysteria2)
    }

    /// Whether a listener of this kind receives UDP packets.
    #[must_use]
    pub const fn uses_udp(self) -> bool {
        matches!(self, Self::Shadowsocks | Self::Hysteria2)
    }
}

/// What carries the protocol of an encrypted inbound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InboundTransportKind {
    /// Nothing but TCP.
    #[default]
    Tcp,
    /// WebSocket (RFC 6455).
    WebSocket,
    /// HTTP/1.1 Upgrade without WebSocket frames.
    HttpUpgrade,
    /// gRPC.
    Grpc,
    /// XHTTP.
    Xhttp,
}

impl InboundTransportKind {
    /// Every transport.
    pub const ALL: [Self; 5] = [Self::Tcp, Self::WebSocket, Self::HttpUpgrade, Self::Grpc, Self::Xhttp];

    /// Its name in the settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::WebSocket => "websocket",
            Self::HttpUpgrade => "httpupgrade",
            Self::Grpc => "grpc",
            Self::Xhttp => "xhttp",
        }
    }
}

/// Which session the requests over a link belong to, and so which of them share an exit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LinkSession {
    /// None beside what the link's options say.
    #[default]
    None,
    /// One for the link: everybody who uses it has the same exit.
    Link,
    /// One for each client address: every household has an exit of its own.
    Client,
}

impl LinkSession {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::None, Self::Link, Self::Client];

    /// Its name in the settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Link => "link",
            Self::Client => "client",
        }
    }
}

choices!(ListenerKind, InboundTransportKind, LinkSession);
