//! The server's side of TLS: the handshake by rustls, and our own records after it, which a layer above can leave.

#[cfg(test)]
mod tests;

use std::{fmt, io, sync::Arc};

use rustls::{ServerConfig, server::UnbufferedServerConnection};
use tokio::io::AsyncWriteExt as _;

use super::handshake::{TlsStream, answer};
use crate::BoxStream;

/// The application protocol of a server that checks a TLS-ALPN-01 challenge (RFC 8737, section 3).
const ACME_ALPN: &[u8] = b"acme-tls/1";

/// A server of TLS. Clones are the same.
#[derive(Clone)]
pub struct TlsServer(Arc<ServerConfig>);

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").finish_non_exhaustive()
    }
}

/// What came of a handshake.
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart as soon as it is made, and a box would be one allocation more"
)]
pub(crate) enum TlsAccepted {
    /// A client, whose protocol comes next.
    Stream(TlsStream),
    /// An ACME server that checked a challenge; nothing follows.
    Challenge,
}

impl TlsServer {
    /// A server with this configuration. Its records are ours, so the secrets of a connection can always be taken out.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>) -> Self {
        if config.enable_secret_extraction {
            return Self(config);
        }
        let mut config = ServerConfig::clone(&config);
        config.enable_secret_extraction = true;
        Self(Arc::new(config))
    }

    /// Runs the handshake with a client. The caller bounds its time.
    ///
    /// # Errors
    /// The stream failed, or the client speaks no TLS that is understood here; it has been sent an alert where that is possible.
    pub(crate) async fn accept(&self, io: BoxStream) -> io::Result<TlsAccepted> {
        let connection = UnbufferedServerConnection::new(Arc::clone(&self.0)).map_err(io::Error::other)?;
        let (handshaken, alpn) = answer(connection, io).await?;
        let mut stream = handshaken.secured();
        if alpn.as_deref() != Some(ACME_ALPN) {
            return Ok(TlsAccepted::Stream(stream));
        }
        stream.shutdown().await?;
        Ok(TlsAccepted::Challenge)
    }

    /// Runs the handshake with a client of a web site. Gives nothing when an ACME server has checked a challenge. The caller bounds the
    /// time.
    ///
    /// # Errors
    /// The stream failed, or the client speaks no TLS that is understood here.
    pub async fn accept_stream(&self, io: BoxStream) -> io::Result<Option<BoxStream>> {
        Ok(match self.accept(io).await? {
            TlsAccepted::Stream(stream) => Some(Box::new(stream)),
            TlsAccepted::Challenge => None,
        })
    }
}

/// Runs the handshake with a client that says this in pieces of one size, and has no certificate for it; for the fuzz targets.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn decode(data: &[u8], piece: usize) -> crate::served::Played {
    use crate::served::{Opening, play};

    #[derive(Debug)]
    struct NoCertificate;

    impl rustls::server::ResolvesServerCert for NoCertificate {
        fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
            None
        }
    }

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let Ok(builder) = builder else { return crate::served::Played::default() };
    let config = builder.with_no_client_auth().with_cert_resolver(Arc::new(NoCertificate));
    let server = TlsServer::new(Arc::new(config));
    play(data, piece, async |stream| server.accept(stream).await.map(|_| Opening::Done))
}
