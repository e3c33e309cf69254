//! What carries a stream protocol's bytes, and the security beneath it.

mod websocket;

use hezar_core::{Carrier, Host, Tls};

use self::websocket::WebSocketClient;
use crate::{Attempt, BoxStream, BuildError, DialError, TlsClients, security::Secure};

/// The layers between a TCP stream to a server and the proxy protocol: security, then transport. Everything that can
/// be wrong with the settings is found when they are put together, not when they are used.
#[derive(Debug)]
pub(crate) struct Layers {
    security: Secure,
    transport: Transport,
}

#[derive(Debug)]
enum Transport {
    Tcp,
    WebSocket(Box<WebSocketClient>),
}

impl Layers {
    /// Checks that every layer of `carrier` is implemented.
    ///
    /// # Errors
    /// [`BuildError`] names the first one that is not.
    pub(crate) fn new(carrier: &Carrier, server: &Host, clients: &TlsClients) -> Result<Self, BuildError> {
        let unsupported = |what| Err(BuildError::Unsupported(what));
        match carrier {
            Carrier::Tcp { header: Some(_), .. } => unsupported("the HTTP disguise of raw TCP"),
            Carrier::Tcp { header: None, security } => {
                let security = Secure::new(security, server, clients, &[])?;
                Ok(Self { security, transport: Transport::Tcp })
            }
            Carrier::WebSocket { websocket, tls } => {
                let client = WebSocketClient::new(websocket, tls.as_ref(), server);
                let tls = tls.as_ref().map(http1_only);
                let security = Secure::tls(tls.as_ref(), server, clients, &["http/1.1"]);
                Ok(Self { security, transport: Transport::WebSocket(Box::new(client)) })
            }
            Carrier::HttpUpgrade { .. } => unsupported("HTTPUpgrade"),
            Carrier::Grpc { .. } => unsupported("gRPC"),
            Carrier::Http2 { .. } => unsupported("HTTP/2"),
            Carrier::Xhttp { .. } => unsupported("XHTTP"),
            Carrier::Kcp { .. } => unsupported("mKCP"),
            Carrier::Quic { .. } => unsupported("the old QUIC transport"),
        }
    }

    /// Runs the handshakes on a fresh stream to the server.
    ///
    /// # Errors
    /// [`DialError`] with the stage that failed.
    pub(crate) async fn wrap(&self, stream: BoxStream, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let stream = self.security.wrap(stream, attempt).await?;
        match &self.transport {
            Transport::Tcp => Ok(stream),
            Transport::WebSocket(client) => client.open(stream, attempt).await,
        }
    }
}

/// Settings without the protocols that a WebSocket of RFC 6455 cannot ride on: publishers often list `h2` by habit, and
/// a server that picked it would not understand the opening request.
fn http1_only(tls: &Tls) -> Tls {
    let alpn = tls.alpn.iter().filter(|name| !matches!(name.as_ref(), "h2" | "h3" | "h2c")).cloned().collect();
    Tls { alpn, ..tls.clone() }
}
