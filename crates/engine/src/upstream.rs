//! The way to one node's server: dial it, secure the stream, open the transport.

use std::sync::Arc;

use hezar_core::{Carrier, Target};

use crate::{Attempt, BoxStream, BuildError, DialError, Dialer, TlsClients, transport::Layers};

/// Opens streams to one server, ready for a proxy protocol's first byte.
#[derive(Debug)]
pub(crate) struct Upstream {
    server: Target,
    via: Arc<dyn Dialer>,
    layers: Layers,
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
        let layers = Layers::new(carrier, server.host(), tls)?;
        Ok(Self { server: server.clone(), via, layers })
    }

    /// A new stream to the server, security and transport handshakes done.
    ///
    /// # Errors
    /// [`DialError`] with the stage that failed.
    pub(crate) async fn open(&self, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let stream = self.via.connect(&self.server, attempt).await?;
        self.layers.wrap(stream, attempt).await
    }

    /// The server's address.
    #[allow(dead_code)]
    pub(crate) const fn server(&self) -> &Target {
        &self.server
    }

    /// What opens the connections to the server.
    #[allow(dead_code)]
    pub(crate) fn via(&self) -> &Arc<dyn Dialer> {
        &self.via
    }
}
