//! The layers that protect bytes between us and a node.

mod gate;
mod hello;
mod reality;
mod shadow_tls;
pub(crate) mod tls;
mod visit;

use hezar_core::{Host, Security, Stage, Target, Tls};
use rustls::ProtocolVersion;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;

pub(crate) use self::gate::RecordGate;
use self::{
    hello::{OwnHello, Swapped},
    reality::RealityClient,
    tls::{ReadAhead, Secured},
};
use crate::{Attempt, BoxStream, BuildError, Cause, DialError, Dialer};

pub(crate) use self::{
    hello::hear_server_hello,
    reality::read_certificate as read_reality_certificate,
    shadow_tls::{ShadowTlsClient, decode as decode_shadow_tls},
};
pub use tls::TlsClients;

/// TLS or REALITY over a gate: the stream beneath can be had back in the middle of the connection.
pub(crate) type Gated = TlsStream<Swapped<RecordGate<BoxStream>>>;

/// The security layer of one node, ready to be put on streams to its server.
#[derive(Debug)]
pub(crate) enum Secure {
    /// Bytes go as they are.
    Nothing,
    /// TLS.
    Tls(Box<TlsClient>),
    /// REALITY.
    Reality(Box<RealityClient>),
    /// ShadowTLS.
    ShadowTls(Box<ShadowTlsClient>),
}

/// One node's TLS.
#[derive(Debug)]
pub(crate) struct TlsClient {
    tls: Tls,
    server: Host,
    clients: TlsClients,
    default_alpn: &'static [&'static str],
    own_hello: OwnHello,
}

impl TlsClient {
    async fn handshake<S>(&self, stream: S, attempt: &Attempt) -> Result<TlsStream<Swapped<S>>, DialError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let fingerprint = self.tls.fingerprint.filter(|_| !self.own_hello.is_due());
        let Self { tls, server, clients, default_alpn, .. } = self;
        let result = clients.handshake(stream, tls, server, default_alpn, fingerprint, attempt).await;
        result.inspect_err(|error| self.own_hello.learn(&error.cause))
    }
}

impl Secure {
    /// The layer that `security` describes; `default_alpn` is offered when it names no protocols of its own.
    ///
    /// # Errors
    /// [`BuildError`] when it is not implemented.
    pub(crate) fn new(
        security: &Security,
        server: &Host,
        clients: &TlsClients,
        default_alpn: &'static [&'static str],
    ) -> Result<Self, BuildError> {
        match security {
            Security::None => Ok(Self::Nothing),
            Security::Tls(tls) => {
                TlsClients::check(tls)?;
                Ok(Self::tls(Some(tls), server, clients, default_alpn))
            }
            Security::Reality(settings) => Ok(Self::Reality(Box::new(RealityClient::new(settings, server, clients)?))),
        }
    }

    /// TLS, or nothing.
    pub(crate) fn tls(
        tls: Option<&Tls>,
        server: &Host,
        clients: &TlsClients,
        default_alpn: &'static [&'static str],
    ) -> Self {
        let Some(tls) = tls else { return Self::Nothing };
        Self::Tls(Box::new(TlsClient {
            tls: tls.clone(),
            server: server.clone(),
            clients: clients.clone(),
            default_alpn,
            own_hello: OwnHello::new(false),
        }))
    }

    /// A new stream to `server`, secured.
    ///
    /// # Errors
    /// [`DialError`] with the stage that failed.
    pub(crate) async fn connect(
        &self,
        via: &dyn Dialer,
        server: &Target,
        attempt: &Attempt,
    ) -> Result<BoxStream, DialError> {
        match self.wrap(via.connect(server, attempt).await?, attempt).await {
            // The answer to a browser's hello was beyond rustls: the next stream gets rustls' own.
            Err(DialError { cause: Cause::Hello(_), .. }) => {
                self.wrap(via.connect(server, attempt).await?, attempt).await
            }
            result => result,
        }
    }

    /// A new stream to `server`, secured by TLS 1.3 or REALITY that can be left.
    ///
    /// # Errors
    /// [`DialError`] with the stage that failed.
    pub(crate) async fn connect_gated(
        &self,
        via: &dyn Dialer,
        server: &Target,
        attempt: &Attempt,
    ) -> Result<Gated, DialError> {
        let mut result = self.gate(via.connect(server, attempt).await?, attempt).await;
        if matches!(&result, Err(DialError { cause: Cause::Hello(_), .. })) {
            result = self.gate(via.connect(server, attempt).await?, attempt).await;
        }
        let stream = result?;
        if stream.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
            return Ok(stream);
        }
        Err(DialError::new(Stage::Security, Cause::Tls("the server has no TLS 1.3".into())))
    }

    async fn gate(&self, stream: BoxStream, attempt: &Attempt) -> Result<Gated, DialError> {
        match self {
            Self::Nothing | Self::ShadowTls(_) => {
                Err(DialError::new(Stage::Security, Cause::Unsupported("Vision without TLS")))
            }
            Self::Tls(client) => client.handshake(RecordGate::new(stream), attempt).await,
            Self::Reality(client) => client.wrap(RecordGate::new(stream), attempt).await,
        }
    }

    /// Runs the handshake on a fresh stream to the server.
    ///
    /// # Errors
    /// [`DialError`] at the security stage. After [`Cause::Hello`] another hello is tried on the next stream.
    pub(crate) async fn wrap(&self, stream: BoxStream, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let stream = match self {
            Self::Nothing => return Ok(stream),
            Self::ShadowTls(client) => return client.wrap(stream, attempt).await,
            Self::Tls(client) => client.handshake(ReadAhead::new(stream), attempt).await?,
            Self::Reality(client) => client.wrap(ReadAhead::new(stream), attempt).await?,
        };
        Ok(Box::new(Secured::new(stream)))
    }
}
