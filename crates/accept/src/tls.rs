//! The server's side of TLS for our own ports: HTTP/1.1 by ALPN, the certificate of the moment, and ACME challenges.

use std::{fmt, io, sync::Arc};

use rustls::{ServerConfig, crypto::CryptoProvider, server::Acceptor};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::LazyConfigAcceptor;
pub use tokio_rustls::server::TlsStream;

use crate::{
    CertificateSlot,
    certificate::provider,
    own_client,
    slot::{ACME_ALPN, ChallengeResolver, InboundResolver},
};

/// The first byte of a TLS record that carries a handshake.
pub const TLS_HANDSHAKE: u8 = 0x16;

/// The TLS of a port. Clones are the same.
#[derive(Clone)]
pub struct ServerTls(Arc<Configs>);

struct Configs {
    slot: Arc<CertificateSlot>,
    port: Arc<ServerConfig>,
    challenge: Arc<ServerConfig>,
}

/// Two are equal when they are the same.
impl PartialEq for ServerTls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ServerTls {}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("certificate", &self.0.slot.facts()).finish_non_exhaustive()
    }
}

/// What came of a handshake.
#[derive(Debug)]
pub enum Accepted<S> {
    /// A client, whose protocol comes next.
    Client(Box<TlsStream<S>>),
    /// An ACME server that checked a challenge; nothing follows.
    Challenge,
}

impl ServerTls {
    /// The TLS of a port with the certificate that lies in `slot` when a handshake begins.
    ///
    /// # Errors
    /// Never in practice: the cryptography has what TLS 1.2 and 1.3 need.
    pub fn new(slot: Arc<CertificateSlot>) -> Result<Self, rustls::Error> {
        let provider = provider();
        let mut port = builder(&provider)?.with_cert_resolver(Arc::clone(&slot) as _);
        port.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Resumption without a table: clients keep what is needed, and one ticket is enough for one connection at a time.
        port.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
        port.send_tls13_tickets = 1;
        let mut challenge = builder(&provider)?.with_cert_resolver(Arc::new(ChallengeResolver(Arc::clone(&slot))));
        challenge.alpn_protocols = vec![ACME_ALPN.to_vec()];
        Ok(Self(Arc::new(Configs { slot, port: Arc::new(port), challenge: Arc::new(challenge) })))
    }

    /// The place of the certificate.
    #[must_use]
    pub fn slot(&self) -> &Arc<CertificateSlot> {
        &self.0.slot
    }

    /// What an encrypted inbound over TCP needs, whose engine runs the handshakes itself. `alpn` lists what it speaks, the first one first;
    /// ACME challenges are answered besides, and the engine tells by the agreed `acme-tls/1` that nothing follows.
    #[must_use]
    pub fn inbound_config(&self, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        let mut config = ServerConfig::clone(&self.0.port);
        config.alpn_protocols = alpn.iter().copied().chain([ACME_ALPN]).map(<[u8]>::to_vec).collect();
        config.cert_resolver = Arc::new(InboundResolver(Arc::clone(&self.0.slot)));
        config.enable_secret_extraction = true;
        Arc::new(config)
    }

    /// What an encrypted inbound over QUIC needs, with its one application protocol.
    #[must_use]
    pub fn quic_config(&self, alpn: &[u8]) -> Arc<ServerConfig> {
        let mut config = ServerConfig::clone(&self.0.port);
        config.alpn_protocols = vec![alpn.to_vec()];
        Arc::new(config)
    }

    /// Runs the handshake with the port itself, for trials of this program: the certificate that the port has now is right, whatever
    /// its names.
    ///
    /// # Errors
    /// The stream failed, or another server is there.
    pub async fn connect<S>(&self, stream: S) -> io::Result<tokio_rustls::client::TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        own_client::connect(&self.0.slot, stream).await
    }

    /// Runs the handshake with a client. The caller bounds its time.
    ///
    /// # Errors
    /// The stream failed, or the client speaks no TLS that is understood here; it has been sent an alert where that is possible.
    pub async fn accept<S>(&self, stream: S) -> io::Result<Accepted<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let is_challenge = hello.client_hello().alpn().is_some_and(|mut offered| offered.any(|name| name == ACME_ALPN));
        if !is_challenge {
            return Ok(Accepted::Client(Box::new(hello.into_stream(Arc::clone(&self.0.port)).await?)));
        }
        let mut stream = hello.into_stream(Arc::clone(&self.0.challenge)).await?;
        stream.shutdown().await?;
        Ok(Accepted::Challenge)
    }
}

fn builder(
    provider: &Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions()?;
    Ok(builder.with_no_client_auth())
}
