//! The way to one node's server: dial it, secure the stream, open the transport.

use std::sync::Arc;

use hezar_core::{Carrier, SecurityKind, Target};

use crate::{
    Attempt, BoxStream, BuildError, DialError, Dialer, TlsClients,
    security::{Secure, TlsStream},
    transport::{self, Transport},
};

/// The way to a server as far as its security layer: what a transport runs on.
#[derive(Debug)]
pub(crate) struct Road {
    server: Target,
    via: Arc<dyn Dialer>,
    security: Secure,
}

impl Road {
    /// The way to `server` through `via`.
    pub(crate) const fn new(server: Target, via: Arc<dyn Dialer>, security: Secure) -> Self {
        Self { server, via, security }
    }

    /// A new secured stream to the server.
    ///
    /// # Errors
    /// [`DialError`] with the stage that failed.
    pub(crate) async fn connect(&self, attempt: &Attempt) -> Result<BoxStream, DialError> {
        self.security.connect(&*self.via, &self.server, attempt).await
    }
}

/// Opens streams to one server, ready for a proxy protocol's first byte. Lives as long as the node's dialer, and with
/// it the connections that several streams share.
#[derive(Debug)]
pub(crate) struct Upstream {
    road: Arc<Road>,
    transport: Transport,
    secured: bool,
}

impl Upstream {
    /// The way to `server` through `via`, wrapped as `carrier` says.
    ///
    /// # Errors
    /// [`BuildError`] when the carrier's transport or security is not implemented.
    pub(crate) fn new(
        server: &Target,
        carrier: &Carrier,
        via: Arc<dyn Dialer>,
        tls: &TlsClients,
    ) -> Result<Self, BuildError> {
        let (security, transport) = transport::layers(carrier, server, &via, tls)?;
        // The transport may bring TLS of its own: HTTP/3 does.
        let secured = security.is_secured() || carrier.security() != SecurityKind::None;
        Ok(Self { road: Arc::new(Road::new(server.clone(), via, security)), transport, secured })
    }

    /// The way to `server` through `via` under a security layer that no carrier has.
    pub(crate) fn secured(server: &Target, security: Secure, via: Arc<dyn Dialer>) -> Self {
        let secured = security.is_secured();
        Self { road: Arc::new(Road::new(server.clone(), via, security)), transport: Transport::none(), secured }
    }

    /// A new stream to the server, security and transport handshakes done. It may share a connection with others.
    ///
    /// # Errors
    /// [`DialError`] with the stage that failed.
    pub(crate) async fn open(&self, attempt: &Attempt) -> Result<BoxStream, DialError> {
        self.transport.open(&self.road, attempt).await
    }

    /// A new stream to the server on a security layer that can be left. Only for raw TCP.
    ///
    /// # Errors
    /// [`DialError`] with the stage that failed.
    pub(crate) async fn open_leavable(&self, attempt: &Attempt) -> Result<TlsStream, DialError> {
        self.road.security.connect_leavable(&*self.road.via, &self.road.server, attempt).await
    }

    /// Whether TLS, REALITY or ShadowTLS lies around every stream.
    pub(crate) const fn is_secured(&self) -> bool {
        self.secured
    }

    /// The server's address.
    pub(crate) fn server(&self) -> &Target {
        &self.road.server
    }

    /// What opens the connections to the server.
    pub(crate) fn via(&self) -> &Arc<dyn Dialer> {
        &self.road.via
    }
}
