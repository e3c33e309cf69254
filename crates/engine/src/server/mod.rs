//! The server's side of the protocols: what a client's bytes ask for, without users and nodes.

use std::{fmt, io, sync::Arc};

use crate::{
    BoxStream,
    protocol::{
        anytls, trojan,
        vless::{self, server::Layered},
    },
    security::{
        RealityAccepted,
        tls::server::{TlsAccepted, TlsServer},
    },
    transport::{GrpcServer, Opener, UpgradeServer, XhttpServer, http_upgrade, websocket},
};

#[cfg(test)]
mod tests;

pub use crate::protocol::hysteria2::server::{Hysteria2Connection, Hysteria2Server, Hysteria2ServerSettings};
pub use crate::protocol::shadowsocks::server::{ShadowsocksServer, ShadowsocksUdp};
pub use crate::quic::QuicListener;
pub use crate::security::{RealityServer, RealitySettings, SiteConnector, UnusableSite};
pub use crate::served::{
    BoxServed, BoxSession, CredentialId, CurrentKeyring, DatagramRequest, InboundKey, InboundRequest, InboundSession,
    Keyring, KeyringKind, Opening, RequestRefusal, ServedStream, SessionItem, SiteRelay, Stranger, StrangerReason,
    StreamRequest, WebAnswer, WebBody, WebRequest, WebResponder,
};
pub use crate::transport::{ServerPath, ServerXhttp};

/// What clients speak inside the transport.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerProtocol {
    /// Trojan.
    Trojan,
    /// Shadowsocks, which brings its own security.
    Shadowsocks(ShadowsocksServer),
    /// AnyTLS, whose connections carry many requests.
    AnyTls,
    /// VLESS; with Vision where it can leave TLS 1.3 or REALITY.
    Vless,
}

/// What carries the protocol's bytes.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerTransport {
    /// The stream as it is.
    Tcp,
    /// Binary messages of WebSockets.
    WebSocket(ServerPath),
    /// The stream behind an upgrade of HTTP/1.1.
    HttpUpgrade(ServerPath),
    /// Calls of gRPC, to the service of this name; one that begins with a slash is a whole path.
    Grpc(Box<str>),
    /// Requests of XHTTP.
    Xhttp(ServerXhttp),
}

/// The server of a transport.
enum TransportServer {
    Tcp,
    Upgrade(UpgradeServer),
    Grpc(GrpcServer),
    Xhttp(XhttpServer),
}

/// What protects the transport.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerSecurity {
    /// Nothing: somebody in front of this port does.
    None,
    /// TLS.
    Tls(TlsServer),
    /// REALITY.
    Reality(Arc<RealityServer>),
}

/// What an inbound speaks.
#[derive(Debug)]
pub struct InboundSettings {
    /// The protocol.
    pub protocol: ServerProtocol,
    /// What carries it.
    pub transport: ServerTransport,
    /// What protects that.
    pub security: ServerSecurity,
}

/// The server's side of one inbound over streams, built once per configuration.
pub struct InboundServer {
    protocol: Arc<ServerProtocol>,
    transport: TransportServer,
    security: ServerSecurity,
}

impl InboundServer {
    /// Serves by these settings.
    #[must_use]
    pub fn new(settings: InboundSettings) -> Self {
        let InboundSettings { protocol, transport, security } = settings;
        let transport = match transport {
            ServerTransport::Tcp => TransportServer::Tcp,
            ServerTransport::WebSocket(path) => TransportServer::Upgrade(websocket::server::server(path)),
            ServerTransport::HttpUpgrade(path) => TransportServer::Upgrade(http_upgrade::server::server(path)),
            ServerTransport::Grpc(service) => TransportServer::Grpc(GrpcServer::new(&service)),
            ServerTransport::Xhttp(settings) => TransportServer::Xhttp(XhttpServer::new(&settings)),
        };
        Self { protocol: Arc::new(protocol), transport, security }
    }

    /// What serves the packets of Shadowsocks beside its connections.
    #[must_use]
    pub fn shadowsocks(&self) -> Option<&ShadowsocksServer> {
        match &*self.protocol {
            ServerProtocol::Shadowsocks(server) => Some(server),
            _ => None,
        }
    }

    /// Reads what a client asks for. The caller bounds the time. A session over HTTP goes on asking for the credentials.
    ///
    /// # Errors
    /// The connection failed, or ended before it said anything; nobody can be answered.
    pub async fn accept(&self, stream: BoxStream, keyring: &CurrentKeyring) -> io::Result<Opening> {
        let secured = match &self.security {
            ServerSecurity::None => Layered::Other(stream),
            ServerSecurity::Tls(tls) => match tls.accept(stream).await? {
                TlsAccepted::Stream(stream) => Layered::Leavable(Box::new(stream)),
                TlsAccepted::Challenge => return Ok(Opening::Done),
            },
            ServerSecurity::Reality(reality) => match reality.accept(stream).await? {
                RealityAccepted::Client(stream) => Layered::Leavable(stream),
                RealityAccepted::Stranger(relay) => return Ok(Opening::Relay(relay)),
                RealityAccepted::Over => return Ok(Opening::Done),
            },
        };
        match &self.transport {
            TransportServer::Tcp => self.protocol.read_request(secured, &keyring.get()).await,
            TransportServer::Upgrade(server) => server.accept(secured.into_stream(), self.opener(keyring)).await,
            TransportServer::Grpc(server) => server.accept(secured.into_stream(), self.opener(keyring)).await,
            TransportServer::Xhttp(server) => server.accept(secured.into_stream(), self.opener(keyring)).await,
        }
    }

    /// Reads what clients ask for on the many streams of one connection.
    fn opener(&self, keyring: &CurrentKeyring) -> Opener {
        let (protocol, keyring) = (Arc::clone(&self.protocol), keyring.clone());
        Arc::new(move |stream| {
            let (protocol, keyring) = (Arc::clone(&protocol), keyring.get());
            Box::pin(async move { protocol.read_request(Layered::Other(stream), &keyring).await })
        })
    }
}

impl ServerProtocol {
    /// Reads what a client of the protocol asks for.
    async fn read_request(&self, carrier: Layered, keyring: &Keyring) -> io::Result<Opening> {
        match self {
            Self::Trojan => trojan::server::accept(carrier.into_stream(), keyring).await,
            Self::Shadowsocks(server) => server.accept(carrier.into_stream(), keyring).await,
            Self::AnyTls => anytls::server::accept(carrier.into_stream(), keyring).await,
            Self::Vless => vless::server::accept(carrier, keyring).await,
        }
    }
}

impl fmt::Debug for InboundServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundServer")
            .field("protocol", &self.protocol)
            .field("security", &self.security)
            .finish_non_exhaustive()
    }
}
