//! Dialling through a leased node: the only place from which the gateway connects to anything.

use std::{sync::Arc, time::Duration};

use hezar_core::{Stage, Target};
use hezar_engine::{AddressPolicy, Attempt, BoxStream, BuildError, Cause, DialError, Dialer, RequestForm};
use hezar_pool::{HttpWay, Need};
use tokio::time::{Instant, timeout_at};

use super::{NodeLease, Selection};

/// A dial that is over.
pub(super) struct Dialled {
    pub lease: NodeLease,
    pub result: Result<(BoxStream, FormChoice), DialError>,
    pub took: Duration,
    /// The time that it had.
    pub limit: Duration,
}

/// How a request travels on a connected stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct FormChoice {
    /// What the other end wants of a plain request.
    pub form: RequestForm,
    /// Whether the node is not known to take that form.
    pub untested: bool,
}

/// Dials a node for at most `limit`.
pub(super) async fn dial(
    selection: Arc<Selection>,
    lease: NodeLease,
    target: Target,
    need: Need,
    limit: Duration,
) -> Dialled {
    let started = Instant::now();
    let result = connect(&selection, &lease, &target, need, limit).await;
    Dialled { lease, result, took: started.elapsed(), limit }
}

async fn connect(
    selection: &Selection,
    lease: &NodeLease,
    target: &Target,
    need: Need,
    limit: Duration,
) -> Result<(BoxStream, FormChoice), DialError> {
    let dialer = dialer(selection, lease)?;
    let attempt = Attempt::within(limit);
    let ability = lease.http_ability();
    if need.is_absolute(ability) {
        let (stream, form) = within_deadline(&attempt, dialer.connect_for_http(target, &attempt)).await?;
        let untested = form.is_absolute() && ability.works_through(HttpWay::Plain).is_none();
        return Ok((stream, FormChoice { form, untested }));
    }
    let connected = within_deadline(&attempt, dialer.connect(target, &attempt)).await;
    connected.map(|stream| (stream, FormChoice::default())).inspect_err(|error| {
        let way = HttpWay::tunnel(target.port());
        if lease.spec().is_http_proxy() && error.refuses_tunnel() && ability.works_through(way).is_none() {
            selection.pool.set_http_ability(lease.id(), ability.with(way, false));
        }
    })
}

/// The node's dialer, built on first use.
pub(super) fn dialer(selection: &Selection, lease: &NodeLease) -> Result<Arc<dyn Dialer>, DialError> {
    lease
        .payload(|node| selection.engine.dialer(node.spec(), AddressPolicy::allowing_private(node.allow_private())))
        .map_err(|error| mark_unbuildable(selection, lease, &error))
}

/// Dialers keep the attempt's deadline themselves; this bound holds even if one forgets to.
pub(super) async fn within_deadline<T>(
    attempt: &Attempt,
    dialling: impl Future<Output = Result<T, DialError>>,
) -> Result<T, DialError> {
    match timeout_at(attempt.deadline(), dialling).await {
        Ok(result) => result,
        Err(_) => Err(DialError::new(Stage::Handshake, Cause::Timeout)),
    }
}

/// No dialer can be built for a node that somebody called healthy: it is taken out of the views.
fn mark_unbuildable(selection: &Selection, lease: &NodeLease, error: &BuildError) -> DialError {
    selection.pool.mark_unsupported(lease.id(), error.code());
    DialError::new(Stage::Connect, Cause::Unsupported("the node"))
}
