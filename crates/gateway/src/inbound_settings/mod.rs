//! The settings of encrypted inbounds: what a listener speaks, what carries and protects it, and what strangers see there.

use std::path::PathBuf;

use hezar_core::{Secret, Target, XhttpMode, settings};

mod encoding;
mod reality;
mod shadowsocks;
#[cfg(test)]
mod tests;
mod words;

pub use reality::{InboundReality, RealityPrivateKey, RealitySite, ShortIds};
pub use shadowsocks::{InboundShadowsocks, ShadowsocksMethod};
pub use words::{InboundTransportKind, LinkSession, ListenerKind};

pub(crate) use encoding::{decode, decode_any, encode};

settings! {
    /// What carries the protocol of a VLESS listener.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct InboundTransport in "transport" {
        /// What carries the protocol.
        pub kind: InboundTransportKind = InboundTransportKind::Tcp;
        /// The path of its requests; with grpc, the name of the service.
        pub path: Option<Box<str>> [1..=1024] = None, example "\"/q7f0c2\"";
        /// Only requests for this host, and what links name; absent = any host.
        pub host: Option<Box<str>> [1..=255] = None;
        /// With xhttp, the way of uploading that links name; `auto`: each client chooses. Every way is served.
        pub mode: XhttpMode = XhttpMode::Auto;
    }
}

settings! {
    /// What answers whoever is no user. Without any of it, they meet a site that has no pages.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct InboundFallback in "fallback" {
        /// A folder with the files of a web site.
        pub folder: Option<PathBuf> = None, example "\"/var/lib/hezar/site\"";
        /// A web server that speaks HTTP/1.1 without TLS, as host and port.
        /// Its address is dialled directly, without a node.
        pub address: Option<Target> = None, example "\"127.0.0.1:8088\"";
    }
}

settings! {
    /// What a Hysteria 2 listener does beside TLS.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct InboundHysteria2 in "hysteria2" {
        /// The password of salamander: every packet looks random, and nothing answers whoever does not know it.
        pub obfs_password: Option<Secret> = None;
        /// What a client that names its bandwidth is told to send at most, in Mbit/s; absent = congestion control finds it.
        pub up_mbps: Option<u32> [1..=1_000_000] = None;
        /// What a client that names its bandwidth is sent at most, in Mbit/s, without slowing down when packets are lost.
        /// Absent = congestion control finds it, whatever clients name.
        pub down_mbps: Option<u32> [1..=1_000_000] = None;
    }
}

/// An encrypted inbound as a listener serves it, checked as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundConfig {
    /// What clients speak.
    pub protocol: InboundProtocol,
    /// What carries it.
    pub transport: InboundTransport,
    /// REALITY, in the place of TLS or in front of the listener's own site.
    pub reality: Option<InboundReality>,
    /// What answers strangers.
    pub fallback: InboundFallback,
}

/// The protocol of an encrypted inbound, with what it alone has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboundProtocol {
    /// Shadowsocks, over TCP and UDP.
    Shadowsocks(InboundShadowsocks),
    /// Trojan.
    Trojan,
    /// VLESS.
    Vless,
    /// Hysteria 2, over UDP.
    Hysteria2(InboundHysteria2),
    /// AnyTLS.
    AnyTls,
}

impl InboundProtocol {
    /// The word that the settings have for it.
    #[must_use]
    pub const fn kind(&self) -> ListenerKind {
        match self {
            Self::Shadowsocks(_) => ListenerKind::Shadowsocks,
            Self::Trojan => ListenerKind::Trojan,
            Self::Vless => ListenerKind::Vless,
            Self::Hysteria2(_) => ListenerKind::Hysteria2,
            Self::AnyTls => ListenerKind::AnyTls,
        }
    }
}
