//! The transports that carry a proxy protocol: raw TCP, WebSocket, HTTPUpgrade, gRPC, HTTP/2 and XHTTP, each over its
//! security layer.

mod connector;
mod grpc;
mod http1;
mod http2;
mod http2_body;
mod http2_pool;
mod http3;
mod http_header;
mod http_server;
pub(crate) mod http_upgrade;
mod upgrade;
pub(crate) mod websocket;
mod xhttp;

use std::sync::Arc;

use hezar_core::{Carrier, Security, Target, Tls};

pub(crate) use self::connector::TransportConnector;
#[cfg(feature = "fuzzing")]
pub(crate) use self::http3::decode as decode_http3;
pub(crate) use self::upgrade::UpgradeServer;
use self::{
    grpc::GrpcClient,
    http_header::HttpHeaderClient,
    http_upgrade::HttpUpgradeClient,
    http2::Http2Client,
    websocket::WebSocketClient,
    xhttp::{Endpoint, Version, XhttpClient},
};
pub(crate) use self::{grpc::server::GrpcServer, http_server::Opener, xhttp::server::XhttpServer};
pub use self::{upgrade::ServerPath, xhttp::server::ServerXhttp};
use crate::{
    Attempt, BoxStream, BuildError, DialError, Dialer,
    quic::{QuicServer, SharedClients},
    security::{Secure, SecureConnector},
};

/// The layer between secured streams to a server and the proxy protocol.
#[derive(Debug)]
pub(crate) struct Transport(Kind);

#[derive(Debug)]
enum Kind {
    Tcp,
    HttpHeader(Box<HttpHeaderClient>),
    WebSocket(Box<WebSocketClient>),
    HttpUpgrade(Box<HttpUpgradeClient>),
    Grpc(Box<GrpcClient>),
    Http2(Box<Http2Client>),
    Xhttp(Box<XhttpClient>),
}

/// The layers of `carrier` to `target` through `via`. Everything that can be wrong with the settings is found when they are put together, not
/// when they are used.
///
/// # Errors
/// [`BuildError`] names the first layer that is not implemented.
pub(crate) fn layers(
    carrier: &Carrier,
    target: &Target,
    via: &Arc<dyn Dialer>,
    shared: &SharedClients,
) -> Result<(Secure, Transport), BuildError> {
    let clients = &shared.tls;
    let server = target.host();
    let unsupported = |what| Err(BuildError::Unsupported(what));
    match carrier {
        Carrier::Tcp { header, security } => {
            let client = header.as_ref().map(|header| HttpHeaderClient::new(header, server));
            let kind = client.map_or(Kind::Tcp, |client| Kind::HttpHeader(Box::new(client)));
            Ok((Secure::new(security, server, clients, &[])?, Transport(kind)))
        }
        Carrier::WebSocket { websocket, tls } => {
            let client = WebSocketClient::new(websocket, tls.as_ref(), server);
            let tls = tls.as_ref().map(http1_only);
            let security = Secure::tls(tls.as_ref(), server, clients, &["http/1.1"]);
            Ok((security, Transport(Kind::WebSocket(Box::new(client)))))
        }
        Carrier::HttpUpgrade { upgrade, tls } => {
            let client = HttpUpgradeClient::new(upgrade, tls.as_ref(), server);
            let tls = tls.as_ref().map(http1_only);
            let security = Secure::tls(tls.as_ref(), server, clients, &["http/1.1"]);
            Ok((security, Transport(Kind::HttpUpgrade(Box::new(client)))))
        }
        Carrier::Grpc { grpc, security } => {
            let client = GrpcClient::new(
                grpc,
                server_name(security),
                server,
                *security != Security::None,
                shared.budget.clone(),
            )?;
            let security = Secure::new(&http2_only(security), server, clients, &["h2"])?;
            Ok((security, Transport(Kind::Grpc(Box::new(client)))))
        }
        Carrier::Http2 { http2, tls } => {
            let security = tls.clone().map_or(Security::None, Security::Tls);
            let client = Http2Client::new(http2, server_name(&security), server, tls.is_some(), shared.budget.clone())?;
            let security = Secure::new(&http2_only(&security), server, clients, &["h2"])?;
            Ok((security, Transport(Kind::Http2(Box::new(client)))))
        }
        Carrier::Xhttp { xhttp, security } => {
            let connect_to = |target: &Target, security: &Security, version| {
                let connector = |secure| Arc::new(SecureConnector::new(target.clone(), Arc::clone(via), secure));
                let server = target.host();
                Ok(match version {
                    Version::Http3 => Endpoint::Http3(Box::new(quic_server(target, security, via, shared)?)),
                    Version::Http1 => {
                        Endpoint::Http1(connector(Secure::new(security, server, clients, &["http/1.1"])?))
                    }
                    Version::Http2 => {
                        let secure = Secure::new(&http2_only(security), server, clients, &["h2"])?;
                        Endpoint::Http2(connector(secure), shared.budget.clone())
                    }
                })
            };
            let client = XhttpClient::new(xhttp, security, target, &connect_to)?;
            // XHTTP connects to its servers by itself.
            Ok((Secure::Nothing, Transport(Kind::Xhttp(Box::new(client)))))
        }
        Carrier::Kcp { .. } => unsupported("mKCP"),
        Carrier::Quic { .. } => unsupported("the old QUIC transport"),
    }
}

impl Transport {
    /// The stream is used as it is.
    pub(crate) const fn none() -> Self {
        Self(Kind::Tcp)
    }

    /// A new stream to the server, over what `connector` opens.
    ///
    /// # Errors
    /// [`DialError`] with the stage that failed.
    pub(crate) async fn open(
        &self,
        connector: &Arc<SecureConnector>,
        attempt: &Attempt,
    ) -> Result<BoxStream, DialError> {
        match &self.0 {
            Kind::Tcp => connector.connect(attempt).await,
            Kind::HttpHeader(client) => Ok(client.open(connector.connect(attempt).await?)),
            Kind::WebSocket(client) => client.open(connector.connect(attempt).await?, attempt).await,
            Kind::HttpUpgrade(client) => client.open(connector.connect(attempt).await?, attempt).await,
            Kind::Grpc(client) => client.open(connector, attempt).await,
            Kind::Http2(client) => client.open(connector, attempt).await,
            Kind::Xhttp(client) => client.open(attempt).await,
        }
    }
}

/// How a server that speaks HTTP/3 is reached.
fn quic_server(
    target: &Target,
    security: &Security,
    via: &Arc<dyn Dialer>,
    clients: &SharedClients,
) -> Result<QuicServer, BuildError> {
    let Security::Tls(tls) = security else { return Err(BuildError::Invalid("HTTP/3 needs TLS")) };
    // The same can be wrong with it as on a stream.
    Secure::new(security, target.host(), &clients.tls, &[])?;
    let (target, via, tls, clients) = (target.clone(), Arc::clone(via), tls.clone(), clients.clone());
    Ok(QuicServer { target, via, tls, clients, alpn: &["h3"], disguise: None, hop: None })
}

/// Settings without the protocols that cannot begin as HTTP/1.1: publishers often list `h2` by habit, and a server that
/// picked it would not understand the opening request.
fn http1_only(tls: &Tls) -> Tls {
    let alpn = tls.alpn.iter().filter(|name| !matches!(name.as_ref(), "h2" | "h3" | "h2c")).cloned().collect();
    Tls { alpn, ..tls.clone() }
}

/// Settings that leave the server no choice but HTTP/2.
fn http2_only(security: &Security) -> Security {
    match security {
        Security::Tls(tls) => Security::Tls(Tls { alpn: Vec::new(), ..tls.clone() }),
        other => other.clone(),
    }
}

/// The name of the server in the security layer.
fn server_name(security: &Security) -> Option<&str> {
    match security {
        Security::None => None,
        Security::Tls(tls) => tls.server_name.as_deref(),
        Security::Reality(reality) => reality.server_name.as_deref(),
    }
}
