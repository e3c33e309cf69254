//! Opens streams to one server that are ready for a proxy protocol: connected, secured, and wrapped in the transport.

use std::sync::Arc;

use hezar_core::{Carrier, SecurityKind, Target};

use super::{Transport, layers};
use crate::{
    Attempt, BoxStream, BuildError, DialError, Dialer,
    quic::SharedClients,
    security::{Secure, SecureConnector, TlsStream},
};

/// Opens streams to one server that are ready for the first byte of a proxy protocol. It lives as long as the dialer of the
/// node, and so do the connections that several streams share.
#[derive(Debug)]
pub(crate) struct TransportConnector {
    connector: Arc<SecureConnector>,
    transport: Transport,
    secured: bool,
    shared: SharedClients,
}

impl TransportConnector {
    /// Streams to `server`, dialled by `via` and wrapped as `carrier` says.
    ///
    /// # Errors
    /// [`BuildError`] when the carrier's transport or security is not implemented.
    pub(crate) fn new(
        server: &Target,
        carrier: &Carrier,
        via: Arc<dyn Dialer>,
        shared: &SharedClients,
    ) -> Result<Self, BuildError> {
        let (security, transport) = layers(carrier, server, &via, shared)?;
        // The transport may have TLS of its own, as HTTP/3 has.
        let secured = security.is_secured() || carrier.security() != SecurityKind::None;
        let connector = Arc::new(SecureConnector::new(server.clone(), via, security));
        Ok(Self { connector, transport, secured, shared: shared.clone() })
    }

    /// Streams to `server`, dialled by `via`, under a security layer that no carrier has.
    pub(crate) fn secured(server: &Target, security: Secure, via: Arc<dyn Dialer>, shared: &SharedClients) -> Self {
        let connector = SecureConnector::new(server.clone(), via, security);
        let secured = connector.is_secured();
        Self { connector: Arc::new(connector), transport: Transport::none(), secured, shared: shared.clone() }
    }

    /// A new stream to the server after the handshakes of security and transport. It may share a connection with others.
    ///
    /// # Errors
    /// [`DialError`] with the stage that failed.
    pub(crate) async fn open(&self, attempt: &Attempt) -> Result<BoxStream, DialError> {
        self.transport.open(&self.connector, attempt).await
    }

    /// A new stream to the server on a security layer that can be left. Only for raw TCP.
    ///
    /// # Errors
    /// [`DialError`] with the stage that failed.
    pub(crate) async fn open_leavable(&self, attempt: &Attempt) -> Result<TlsStream, DialError> {
        self.connector.connect_leavable(attempt).await
    }

    /// Whether TLS, REALITY or ShadowTLS lies around every stream.
    pub(crate) const fn is_secured(&self) -> bool {
        self.secured
    }

    /// What the dialers of the engine share.
    pub(crate) const fn shared(&self) -> &SharedClients {
        &self.shared
    }

    /// The server's address.
    pub(crate) fn server(&self) -> &Target {
        self.connector.server()
    }

    /// The dialer that connects to the server.
    pub(crate) fn via(&self) -> &Arc<dyn Dialer> {
        self.connector.via()
    }
}
