//! The seam for checking nodes by other means than this program's own dialers, such as a proxy core that tests them itself.

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;
use hezar_engine::{DialError, Dialer};
use hezar_pool::Node;
use thiserror::Error;

/// Checks whether nodes work in the place of the dialers that the engine builds. The schedule, the limits and the outage guard of the
/// prober hold for it too.
#[async_trait]
pub trait NodeCheck: Debug + Send + Sync {
    /// Asks the probe URL through a node – through a tunnel (CONNECT) of an HTTP proxy – and says how long the answer took. `limit` bounds the check itself, not what has to be
    /// prepared for it.
    ///
    /// # Errors
    /// [`NodeCheckError`].
    async fn check(&self, node: &Node<Arc<dyn Dialer>>, limit: Duration) -> Result<Duration, NodeCheckError>;
}

/// Why a [`NodeCheck`] did not succeed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NodeCheckError {
    /// The node did not answer as it should.
    #[error(transparent)]
    Failed(#[from] DialError),
    /// The node cannot be checked so at all; the stable code of the reason.
    #[error("the node cannot be checked: {0}")]
    Unsupported(&'static str),
    /// What checks nodes is not there at the moment, which says nothing about the node; the stable code of the reason.
    #[error("nodes cannot be checked now: {0}")]
    Unavailable(&'static str),
}
