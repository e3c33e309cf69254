//! The layers that protect bytes between us and a node.

mod reality;
pub(crate) mod tls;

use hezar_core::{Host, Security, Tls};

use crate::{Attempt, BoxStream, BuildError, DialError};

pub use tls::TlsClients;

/// The security layer of one node, ready to be put on streams to its server.
#[derive(Debug)]
pub(crate) enum Secure {
    /// Bytes go as they are.
    Nothing,
    /// TLS.
    Tls { tls: Box<Tls>, server: Host, clients: TlsClients, default_alpn: &'static [&'static str] },
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
            Security::Tls(tls) => Ok(Self::tls(Some(tls), server, clients, default_alpn)),
            Security::Reality(settings) => Err(reality::refusal(settings)),
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
        Self::Tls { tls: Box::new(tls.clone()), server: server.clone(), clients: clients.clone(), default_alpn }
    }

    /// Runs the handshake on a fresh stream to the server.
    ///
    /// # Errors
    /// [`DialError`] at the security stage.
    pub(crate) async fn wrap(&self, stream: BoxStream, attempt: &Attempt) -> Result<BoxStream, DialError> {
        match self {
            Self::Nothing => Ok(stream),
            Self::Tls { tls, server, clients, default_alpn } => {
                clients.wrap(stream, tls, server, default_alpn, attempt).await
            }
        }
    }
}
