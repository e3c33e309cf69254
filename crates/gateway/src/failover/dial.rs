//! Dialling through a leased node: the only place from which the gateway connects to anything.

use std::{sync::Arc, time::Duration};

use hezar_core::{Fault, Stage, Target};
use hezar_engine::{AddressPolicy, Attempt, BoxStream, BuildError, Cause, DialError, Dialer, RequestForm};
use hezar_pool::{HttpWay, Need};
use tokio::time::{Instant, timeout_at};

use super::{
    AttemptReport, Connected, Failover, NodeLease, Selection, Tried, Wait,
    report::{failure_outcome, report_outcome},
};
use crate::{AttemptError, Refusal};

/// An attempt that had less time says nothing about its node: a handshake across continents may take as long.
const FAIR: Duration = Duration::from_secs(2);

/// So many nodes may be tried before one that cannot be dialled by no fault of its own counts as an attempt.
const FREE_TRIES: usize = 64;

/// A dial that is over.
pub(super) struct Dialled {
    pub lease: NodeLease,
    pub result: Result<(BoxStream, FormChoice), DialError>,
    pub started: Instant,
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

impl Failover {
    /// Starts to dial one more node; false when there is none.
    pub(super) fn dial_another(&mut self) -> bool {
        self.pick().map(|lease| self.dial(lease)).is_some()
    }

    /// Starts to dial this node.
    pub(super) fn dial(&mut self, lease: NodeLease) {
        let Some(target) = self.target.clone() else { return };
        let limit = self.remaining().min(self.config.attempt_timeout);
        let delays = self.delays(Wait::Dial, &lease);
        self.attempts += 1;
        self.tried.push(Tried { node: lease.id(), server: Some(lease.server_key()) });
        let need = if self.tunnel_only.contains(&lease.id()) { Need::Tunnel(target.port()) } else { self.need };
        self.dials.start(lease.id(), delays, dial(self.selection.clone(), lease, target, need, limit));
    }

    /// Takes in how a dial ended; `None` when its node is to be passed over.
    pub(super) fn finish_dial(&mut self, dialled: Dialled) -> Result<Option<Connected>, Refusal> {
        let Dialled { lease, result, started, took, limit } = dialled;
        match result {
            Ok((stream, form)) => {
                self.record(Wait::Dial, &lease, took);
                let (selection, undecided) = (self.selection.clone(), self.undecided.clone());
                let trace = (self.trace.clone(), started);
                let report = AttemptReport::new(selection, lease.id(), self.keys, took, undecided, trace);
                Ok(Some(Connected { stream, form, lease, report }))
            }
            Err(error) => self.dial_failed(&lease, &error, started, limit).map(|()| None),
        }
    }

    /// Takes in why a dial failed; says when the request ends by that.
    pub(super) fn dial_failed(
        &mut self,
        lease: &NodeLease,
        error: &DialError,
        started: Instant,
        limit: Duration,
    ) -> Result<(), Refusal> {
        let mut fail = AttemptError::from(error);
        let silence = matches!(error.cause, Cause::Timeout);
        // A node that waits for its target before it says yes may be silent by the target's fault.
        fail.sure = !silence || (limit >= FAIR && error.stage < Stage::Handshake);
        self.selection.metrics.attempt("failed", fail.code.as_str());
        self.trace.attempt(lease.id(), started, fail.code.as_str(), Some(fail.stage));
        tracing::debug!(
            node = %lease.id(), target = self.target.as_ref().map(tracing::field::display), stage = %fail.stage, code = %fail.code, fault = %fail.fault,
            attempt = self.attempts, "attempt failed"
        );
        if fail.sure {
            self.undecided.forget(lease.id());
            report_outcome(&self.selection, lease.id(), &failure_outcome(&fail));
        }
        if fail.fault == Fault::Target {
            // When another node reaches it, the target only refuses this one.
            self.undecided.add(lease.id(), fail.clone());
        } else if !fail.sure && limit >= FAIR {
            // Cut short by our own deadline it would be no evidence at all.
            self.undecided.add(lease.id(), fail.clone());
        }
        match &error.cause {
            Cause::CoreRefused(_) => self.selection.pool.mark_unsupported(lease.id(), error.code()),
            // Nodes that cannot be dialled while their core is started again must not use up the attempts for others.
            Cause::CoreUnavailable(_) if self.tried.len() < FREE_TRIES => {
                self.attempts = self.attempts.saturating_sub(1)
            }
            _ => {}
        }
        let again = error.retryable();
        self.record_failure(fail);
        if again { Ok(()) } else { Err(self.refusal()) }
    }
}

/// Dials a node for at most `limit`.
async fn dial(selection: Arc<Selection>, lease: NodeLease, target: Target, need: Need, limit: Duration) -> Dialled {
    let started = Instant::now();
    let result = connect(&selection, &lease, &target, need, limit).await;
    Dialled { lease, result, started, took: started.elapsed(), limit }
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
