//! Dialling through a leased node: the only place from which the gateway connects to anything.

use std::{pin::Pin, sync::Arc, time::Duration};

use hezar_core::{Stage, Target};
use hezar_engine::{Attempt, BoxStream, BuildError, Cause, DialError, Dialer};
use tokio::time::{Instant, timeout_at};

use super::NodeLease;
use crate::gateway::Shared;

/// A dial that is over.
pub(super) struct Dialled {
    pub lease: NodeLease,
    pub result: Result<BoxStream, DialError>,
    pub took: Duration,
    /// The time that it had.
    pub limit: Duration,
}

pub(super) type Dialling = Pin<Box<dyn Future<Output = Dialled> + Send>>;

/// Begins to dial.
pub(super) fn dial(shared: &Arc<Shared>, lease: NodeLease, target: Target, limit: Duration) -> Dialling {
    let shared = shared.clone();
    Box::pin(async move {
        let started = Instant::now();
        let result = connect(&shared, &lease, &target, limit).await;
        Dialled { lease, result, took: started.elapsed(), limit }
    })
}

async fn connect(shared: &Shared, lease: &NodeLease, target: &Target, limit: Duration) -> Result<BoxStream, DialError> {
    let dialer = dialer(shared, lease)?;
    let attempt = Attempt::within(limit);
    bounded(&attempt, dialer.connect(target, &attempt)).await
}

/// The node's dialer, built on first use.
pub(super) fn dialer(shared: &Shared, lease: &NodeLease) -> Result<Arc<dyn Dialer>, DialError> {
    lease
        .payload(|node| shared.outbounds.dialer(node.spec(), node.allow_private()))
        .map_err(|error| unbuilt(shared, lease, &error))
}

/// Dialers keep the attempt's deadline themselves; this bound holds even if one forgets to.
pub(super) async fn bounded<T>(
    attempt: &Attempt,
    dialling: impl Future<Output = Result<T, DialError>>,
) -> Result<T, DialError> {
    match timeout_at(attempt.deadline(), dialling).await {
        Ok(result) => result,
        Err(_) => Err(DialError::new(Stage::Handshake, Cause::Timeout)),
    }
}

/// No dialer can be built for a node that somebody called healthy: it is taken out of the views.
fn unbuilt(shared: &Shared, lease: &NodeLease, error: &BuildError) -> DialError {
    shared.pool.mark_unsupported(lease.id(), error.code());
    DialError::new(Stage::Connect, Cause::Unsupported("the node"))
}
