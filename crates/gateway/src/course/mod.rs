//! Failover: the course of one request over several nodes, each on another server, within one deadline.
//!
//! This is the only place that dials, and it dials only through a leased node: with no lease there is no connection.

use std::{net::IpAddr, sync::Arc, time::Duration};

use hezar_core::{Fault, NodeId, Stage, Target};
use hezar_engine::{Attempt, BoxStream, BuildError, Cause, DialError, Dialer};
use hezar_pool::{Lease, Query, Strategy, hash_key};
use tokio::time::{Instant, timeout_at};

use crate::{Refusal, auth::Identity, gateway::Shared};

mod fail;
mod share;
#[cfg(test)]
mod tests;
mod verdict;

pub use fail::Fail;
use share::{FAIR, share};
pub(crate) use verdict::Verdict;
use verdict::{Unsure, failure, report};

/// The node's own failures and the target's, as a request may meet them: a second opinion about a target is enough.
const TARGET_OPINIONS: u32 = 2;

/// What a dialer is called in the pool.
pub(crate) type NodeLease = Lease<Arc<dyn Dialer>>;

/// A node, connected to the target. The lease lives as long as the connection.
pub(crate) struct Route {
    pub stream: BoxStream,
    pub lease: NodeLease,
    pub verdict: Verdict,
}

/// The attempts of one request.
pub(crate) struct Course {
    shared: Arc<Shared>,
    target: Target,
    strategy: Strategy,
    country: Option<[u8; 2]>,
    session: Option<u64>,
    deadline: Instant,
    servers: Vec<u64>,
    nodes: Vec<NodeId>,
    attempts: u32,
    target_faults: u32,
    unsure: Unsure,
    last: Option<Fail>,
}

impl Course {
    /// The course of a request by `identity` at `client` to `target`; its deadline runs from now.
    pub(crate) fn new(shared: &Arc<Shared>, identity: &Identity, client: IpAddr, target: &Target) -> Self {
        let strategy = identity.options.strategy.unwrap_or(shared.config.strategy);
        Self {
            target: target.clone(),
            strategy,
            country: identity.options.country,
            session: session_key(shared, identity, strategy, client),
            deadline: Instant::now() + shared.config.deadline,
            servers: Vec::new(),
            nodes: Vec::new(),
            attempts: 0,
            target_faults: 0,
            unsure: Unsure::default(),
            last: None,
            shared: shared.clone(),
        }
    }

    /// How many nodes were tried.
    pub(crate) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The next node that connects. Nodes that do not are reported and passed over.
    ///
    /// # Errors
    /// [`Refusal`] when no node is left, or the attempts or the time are used up.
    pub(crate) async fn next(&mut self) -> Result<Route, Refusal> {
        loop {
            let Some(lease) = self.pick() else { return Err(self.refusal()) };
            let limit = self.time_share();
            self.attempts += 1;
            self.servers.push(lease.server_key());
            self.nodes.push(lease.id());
            let started = Instant::now();
            let error = match self.dial(&lease, limit).await {
                Ok(stream) => {
                    let (shared, unsure) = (self.shared.clone(), self.unsure.clone());
                    let verdict = Verdict::new(shared, lease.id(), started.elapsed(), unsure);
                    return Ok(Route { stream, lease, verdict });
                }
                Err(error) => error,
            };
            self.dial_failed(&lease, &error, limit)?;
        }
    }

    /// The time that the next attempt, or the wait for an answer, may take.
    pub(crate) fn time_share(&self) -> Duration {
        let left = self.shared.config.attempts.saturating_sub(self.attempts);
        share(self.remaining(), left, self.shared.config.attempt_timeout)
    }

    /// The time until the deadline.
    pub(crate) fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// A connected node failed before it had answered, and the request may be repeated: [`Course::next`] goes on.
    pub(crate) fn failed(&mut self, mut verdict: Verdict, fail: Fail) {
        verdict.bad(&fail);
        self.note(fail);
    }

    /// A connected node has been silent for long; it may still answer.
    pub(crate) fn silent(&self, node: NodeId) {
        self.unsure.lock().push((node, Fail::new(Stage::Exchange, &Cause::Timeout, false)));
    }

    /// Why the request ends here, after the last failure.
    pub(crate) fn refusal(&self) -> Refusal {
        let attempts = self.attempts;
        match &self.last {
            Some(last) if last.fault == Fault::Target => Refusal::Target(last.clone()),
            _ if self.remaining().is_zero() => Refusal::Deadline { attempts },
            Some(last) => Refusal::AllFailed { attempts, last: last.clone() },
            None if self.country.is_some() => Refusal::NoMatch,
            None => Refusal::PoolEmpty,
        }
    }

    /// A node for the next attempt: on a server not tried yet, or, when there is none, at least a node not tried yet.
    fn pick(&self) -> Option<NodeLease> {
        let used_up = self.attempts >= self.shared.config.attempts
            || self.target_faults >= TARGET_OPINIONS
            || self.remaining().is_zero();
        if used_up {
            return None;
        }
        let query = Query {
            strategy: self.strategy,
            country: self.country,
            exclude_servers: &self.servers,
            exclude_nodes: &self.nodes,
            session: self.session,
            site: Some(hash_key(self.target.host())),
        };
        let other_server = self.shared.pool.pick(&query, rand::random());
        if other_server.is_some() || self.servers.is_empty() {
            return other_server;
        }
        self.shared.pool.pick(&Query { exclude_servers: &[], ..query }, rand::random())
    }

    async fn dial(&self, lease: &NodeLease, limit: Duration) -> Result<BoxStream, DialError> {
        let dialer = lease
            .payload(|node| self.shared.outbounds.dialer(node.spec(), node.allow_private()))
            .map_err(|error| self.unbuilt(lease, &error))?;
        let attempt = Attempt::within(limit);
        // Dialers keep the attempt's deadline themselves; this bound holds even if one forgets to.
        match timeout_at(attempt.deadline(), dialer.connect(&self.target, &attempt)).await {
            Ok(result) => result,
            Err(_) => Err(DialError::new(Stage::Handshake, Cause::Timeout)),
        }
    }

    /// No dialer can be built for a node that somebody called healthy: it is taken out of the views.
    fn unbuilt(&self, lease: &NodeLease, error: &BuildError) -> DialError {
        self.shared.pool.mark_unsupported(lease.id(), error.code());
        DialError::new(Stage::Connect, Cause::Unsupported("the node"))
    }

    fn dial_failed(&mut self, lease: &NodeLease, error: &DialError, limit: Duration) -> Result<(), Refusal> {
        let mut fail = Fail::from(error);
        // Cut short by our own deadline: no evidence against the node.
        fail.sure = !(matches!(error.cause, Cause::Timeout) && limit < FAIR);
        self.shared.metrics.attempt("failed", fail.code);
        tracing::debug!(
            node = %lease.id(), target = %self.target, stage = %fail.stage, code = fail.code, fault = %fail.fault,
            attempt = self.attempts, "attempt failed"
        );
        if fail.sure {
            report(&self.shared, lease.id(), &failure(&fail));
        }
        let again = error.retryable();
        self.note(fail);
        if again { Ok(()) } else { Err(self.refusal()) }
    }

    fn note(&mut self, fail: Fail) {
        if fail.fault == Fault::Target {
            self.target_faults += 1;
        }
        self.last = Some(fail);
    }
}

/// The key of the session: the one in the user name, or with the sticky strategy the user or the client's address.
fn session_key(shared: &Shared, identity: &Identity, strategy: Strategy, client: IpAddr) -> Option<u64> {
    if let Some(session) = &identity.options.session {
        let ttl = identity.options.session_ttl.unwrap_or(shared.config.session_ttl);
        return Some(shared.sessions.key(&identity.user, session, ttl, shared.clock.now()));
    }
    match strategy {
        Strategy::Sticky if identity.user.is_empty() => Some(hash_key(&client)),
        Strategy::Sticky => Some(hash_key(&*identity.user)),
        _ => None,
    }
}
