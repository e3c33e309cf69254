//! Failover: one request is tried over several nodes, each on another server, within one deadline.
//!
//! This is the only place that dials, and it dials only through a leased node: with no lease there is no connection.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use hezar_core::{Fault, NodeId, ServerKey, SiteKey, Stage, Target, TargetKey, hash64};
use hezar_engine::{BoxStream, Cause, Dialer};
use hezar_pool::{Anonymity, CityKey, Country, Lease, Need, Strategy};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{AttemptError, GatewayConfig, Refusal, access::Identity, site_key, spans::TraceHandle};

mod association;
mod blame;
mod dial;
mod exchange;
mod explanation;
mod hedge_budget;
mod latency;
mod node_arrivals;
mod pick;
mod recent_targets;
mod report;
mod selection;
mod shared_session;
mod staggered;
mod sticky;
mod transfer_sizes;
mod udp_avoidance;

pub(crate) use association::Association;
pub(crate) use blame::Blame;
use dial::Dialled;
pub(crate) use dial::FormChoice;
pub(crate) use exchange::{Exchange, ExchangeError, Winner, first_answer};
pub(crate) use explanation::Explanation;
pub(crate) use hedge_budget::HedgeBudget;
use latency::{Expected, HedgeDelays};
pub(crate) use latency::{LatencyEstimator, Wait};
pub(crate) use node_arrivals::NodeArrivals;
pub(crate) use recent_targets::RecentTargets;
pub(crate) use report::AttemptReport;
use report::Undecided;
pub(crate) use selection::Selection;
use staggered::{Event, Staggered, Stall};
use sticky::Sticky;
pub(crate) use transfer_sizes::TransferSizes;
pub(crate) use udp_avoidance::UdpAvoidance;

/// A leased node with its dialer.
pub(crate) type NodeLease = Lease<Arc<dyn Dialer>>;

/// A node, connected to the target. The lease lives as long as the connection.
pub(crate) struct Connected {
    pub stream: BoxStream,
    pub form: FormChoice,
    pub lease: NodeLease,
    pub report: AttemptReport,
}

/// Keys of the place where a request goes (none for an association), and of whose it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TargetKeys {
    /// The site, for what is learned of nodes there.
    pub site: Option<SiteKey>,
    /// Host and port.
    pub target: Option<TargetKey>,
    /// The user, for what its requests move.
    pub user: u64,
}

impl TargetKeys {
    fn new(target: Option<&Target>, user: &str) -> Self {
        Self {
            site: target.map(|target| site_key(target.host())),
            target: target.map(TargetKey::from_target),
            user: hash64(user.as_bytes()),
        }
    }
}

/// A node that is not tried again.
#[derive(Clone, Copy, Debug)]
struct Tried {
    node: NodeId,
    /// The key of its server; absent when the node was only passed over, which says nothing against its server.
    server: Option<ServerKey>,
}

/// The attempts of one request.
pub(crate) struct Failover {
    selection: Arc<Selection>,
    /// The settings of the listener when the request came.
    config: Arc<GatewayConfig>,
    /// Absent for an association, whose datagrams each name their own.
    target: Option<Target>,
    /// What a node must carry.
    need: Need,
    strategy: Strategy,
    /// The most that a node may give away.
    anonymity: Option<Anonymity>,
    /// The autonomous system and the city that the exit is to be in.
    asn: Option<NonZeroU32>,
    city: Option<CityKey>,
    /// The exit may be in any of these countries; empty = anywhere.
    countries: Vec<Country>,
    sticky: Sticky,
    keys: TargetKeys,
    deadline: Instant,
    /// Until when it waits for a node, once there was none.
    waits_until: Option<Instant>,
    /// The nodes that are not tried again.
    tried: Vec<Tried>,
    /// HTTP proxies that refused the absolute form and are asked for a tunnel when they are tried again.
    tunnel_only: Vec<NodeId>,
    /// How many of `tried`, in front, were never tried: an association avoids them while there are others.
    passed_over: usize,
    attempts: u32,
    target_faults: u32,
    stall_count: u32,
    undecided: Undecided,
    /// The trace of the request, if it is sampled.
    trace: TraceHandle,
    last: Option<AttemptError>,
    /// The dials under way; they go on between two calls of [`Failover::connect_next`].
    dials: Staggered<Dialled>,
}

impl Failover {
    /// Begins the failover of a request by `identity` at `client` to `target`; its deadline runs from now.
    pub(crate) fn new(selection: &Arc<Selection>, identity: &Identity, client: IpAddr, target: &Target) -> Self {
        Self::with_target(selection, identity, client, Some(target.clone()))
    }

    /// Begins the failover of a plain HTTP request: nodes that carry no tunnel to the target may serve it, too.
    pub(crate) fn for_http(selection: &Arc<Selection>, identity: &Identity, client: IpAddr, target: &Target) -> Self {
        let begun = Self::new(selection, identity, client, target);
        let need = Need::Plain { port: target.port(), allow_transparent: begun.config.allow_transparent };
        Self { need, ..begun }
    }

    fn with_target(selection: &Arc<Selection>, identity: &Identity, client: IpAddr, target: Option<Target>) -> Self {
        let config = selection.policy.load_full();
        let strategy = identity.options.strategy.unwrap_or(config.strategy);
        let sticky = Sticky::new(selection, &config, identity, strategy, client);
        let mut countries = identity.options.countries.clone();
        if countries.len() > 1 {
            // Each gets its share of the requests, and a session begins with the same one every time.
            let first = sticky.rotation_seed() % countries.len() as u64;
            countries.rotate_left(usize::try_from(first).unwrap_or_default());
        }
        selection.hedge_budget.deposit(config.hedge_percent);
        Self {
            keys: TargetKeys::new(target.as_ref(), &identity.user),
            need: target.as_ref().map_or(Need::Anything, |target| Need::Tunnel(target.port())),
            target,
            strategy,
            anonymity: identity.options.anonymity,
            asn: identity.options.asn,
            city: identity.options.city.as_deref().and_then(CityKey::from_name),
            countries,
            sticky,
            deadline: Instant::now() + config.deadline,
            waits_until: None,
            tried: Vec::new(),
            tunnel_only: Vec::new(),
            passed_over: 0,
            attempts: 0,
            target_faults: 0,
            stall_count: 0,
            undecided: Undecided::default(),
            trace: identity.trace.clone(),
            last: None,
            dials: Staggered::new(),
            selection: selection.clone(),
            config,
        }
    }

    /// How many nodes have been tried.
    pub(crate) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// When the request has to be answered.
    pub(crate) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Starts the deadline anew: the client of a tunnel may take its time before it sends anything.
    pub(crate) fn renew(&mut self) {
        self.deadline = Instant::now() + self.config.deadline;
    }

    /// Waits for the next node that connects. Nodes that do not are reported and passed over; if a dial is slow, another
    /// node is dialled beside it. May be dropped and called again: the dials go on.
    ///
    /// # Errors
    /// [`Refusal`] when no node is left, or the attempts or the time are used up.
    pub(crate) async fn connect_next(&mut self) -> Result<Connected, Refusal> {
        self.share_session().await;
        loop {
            if !self.dials.has_fresh_attempt() && !self.dial_another() && self.dials.is_empty() {
                let Some(lease) = self.wait_for_first_node().await else { return Err(self.refusal()) };
                self.dial(lease);
            }
            if let Some(connected) = self.wait_for_dial().await? {
                return Ok(connected);
            }
        }
    }

    /// Waits for the first node to be tried at all, while some are yet to be probed; `None` when none came.
    async fn wait_for_first_node(&mut self) -> Option<NodeLease> {
        let until = *self.waits_until.get_or_insert_with(|| Instant::now() + self.config.node_wait);
        let until = until.min(self.deadline);
        while self.attempts == 0 && self.selection.pool.snapshot().counts().only_new() {
            timeout_at(until, self.selection.node_arrivals.wait(&self.selection.pool)).await.ok()?;
            if let Some(lease) = self.pick() {
                return Some(lease);
            }
        }
        None
    }

    /// Waits until one of the dials under way ends; `None` when its node is to be passed over.
    async fn wait_for_dial(&mut self) -> Result<Option<Connected>, Refusal> {
        loop {
            let event = tokio::select! {
                biased;
                event = self.dials.next_event(true) => event,
                () = sleep_until(self.deadline) => return Err(self.refusal()),
            };
            match event {
                Event::Finished(dialled) => return self.finish_dial(dialled),
                Event::Silent(stall) => {
                    if self.wants_another(stall, Stage::Handshake, self.dials.has_fresh_attempt()) {
                        // Without another node the dials under way are all that there will be.
                        self.dial_another();
                    }
                }
            }
        }
    }

    /// Takes in that an attempt is silent, and says whether another node is to be tried beside it. With `has_fresh` there is
    /// one already that is not slow.
    fn wants_another(&mut self, stall: Stall, stage: Stage, has_fresh: bool) -> bool {
        if let Stall::Stalled(node) = stall {
            self.note_stall(node, stage);
        }
        !has_fresh && self.may_start_another(stall)
    }

    /// Whether one more node may be tried: if one is only slow, that costs a hedge of the budget.
    fn may_start_another(&self, stall: Stall) -> bool {
        match stall {
            Stall::Stalled(_) => true,
            // A session would come out elsewhere, only because its exit takes its time.
            Stall::Slow if !self.sticky.is_free() => false,
            Stall::Slow => {
                let granted = self.selection.hedge_budget.try_withdraw();
                self.selection.metrics.hedge(granted);
                granted
            }
        }
    }

    /// How long to wait for a node until another one is tried beside it.
    fn delays(&self, wait: Wait, lease: &NodeLease) -> HedgeDelays {
        let expected = Expected { node: lease.id(), probe: lease.latency() };
        self.selection.latency.delays(wait, expected, self.stall_count, self.config.attempt_timeout)
    }

    /// Takes in how long a node took.
    fn record(&self, wait: Wait, lease: &NodeLease, took: Duration) {
        let expected = Expected { node: lease.id(), probe: lease.latency() };
        self.selection.latency.record(wait, expected, took);
    }

    /// The time until the deadline.
    pub(crate) fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// A connected node failed before it had answered, and the request may be repeated: [`Failover::connect_next`] goes on.
    pub(crate) fn failed(&mut self, mut report: AttemptReport, fail: AttemptError) {
        if fail.wants_tunnel {
            self.ask_for_a_tunnel(report.node());
        }
        // A proxy that only knows CONNECT is not at fault; one that refuses everything is.
        if !fail.wants_tunnel || fail.code == Cause::Forbidden.code() {
            report.failed(&fail);
        }
        self.record_failure(fail);
    }

    /// Lets a node be tried again, for a tunnel this time: an HTTP proxy that was never probed may know CONNECT alone. Only
    /// the prober decides what it takes in general, since the target may have given the same answer.
    fn ask_for_a_tunnel(&mut self, node: NodeId) {
        self.tunnel_only.push(node);
        self.tried.retain(|tried| tried.node != node);
    }

    /// A node has been silent for too long; it may still answer.
    fn note_stall(&mut self, node: NodeId, stage: Stage) {
        self.stall_count += 1;
        if let Some(target) = self.keys.target {
            self.selection.blame.record_failure(target);
        }
        self.undecided.add(node, AttemptError::new(stage, &Cause::Timeout, false));
    }

    fn record_failure(&mut self, mut fail: AttemptError) {
        if fail.may_be_target_fault() {
            fail.fault = Fault::Target;
            self.target_faults += 1;
        }
        self.last = Some(fail);
    }
}
