//! What carries a stream protocol's bytes, and which security each carrier can have.

mod form;

use std::fmt;

use crate::{Reality, Secret, Security, SecurityKind, Target, Tls};

/// The transports by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TransportKind {
    /// Raw TCP.
    Tcp,
    /// WebSocket.
    WebSocket,
    /// gRPC.
    Grpc,
    /// HTTP Upgrade without WebSocket frames.
    HttpUpgrade,
    /// HTTP/2 streams.
    Http2,
    /// XHTTP (SplitHTTP).
    Xhttp,
    /// mKCP over UDP.
    Kcp,
    /// QUIC as v2ray used it.
    Quic,
    /// UDP of the protocol's own.
    Udp,
}

impl TransportKind {
    /// The name in JSON and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::WebSocket => "ws",
            Self::Grpc => "grpc",
            Self::HttpUpgrade => "httpupgrade",
            Self::Http2 => "http2",
            Self::Xhttp => "xhttp",
            Self::Kcp => "kcp",
            Self::Quic => "quic",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The HTTP/1.1 disguise of raw TCP (`headerType=http`): a fake request in front of the first bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HttpHeader {
    /// Host headers, one of which is sent.
    pub hosts: Vec<Box<str>>,
    /// Paths, one of which is sent; empty = `/`.
    pub paths: Vec<Box<str>>,
}

/// First bytes of the stream sent inside the opening request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EarlyData {
    /// The most bytes sent this way.
    pub max_bytes: u32,
    /// The header that carries them as base64url; absent = appended to the path.
    pub header: Option<Box<str>>,
}

/// WebSocket (RFC 6455).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct WebSocket {
    /// The request target; empty = `/`.
    pub path: Box<str>,
    /// The Host header; absent = the TLS server name, else the server's host.
    pub host: Option<Box<str>>,
    /// Other headers to send, as name and value.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// Early data, when the publisher asks for it.
    pub early_data: Option<EarlyData>,
}

/// HTTP/1.1 Upgrade without WebSocket framing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HttpUpgrade {
    /// The request target; empty = `/`.
    pub path: Box<str>,
    /// The Host header; absent = the TLS server name, else the server's host.
    pub host: Option<Box<str>>,
    /// Other headers to send, as name and value.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// Whether bytes may be sent before the answer (`ed` in the path).
    pub early_data: Option<EarlyData>,
}

/// How gRPC messages are framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GrpcMode {
    /// One piece of data in each message (`Hunk`).
    #[default]
    Gun,
    /// Several pieces of data in each message (`MultiHunk`).
    Multi,
}

/// gRPC (v2ray's `gun` service).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Grpc {
    /// The service name; may hold slashes.
    pub service_name: Box<str>,
    /// The `:authority`; absent = the TLS server name, else the server's host.
    pub authority: Option<Box<str>>,
    /// The framing.
    pub mode: GrpcMode,
}

/// HTTP/2 streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Http2 {
    /// The `:path`; empty = `/`.
    pub path: Box<str>,
    /// Values for `:authority`, one of which is sent.
    pub hosts: Vec<Box<str>>,
}

/// How XHTTP sends its upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum XhttpMode {
    /// The client chooses by the security layer.
    #[default]
    Auto,
    /// One request for each piece of the upload.
    PacketUp,
    /// One request for the whole upload, another one for the download.
    StreamUp,
    /// One request for both ways.
    StreamOne,
}

impl XhttpMode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::Auto, Self::PacketUp, Self::StreamUp, Self::StreamOne];

    /// The name in links.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::PacketUp => "packet-up",
            Self::StreamUp => "stream-up",
            Self::StreamOne => "stream-one",
        }
    }
}

/// XHTTP, formerly SplitHTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Xhttp {
    /// The path; empty = `/`.
    pub path: Box<str>,
    /// The Host header; absent = the TLS server name, else the server's host.
    pub host: Option<Box<str>>,
    /// The upload mode.
    pub mode: XhttpMode,
    /// The `extra` object as compact JSON, keys in their published order.
    pub extra: Option<Box<str>>,
    /// What `extra` says about a download that takes another way (`downloadSettings`).
    pub download: Option<Box<XhttpDownload>>,
}

/// The way of XHTTP's download, when it is not that of the upload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct XhttpDownload {
    /// Where the download comes from; absent = the node's own server.
    pub server: Option<Target>,
    /// Path, host and `extra` of its requests; mode and download of its own mean nothing here.
    pub xhttp: Xhttp,
    /// The security layer.
    pub security: Security,
}

/// mKCP over UDP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kcp {
    /// The disguise: `none`, `srtp`, `utp`, `wechat-video`, `dtls`, `wireguard`, `dns`; empty = none.
    pub header: Box<str>,
    /// The name that the disguise `dns` asks for; absent = Xray's default.
    pub domain: Option<Box<str>>,
    /// The obfuscation password.
    pub seed: Option<Secret>,
}

/// v2ray's old QUIC transport.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct QuicTransport {
    /// The packet encryption: `none`, `aes-128-gcm`, `chacha20-poly1305`; empty = none.
    pub encryption: Box<str>,
    /// Its key.
    pub key: Option<Secret>,
    /// The disguise, as for mKCP.
    pub header: Box<str>,
}

/// A transport together with a security layer that it can have: REALITY exists over raw TCP, gRPC and XHTTP only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// Raw TCP; the disguise excludes nothing.
    Tcp {
        /// The HTTP disguise.
        header: Option<HttpHeader>,
        /// The security layer.
        security: Security,
    },
    /// WebSocket.
    WebSocket {
        /// Its settings.
        websocket: WebSocket,
        /// TLS, if there is any.
        tls: Option<Tls>,
    },
    /// HTTP Upgrade.
    HttpUpgrade {
        /// Its settings.
        upgrade: HttpUpgrade,
        /// TLS, if there is any.
        tls: Option<Tls>,
    },
    /// gRPC.
    Grpc {
        /// Its settings.
        grpc: Grpc,
        /// The security layer.
        security: Security,
    },
    /// HTTP/2.
    Http2 {
        /// Its settings.
        http2: Http2,
        /// TLS, if there is any.
        tls: Option<Tls>,
    },
    /// XHTTP.
    Xhttp {
        /// Its settings.
        xhttp: Xhttp,
        /// The security layer.
        security: Security,
    },
    /// mKCP.
    Kcp {
        /// Its settings.
        kcp: Kcp,
        /// TLS, if there is any.
        tls: Option<Tls>,
    },
    /// QUIC.
    Quic {
        /// Its settings.
        quic: QuicTransport,
        /// TLS, if there is any.
        tls: Option<Tls>,
    },
}

impl Carrier {
    /// Raw TCP with nothing around it.
    #[must_use]
    pub const fn plain() -> Self {
        Self::Tcp { header: None, security: Security::None }
    }

    /// The transport's name.
    #[must_use]
    pub const fn transport(&self) -> TransportKind {
        match self {
            Self::Tcp { .. } => TransportKind::Tcp,
            Self::WebSocket { .. } => TransportKind::WebSocket,
            Self::HttpUpgrade { .. } => TransportKind::HttpUpgrade,
            Self::Grpc { .. } => TransportKind::Grpc,
            Self::Http2 { .. } => TransportKind::Http2,
            Self::Xhttp { .. } => TransportKind::Xhttp,
            Self::Kcp { .. } => TransportKind::Kcp,
            Self::Quic { .. } => TransportKind::Quic,
        }
    }

    /// The security layer's name.
    #[must_use]
    pub const fn security(&self) -> SecurityKind {
        match self {
            Self::Tcp { security, .. } | Self::Grpc { security, .. } | Self::Xhttp { security, .. } => security.kind(),
            Self::WebSocket { tls, .. }
            | Self::HttpUpgrade { tls, .. }
            | Self::Http2 { tls, .. }
            | Self::Kcp { tls, .. }
            | Self::Quic { tls, .. } => tls_kind(tls.as_ref()),
        }
    }

    /// The TLS settings, when the security layer is TLS.
    #[must_use]
    pub const fn tls(&self) -> Option<&Tls> {
        match self {
            Self::Tcp { security, .. } | Self::Grpc { security, .. } | Self::Xhttp { security, .. } => match security {
                Security::Tls(tls) => Some(tls),
                Security::None | Security::Reality(_) => None,
            },
            Self::WebSocket { tls, .. }
            | Self::HttpUpgrade { tls, .. }
            | Self::Http2 { tls, .. }
            | Self::Kcp { tls, .. }
            | Self::Quic { tls, .. } => tls.as_ref(),
        }
    }

    /// The REALITY settings, when the security layer is REALITY.
    #[must_use]
    pub const fn reality(&self) -> Option<&Reality> {
        match self {
            Self::Tcp { security: Security::Reality(reality), .. }
            | Self::Grpc { security: Security::Reality(reality), .. }
            | Self::Xhttp { security: Security::Reality(reality), .. } => Some(reality),
            _ => None,
        }
    }
}

/// The security name of an optional TLS layer.
pub(crate) const fn tls_kind(tls: Option<&Tls>) -> SecurityKind {
    if tls.is_some() { SecurityKind::Tls } else { SecurityKind::None }
}
