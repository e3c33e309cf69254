//! Failover: the course of one request over several nodes, each on another server, within one deadline.
//!
//! This is the only place that dials, and it dials only through a leased node: with no lease there is no connection.

use std::{net::IpAddr, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use hezar_core::{Fault, NodeId, Stage, Target};
use hezar_engine::{BoxStream, Cause, DialError, Dialer};
use hezar_pool::{Country, Lease, Need, Query, Strategy, hash_key};
use tokio::time::{Instant, sleep_until};

use crate::{Refusal, auth::Identity, gateway::Shared, pace::Wait, site_key};

mod dial;
mod fail;
mod flow;
mod race;
mod sticky;
#[cfg(test)]
mod tests;
mod verdict;
mod vigil;

pub(crate) use dial::Way;
use dial::{Dialled, Dialling, dial};
pub use fail::Fail;
pub(crate) use flow::Flow;
pub(crate) use race::{Broken, Errand, Won, race};
use sticky::Sticky;
pub(crate) use verdict::Verdict;
use verdict::{Unsure, failure, report};
use vigil::{Ring, Vigil};

/// How many nodes must say that a target cannot be reached: a second opinion is enough.
const TARGET_OPINIONS: u32 = 2;
/// The same for a target that was reached a moment ago: those who say no may be at fault themselves.
const DOUBTED_OPINIONS: u32 = 8;
/// A shorter time says nothing about the node: a handshake over two continents may take as long.
const FAIR: Duration = Duration::from_secs(2);

/// Between two looks for the first node that is usable.
const LOOK: Duration = Duration::from_millis(25);

/// What a dialer is called in the pool.
pub(crate) type NodeLease = Lease<Arc<dyn Dialer>>;

/// A node, connected to the target. The lease lives as long as the connection.
pub(crate) struct Route {
    pub stream: BoxStream,
    pub way: Way,
    pub lease: NodeLease,
    pub verdict: Verdict,
}

/// Where a request goes, as keys; nothing for an association.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    /// Of the site, for evidence about nodes.
    pub site: Option<u64>,
    /// Of host and port.
    pub target: Option<u64>,
}

impl Place {
    fn of(target: &Target) -> Self {
        Self { site: Some(site_key(target.host())), target: Some(hash_key(target)) }
    }
}

/// The attempts of one request.
pub(crate) struct Course {
    shared: Arc<Shared>,
    /// Nothing for an association, whose datagrams each name their own.
    target: Option<Target>,
    /// What a node must carry.
    need: Need,
    strategy: Strategy,
    /// Any of these; empty = all.
    countries: Vec<Country>,
    sticky: Sticky,
    place: Place,
    deadline: Instant,
    /// Until when it waits for a node, once there was none.
    waits_until: Option<Instant>,
    servers: Vec<u64>,
    nodes: Vec<NodeId>,
    /// HTTP proxies that refused the absolute form and are asked for a tunnel when they are tried again.
    tunnel_only: Vec<NodeId>,
    /// How many of these, in front, were never tried: an association passes them over while there are others.
    passed_over: usize,
    attempts: u32,
    target_faults: u32,
    silences: u32,
    unsure: Unsure,
    last: Option<Fail>,
    /// The dials under way; they go on between two calls of [`Course::next`].
    dialling: FuturesUnordered<Dialling>,
    vigil: Vigil,
}

impl Course {
    /// The course of a request by `identity` at `client` to `target`; its deadline runs from now.
    pub(crate) fn new(shared: &Arc<Shared>, identity: &Identity, client: IpAddr, target: &Target) -> Self {
        Self::begin(shared, identity, client, Some(target.clone()))
    }

    /// The course of one plain HTTP request: nodes that carry no tunnel to the target may serve it, too.
    pub(crate) fn for_http(shared: &Arc<Shared>, identity: &Identity, client: IpAddr, target: &Target) -> Self {
        let need = Need::Plain { port: target.port(), allow_transparent: true };
        Self { need, ..Self::new(shared, identity, client, target) }
    }

    fn begin(shared: &Arc<Shared>, identity: &Identity, client: IpAddr, target: Option<Target>) -> Self {
        let strategy = identity.options.strategy.unwrap_or(shared.config.strategy);
        let sticky = Sticky::of(shared, identity, strategy, client);
        let mut countries = identity.options.countries.clone();
        if countries.len() > 1 {
            // Each gets its share of the requests, and a session begins with the same one every time.
            let first = sticky.draw() % countries.len() as u64;
            countries.rotate_left(usize::try_from(first).unwrap_or_default());
        }
        shared.budget.earn();
        Self {
            place: target.as_ref().map_or_else(Place::default, Place::of),
            need: target.as_ref().map_or(Need::Anything, |target| Need::Tunnel(target.port())),
            target,
            strategy,
            countries,
            sticky,
            deadline: Instant::now() + shared.config.deadline,
            waits_until: None,
            servers: Vec::new(),
            nodes: Vec::new(),
            tunnel_only: Vec::new(),
            passed_over: 0,
            attempts: 0,
            target_faults: 0,
            silences: 0,
            unsure: Unsure::default(),
            last: None,
            dialling: FuturesUnordered::new(),
            vigil: Vigil::default(),
            shared: shared.clone(),
        }
    }

    /// How many nodes were tried.
    pub(crate) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How many of them have been silent for too long.
    pub(crate) const fn silences(&self) -> u32 {
        self.silences
    }

    /// When it has to be over.
    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The deadline runs anew: a tunnel's client may take its time before it says anything.
    pub(crate) fn renew(&mut self) {
        self.deadline = Instant::now() + self.shared.config.deadline;
    }

    /// The next node that connects. Nodes that do not are reported and passed over; beside one that takes long another
    /// one is dialled. May be dropped and called again: the dials go on.
    ///
    /// # Errors
    /// [`Refusal`] when no node is left, or the attempts or the time are used up.
    pub(crate) async fn next(&mut self) -> Result<Route, Refusal> {
        loop {
            if !self.vigil.hopeful() && !self.start() && self.dialling.is_empty() {
                let Some(lease) = self.first_to_come().await else { return Err(self.refusal()) };
                self.begin_with(lease);
            }
            if let Some(route) = self.dialled().await? {
                return Ok(route);
            }
        }
    }

    /// Waits for the first node to be tried at all, while some are yet to be probed; `None` when none came.
    async fn first_to_come(&mut self) -> Option<NodeLease> {
        let until = *self.waits_until.get_or_insert_with(|| Instant::now() + self.shared.config.node_wait);
        let until = until.min(self.deadline);
        while self.attempts == 0 && Instant::now() < until && self.shared.pool.snapshot().counts().only_new() {
            sleep_until(until.min(Instant::now() + LOOK)).await;
            if let Some(lease) = self.pick() {
                return Some(lease);
            }
        }
        None
    }

    /// Waits for the dials under way; nothing when it is time for one more.
    async fn dialled(&mut self) -> Result<Option<Route>, Refusal> {
        loop {
            let alarm = self.vigil.alarm();
            tokio::select! {
                biased;
                Some(dialled) = self.dialling.next() => return self.ended(dialled),
                () = sleep_until(alarm.unwrap_or(self.deadline)), if alarm.is_some() => {
                    let Some(ring) = self.vigil.ring(Instant::now()) else { continue };
                    if let Ring::Lost(node) = ring {
                        self.silent(node, Stage::Handshake);
                    }
                    if !self.vigil.hopeful() && self.may_ask(ring) {
                        // Nothing to start: what is under way is all that there will be.
                        if self.start() { continue }
                    }
                }
                () = sleep_until(self.deadline) => return Err(self.refusal()),
            }
        }
    }

    /// Begins to dial one more node; false when there is none.
    fn start(&mut self) -> bool {
        self.pick().map(|lease| self.begin_with(lease)).is_some()
    }

    /// Begins to dial this node.
    fn begin_with(&mut self, lease: NodeLease) {
        let Some(target) = self.target.clone() else { return };
        let limit = self.remaining().min(self.shared.config.attempt_timeout);
        let patience = self.shared.pace.patience(Wait::Dial, lease.latency(), self.silences);
        self.attempts += 1;
        self.servers.push(lease.server_key());
        self.nodes.push(lease.id());
        self.vigil.begin(lease.id(), patience, Instant::now());
        let need = if self.tunnel_only.contains(&lease.id()) { Need::Tunnel(target.port()) } else { self.need };
        self.dialling.push(dial(&self.shared, lease, target, need, limit));
    }

    fn ended(&mut self, dialled: Dialled) -> Result<Option<Route>, Refusal> {
        let Dialled { lease, result, took, limit } = dialled;
        self.vigil.end(lease.id());
        match result {
            Ok((stream, way)) => {
                self.shared.pace.note(Wait::Dial, took);
                let verdict = Verdict::new(self.shared.clone(), lease.id(), self.place, took, self.unsure.clone());
                Ok(Some(Route { stream, way, lease, verdict }))
            }
            Err(error) => self.dial_failed(&lease, &error, limit).map(|()| None),
        }
    }

    /// Whether one more node may be asked: lateness costs a hedge of the budget, loss does not.
    pub(crate) fn may_ask(&self, ring: Ring) -> bool {
        match ring {
            Ring::Lost(_) => true,
            // A session would come out elsewhere, only because its exit takes its time.
            Ring::Late if !self.sticky.is_free() => false,
            Ring::Late => {
                let granted = self.shared.budget.take();
                self.shared.metrics.hedge(granted);
                granted
            }
        }
    }

    /// The time until the deadline.
    pub(crate) fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// A connected node failed before it had answered, and the request may be repeated: [`Course::next`] goes on.
    pub(crate) fn failed(&mut self, mut verdict: Verdict, fail: Fail) {
        if fail.wants_tunnel {
            self.ask_for_a_tunnel(verdict.node());
        }
        // To know CONNECT alone is no fault; to let us in nowhere is one.
        if !fail.wants_tunnel || fail.code == Cause::Forbidden.code() {
            verdict.bad(&fail);
        }
        self.note(fail);
    }

    /// Lets a node be tried again, for a tunnel this time: an HTTP proxy that was never probed may know CONNECT alone. Only
    /// the prober decides what it takes in general, since the target may have given the same answer.
    fn ask_for_a_tunnel(&mut self, node: NodeId) {
        self.tunnel_only.push(node);
        let place = self.nodes.iter().position(|tried| *tried == node);
        if let Some(place) = place.filter(|place| *place < self.servers.len()) {
            self.nodes.remove(place);
            self.servers.remove(place);
        }
    }

    /// A node has been silent for too long; it may still answer.
    pub(crate) fn silent(&mut self, node: NodeId, stage: Stage) {
        self.silences += 1;
        if let Some(target) = self.place.target {
            self.shared.blame.failed(target);
        }
        self.unsure.add(node, Fail::new(stage, &Cause::Timeout, false));
    }

    /// Why the request ends here, after the last failure.
    pub(crate) fn refusal(&self) -> Refusal {
        let attempts = self.attempts;
        match &self.last {
            Some(last) if last.fault == Fault::Target => Refusal::Target(last.clone()),
            _ if self.remaining().is_zero() => Refusal::Deadline { attempts },
            Some(last) => Refusal::AllFailed { attempts, last: last.clone() },
            None if self.shared.pool.snapshot().counts().routable() == 0 => {
                Refusal::PoolEmpty { why: self.shared.explanation.now() }
            }
            None if !self.countries.is_empty() || self.shared.config.filter.is_some() => Refusal::NoMatch,
            None if self.lacks_datagrams() => Refusal::NoDatagrams,
            None if self.lacks_way() => Refusal::NotCarried,
            None => Refusal::PoolEmpty { why: self.shared.explanation.now() },
        }
    }

    /// A node for the next attempt, in the first country that has one.
    fn pick(&mut self) -> Option<NodeLease> {
        let used_up = self.attempts >= self.shared.config.attempts
            || self.target_faults >= self.opinions()
            || self.remaining().is_zero();
        if used_up {
            return None;
        }
        if self.countries.is_empty() {
            return self.pick_in(None);
        }
        (0..self.countries.len()).find_map(|index| self.pick_in(self.countries.get(index).copied()))
    }

    fn pick_in(&mut self, country: Option<Country>) -> Option<NodeLease> {
        let lease = self.pick_for(country, self.sticky.key_in(country))?;
        if self.sticky.found(&self.shared, country) {
            return Some(lease);
        }
        self.pick_for(country, self.sticky.key_in(country))
    }

    /// A node on a server not tried yet, or, when there is none, at least a node not tried yet.
    fn pick_for(&self, country: Option<Country>, session: Option<u64>) -> Option<NodeLease> {
        let query = Query {
            strategy: self.strategy,
            country,
            exclude_servers: &self.servers,
            exclude_nodes: &self.nodes,
            datagrams: self.target.is_none(),
            need: self.need,
            anonymity: None,
            session,
            filter: self.shared.config.filter,
            site: self.place.site,
            now: Some(self.shared.clock.now()),
            prefer_recent_success: self.attempts > 0,
        };
        let other_server = self.shared.pool.pick(&query, rand::random());
        if other_server.is_some() || self.servers.is_empty() {
            return other_server;
        }
        self.shared.pool.pick(&Query { exclude_servers: &[], ..query }, rand::random())
    }

    fn dial_failed(&mut self, lease: &NodeLease, error: &DialError, limit: Duration) -> Result<(), Refusal> {
        let mut fail = Fail::from(error);
        let silence = matches!(error.cause, Cause::Timeout);
        // A node that waits for its target before it says yes may be silent by the target's fault.
        fail.sure = !silence || (limit >= FAIR && error.stage < Stage::Handshake);
        self.shared.metrics.attempt("failed", fail.code);
        tracing::debug!(
            node = %lease.id(), target = self.target.as_ref().map(tracing::field::display), stage = %fail.stage, code = fail.code, fault = %fail.fault,
            attempt = self.attempts, "attempt failed"
        );
        if fail.sure {
            self.unsure.forget(lease.id());
            report(&self.shared, lease.id(), &failure(&fail));
        }
        if fail.fault == Fault::Target {
            // When another node reaches it, the target only refuses this one.
            self.unsure.add(lease.id(), fail.clone());
        } else if !fail.sure && limit >= FAIR {
            // Cut short by our own deadline it would be no evidence at all.
            self.unsure.add(lease.id(), fail.clone());
        }
        let again = error.retryable();
        self.note(fail);
        if again { Ok(()) } else { Err(self.refusal()) }
    }

    /// Whether nodes are routable and none of them carries such a request.
    fn lacks_way(&self) -> bool {
        self.need != Need::Anything && self.shared.pool.snapshot().counts().routable() > 0
    }

    /// How many nodes may say that the target cannot be reached before they are believed.
    fn opinions(&self) -> u32 {
        let reached = self.place.target.is_some_and(|key| self.shared.reached.lately(key, self.shared.clock.now()));
        if reached { DOUBTED_OPINIONS } else { TARGET_OPINIONS }
    }

    fn note(&mut self, mut fail: Fail) {
        if fail.may_be_of_target() {
            fail.fault = Fault::Target;
            self.target_faults += 1;
        }
        self.last = Some(fail);
    }
}
