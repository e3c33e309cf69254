//! Opens secured streams to one server: it dials the server, and then wraps the stream in the security layer.

use std::sync::Arc;

use hezar_core::Target;

use super::{Secure, TlsStream};
use crate::{Attempt, BoxStream, DialError, Dialer};

/// A server, what dials it, and the security layer of the streams to it: what a transport runs on.
#[derive(Debug)]
pub(crate) struct SecureConnector {
    server: Target,
    via: Arc<dyn Dialer>,
    security: Secure,
}

impl SecureConnector {
    /// Streams to `server`, dialled by `via`.
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

    /// A new stream to the server on a security layer that can be left.
    ///
    /// # Errors
    /// [`DialError`] with the stage that failed.
    pub(crate) async fn connect_leavable(&self, attempt: &Attempt) -> Result<TlsStream, DialError> {
        self.security.connect_leavable(&*self.via, &self.server, attempt).await
    }

    /// Whether there is a security layer at all.
    pub(crate) const fn is_secured(&self) -> bool {
        self.security.is_secured()
    }

    /// The server's address.
    pub(crate) const fn server(&self) -> &Target {
        &self.server
    }

    /// The dialer that connects to the server.
    pub(crate) const fn via(&self) -> &Arc<dyn Dialer> {
        &self.via
    }
}
