//! The layers that protect bytes between us and a node, or a client.

mod client_hello;
mod connector;
mod decoy;
mod message_reader;
mod reality;
mod shadow_tls;
mod tap;
pub(crate) mod tls;

use hezar_core::{Host, Security, Stage, Target, Tls};

use self::{
    client_hello::{OwnHello, Shape},
    reality::RealityClient,
};
use crate::{Attempt, BoxStream, BuildError, Cause, DialError, Dialer};

#[cfg(feature = "fuzzing")]
pub(crate) use self::{
    client_hello::find_server_hello,
    reality::{read_certificate as read_reality_certificate, server::decode as decode_for_reality_server},
    shadow_tls::decode as decode_shadow_tls,
    tls::{compare_records, decode_client_records, decode_records, server::decode as decode_for_tls_server},
};
pub(crate) use self::{
    connector::SecureConnector, reality::server::RealityAccepted, shadow_tls::ShadowTlsClient, tls::TlsStream,
};
pub use reality::server::{RealityServer, RealitySettings, SiteConnector, UnusableSite};
pub use tls::{TlsClients, TlsServer};

/// The prepared security layer of one node, which wraps streams to its server.
#[derive(Debug)]
pub(crate) enum Secure {
    /// Bytes are sent as they are.
    Nothing,
    /// TLS.
    Tls(Box<TlsClient>),
    /// REALITY.
    Reality(Box<RealityClient>),
    /// ShadowTLS.
    ShadowTls(Box<ShadowTlsClient>),
}

/// The TLS settings of one node.
#[derive(Debug)]
pub(crate) struct TlsClient {
    tls: Tls,
    server: Host,
    clients: TlsClients,
    default_alpn: &'static [&'static str],
    own_hello: OwnHello,
}

impl TlsClient {
    async fn wrap(&self, stream: BoxStream, attempt: &Attempt) -> Result<TlsStream, DialError> {
        let Self { tls, server, clients, default_alpn, .. } = self;
        let fingerprint = tls.fingerprint.filter(|_| !self.own_hello.is_due());
        let result = clients.handshake(stream, tls, server, default_alpn, fingerprint, attempt).await;
        if tls.fingerprint.is_some() {
            let sent =
                fingerprint.map_or(Shape::Own, |fingerprint| Shape::Browser(client_hello::template_of(fingerprint)));
            self.own_hello.learn(sent, result.as_ref().err().map(|error| &error.cause));
        }
        result.map(tls::Handshaken::secured)
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
            own_hello: clients.own_hello_rule(),
        }))
    }

    /// When the hello is rustls' own.
    const fn own_hello(&self) -> Option<&OwnHello> {
        match self {
            Self::Tls(client) => Some(&client.own_hello),
            Self::ShadowTls(client) => Some(client.own_hello()),
            Self::Nothing | Self::Reality(_) => None,
        }
    }

    /// Whether the stream is secured at all.
    pub(crate) const fn is_secured(&self) -> bool {
        !matches!(self, Self::Nothing)
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
        retry_with_other_hello(self.own_hello(), || async {
            self.wrap(via.connect(server, attempt).await?, attempt).await
        })
        .await
    }

    /// A new stream to `server`, secured by TLS 1.3 or REALITY that can be left.
    ///
    /// # Errors
    /// [`DialError`] with the stage that failed.
    pub(crate) async fn connect_leavable(
        &self,
        via: &dyn Dialer,
        server: &Target,
        attempt: &Attempt,
    ) -> Result<TlsStream, DialError> {
        let refused = |cause| Err(DialError::new(Stage::Security, cause));
        let stream = match self {
            Self::Nothing | Self::ShadowTls(_) => return refused(Cause::Unsupported("Vision without TLS")),
            Self::Tls(client) => {
                let once = || async { Box::pin(client.wrap(via.connect(server, attempt).await?, attempt)).await };
                retry_with_other_hello(self.own_hello(), once).await?
            }
            Self::Reality(client) => Box::pin(client.wrap(via.connect(server, attempt).await?, attempt)).await?,
        };
        if stream.codec().is_tls13() { Ok(stream) } else { refused(Cause::Tls("the server has no TLS 1.3".into())) }
    }

    /// Runs the handshake on a fresh stream to the server. Its future is large and has a place of its own: a dial's is moved about, and
    /// dials lie in dials.
    ///
    /// # Errors
    /// [`DialError`] at the security stage. After [`Cause::Hello`] another try may have another hello.
    pub(crate) async fn wrap(&self, stream: BoxStream, attempt: &Attempt) -> Result<BoxStream, DialError> {
        match self {
            Self::Nothing => Ok(stream),
            Self::ShadowTls(client) => Box::pin(client.wrap(stream, attempt)).await,
            Self::Tls(client) => Ok(Box::new(Box::pin(client.wrap(stream, attempt)).await?)),
            Self::Reality(client) => Ok(Box::new(Box::pin(client.wrap(stream, attempt)).await?)),
        }
    }
}

/// Dials once more while rustls cannot follow the answer to a browser's hello and the next hello may be another one.
async fn retry_with_other_hello<T, F>(own_hello: Option<&OwnHello>, mut once: impl FnMut() -> F) -> Result<T, DialError>
where
    F: Future<Output = Result<T, DialError>>,
{
    for _ in 0..2 {
        match once().await {
            Err(DialError { cause: Cause::Hello(_), .. }) if own_hello.is_some_and(OwnHello::may_follow) => {}
            result => return result,
        }
    }
    once().await
}
