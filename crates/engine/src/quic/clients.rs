//! What the dialers of a process share: TLS configurations, and the UDP sockets of QUIC.

use std::sync::Arc;

use super::SharedEndpoints;
use crate::TlsClients;

/// Cheap to clone; the clones share the same parts.
#[derive(Clone, Debug)]
pub(crate) struct SharedClients {
    /// TLS configurations, with the sessions that they resume.
    pub(crate) tls: TlsClients,
    /// The sockets of QUIC connections that need none of their own.
    pub(crate) endpoints: Arc<SharedEndpoints>,
}

impl From<TlsClients> for SharedClients {
    fn from(tls: TlsClients) -> Self {
        Self { tls, endpoints: Arc::default() }
    }
}
