//! A node of a chain that is not the last one. Its targets are the servers of the next node, so a target that it cannot reach
//! is a fault of the chain, and not of the target that the client asked for.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use hezar_core::Target;
use tokio::io::{AsyncRead, ReadBuf};

use crate::{
    Attempt, BoxDatagram, BoxStream, Cause, DialError, Dialer,
    io::read_through::{ReadThrough, Reader},
};

/// Opens streams through a node of a chain that is not its last.
#[derive(Debug)]
pub(crate) struct ChainedDialer(Arc<dyn Dialer>);

impl ChainedDialer {
    /// A dialer that opens streams through `node`.
    pub(crate) const fn new(node: Arc<dyn Dialer>) -> Self {
        Self(node)
    }
}

/// Turns "the target cannot be reached" into "the server cannot be reached".
fn as_server_failure(cause: Cause) -> Cause {
    match cause {
        Cause::TargetUnreachable(_) => Cause::Unreachable,
        other => other,
    }
}

#[async_trait]
impl Dialer for ChainedDialer {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        match self.0.connect(target, attempt).await {
            Ok(stream) => Ok(Box::new(ReadThrough { reader: ServerFailures, inner: stream })),
            Err(error) => Err(DialError::new(error.stage, as_server_failure(error.cause))),
        }
    }

    async fn associate(&self, attempt: &Attempt) -> Result<BoxDatagram, DialError> {
        self.0.associate(attempt).await
    }
}

/// A stream whose failures are translated in the same way. Some nodes say only at the first read that they cannot reach the
/// target.
struct ServerFailures;

impl Reader for ServerFailures {
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        inner: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(inner).poll_read(cx, buf).map_err(|error| as_server_failure(Cause::from(error)).into())
    }

    // What becomes of the target is told before the first byte of the answer; a relay asks later.
    fn is_bare(&self) -> bool {
        true
    }
}
