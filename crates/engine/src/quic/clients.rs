//! What the dialers of an engine share: TLS configurations, the UDP sockets of QUIC, and bounds and counts over all connections.

use std::sync::Arc;

use super::SharedEndpoints;
use crate::{TlsClients, budget::ConnectionBudget, hand_over::HandOverCounter};

/// The shared parts. Clones share them, too.
#[derive(Clone, Debug)]
pub(crate) struct SharedClients {
    /// TLS configurations, with the sessions that they resume.
    pub(crate) tls: TlsClients,
    /// The sockets of QUIC connections that need none of their own.
    pub(crate) endpoints: Arc<SharedEndpoints>,
    /// What all connections together may hold.
    pub(crate) budget: ConnectionBudget,
    /// Vision streams that have left their TLS or encryption.
    pub(crate) hand_overs: Arc<HandOverCounter>,
}

impl From<TlsClients> for SharedClients {
    fn from(tls: TlsClients) -> Self {
        Self { tls, endpoints: Arc::default(), budget: ConnectionBudget::default(), hand_overs: Arc::default() }
    }
}
