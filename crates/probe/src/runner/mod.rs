//! The one task that starts probes within all the limits and waits for what comes next.

mod demands;
mod follow_up;
mod owned;
mod pass;
mod probe;
mod results;
mod tampering;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};

use hezar_core::{NodeId, Timestamp};
use hezar_pool::{ChangeKind, Node, State, Watch};
use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    task::{AbortHandle, Id, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    ControlResult, Guard, GuardConfig, GuardState, Intervals, NodeHealth, Ownership, ProbeAnswer, Progress, Schedule,
    context::{Payload, ProbeContext},
    probe_error::ProbeError,
    tamper_tracker::TamperTracker,
    token_bucket::TokenBucket,
};
use demands::next_demand;
use follow_up::FollowUp;
use owned::next_ownership;
use probe::{CanaryFetch, Checked, probe, run_control_checks};

/// Probes at a time during an outage: enough to notice its end.
const CANARIES: usize = 16;
/// The longest sleep until the next look at what is due: a machine that was suspended finds out soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Changed nodes taken in at a time.
const CHANGES: usize = 4096;

type PoolNode = Arc<Node<Payload>>;

/// A probe on its way.
struct RunningProbe {
    node: PoolNode,
    /// The schedule's number of this probe.
    run: Option<u32>,
    started: Timestamp,
    was_healthy: bool,
    /// How long the check took, once it is over and the node is asked what is asked seldom.
    latency: Option<Duration>,
    abort: AbortHandle,
}

/// What a task brings back.
enum TaskResult {
    Checked(Result<Checked, ProbeError>),
    FollowedUp(FollowUp),
    Control(ControlResult),
}

/// Since when no node works, and when the next dead nodes are probed early.
#[derive(Clone, Copy)]
struct TotalFailure {
    since: Timestamp,
    next_try: Timestamp,
}

/// The state of the prober's task.
pub(crate) struct Runner {
    context: Arc<ProbeContext>,
    schedule: Schedule,
    /// Which nodes are in the schedule; others only while somebody waits for their probe.
    owned: Ownership,
    ownership: watch::Receiver<Ownership>,
    /// Whether the control URLs have been asked.
    knows_controls: bool,
    bucket: TokenBucket,
    guard: Guard,
    tasks: JoinSet<TaskResult>,
    running: HashMap<Id, RunningProbe>,
    /// Who waits for the probe of which node.
    wanted: HashMap<NodeId, Vec<UnboundedSender<ProbeAnswer>>, ahash::RandomState>,
    /// When a failed exit lookup may be tried again.
    trace_after: HashMap<NodeId, Timestamp, ahash::RandomState>,
    /// When a node is to be judged again.
    judge_after: HashMap<NodeId, Timestamp, ahash::RandomState>,
    /// Who is to blame for changed pages.
    tamper_tracker: TamperTracker,
    /// Present while no node is routable.
    total_failure: Option<TotalFailure>,
    /// The progress of a single pass; absent when working without end.
    pass: Option<Progress>,
}

impl Runner {
    /// A runner that works until it is cancelled.
    pub(crate) fn endless(context: Arc<ProbeContext>) -> Self {
        let now = context.clock.now();
        let config = &context.config;
        let intervals = Intervals {
            interval: config.interval,
            suspect: config.suspect_interval,
            dead_most: config.dead_interval,
            jitter: config.jitter,
            per_host: config.per_host,
            per_host_per_second: config.per_host_per_second,
            dead_after: context.pool.rules().dead_after,
        };
        let recheck = config.guard.recheck.min(config.interval);
        let guard = GuardConfig { recheck, ..config.guard.clone() };
        let owned = Ownership::everything();
        let (_, ownership) = watch::channel(owned.clone());
        Self {
            schedule: Schedule::new(intervals),
            owned,
            ownership,
            knows_controls: false,
            bucket: TokenBucket::new(config.per_second, now),
            guard: Guard::new(guard, context.controls.possible()),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            wanted: HashMap::default(),
            trace_after: HashMap::default(),
            judge_after: HashMap::default(),
            tamper_tracker: TamperTracker::default(),
            total_failure: None,
            pass: None,
            context,
        }
    }

    /// Works until cancelled.
    pub(crate) async fn run(mut self, cancel: &CancellationToken) {
        let context = Arc::clone(&self.context);
        let mut demands = context.demanded.lock().await;
        let watch = self.context.pool.watch_states();
        self.fill();
        self.learn_controls();
        loop {
            self.absorb(&watch);
            self.follow_ownership();
            self.start();
            let pause = self.pause().map(|pause| pause.min(LONGEST_PAUSE));
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(done) = self.tasks.join_next_with_id() => self.collect(done),
                () = watch.changed() => {}
                () = next_ownership(&mut self.ownership) => {}
                demand = next_demand(&mut demands) => self.accept(demand),
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        }
        // Nobody waits for what will not come.
        while demands.try_recv().is_ok() {}
        self.tasks.shutdown().await;
        self.context.metrics.running.set(0);
    }

    /// Takes all the nodes of the pool that are owned into the schedule.
    fn fill(&mut self) {
        let (snapshot, now) = (self.context.pool.snapshot(), self.now());
        for node in snapshot.nodes().filter(|node| node.is_probed()) {
            if self.owned.owns_node(node) {
                self.admit(node, now);
            }
        }
    }

    fn admit(&mut self, node: &PoolNode, now: Timestamp) {
        let mut health = health_of(node);
        if self.pass.is_some() {
            // A single pass waits for no dead node's pause.
            health.last_checked = None;
        }
        if self.owned.is_shared() {
            self.schedule.take_over(node.id(), health, now, rand::random());
        } else {
            self.schedule.upsert(node.id(), health, now, rand::random());
        }
        if self.wanted.contains_key(&node.id()) {
            self.schedule.demand(node.id(), now);
        }
    }

    /// Takes in what changed in the pool.
    fn absorb(&mut self, watch: &Watch) {
        let now = self.now();
        for touched in watch.take(CHANGES) {
            match self.context.pool.node(touched.id) {
                Some(node) if node.is_probed() && !self.is_scheduled(&node) => {}
                Some(node) if node.is_probed() => {
                    if matches!(touched.kind, ChangeKind::Added | ChangeKind::Replaced)
                        && self.schedule.contains(touched.id)
                    {
                        self.replace(touched.id, &node);
                    }
                    self.admit(&node, now);
                    if touched.kind == ChangeKind::Relisted {
                        self.schedule.expedite_one(touched.id, now, rand::random());
                    }
                }
                _ => self.drop_node(touched.id),
            }
        }
        self.context.metrics.scheduled.set(as_gauge(self.schedule.len()));
    }

    /// A node that left and came back is another one: what is known about the old one does not hold.
    fn replace(&mut self, id: NodeId, node: &PoolNode) {
        let probe = self.running.values().find(|probe| probe.node.id() == id);
        if probe.is_none_or(|probe| !Arc::ptr_eq(&probe.node, node)) {
            self.drop_node(id);
        }
    }

    fn drop_node(&mut self, id: NodeId) {
        let running = self.schedule.is_running(id);
        self.schedule.remove(id);
        self.guard.forget(id);
        self.trace_after.remove(&id);
        self.judge_after.remove(&id);
        self.tamper_tracker.forget(id);
        self.context.metrics.log().forget(id);
        if running {
            self.running.values().filter(|probe| probe.node.id() == id).for_each(|probe| probe.abort.abort());
        }
        self.answer_dropped(id);
    }

    /// Starts what is due, within all the limits.
    fn start(&mut self) {
        let now = self.now();
        if self.guard.begin_check(now) {
            self.start_control_check();
        }
        self.watch_total_failure(now);
        self.schedule.note_routable(self.context.pool.snapshot().counts().routable());
        for (id, due) in self.schedule.take_planned() {
            if let Some(node) = self.context.pool.node(id) {
                node.set_next_check(due);
            }
        }
        while self.running.len() < self.room() && self.bucket.has(now) {
            let Some(id) = self.next_due(now) else { break };
            let Some(node) = self.context.pool.node(id).filter(|node| node.is_probed()) else {
                self.drop_node(id);
                continue;
            };
            self.bucket.take();
            let context = Arc::clone(&self.context);
            let was_healthy = node.state() == State::Healthy;
            let probed = Arc::clone(&node);
            let abort = self.tasks.spawn(async move { TaskResult::Checked(probe(&context, &probed).await) });
            let run = self.schedule.run_of(id);
            let probe = RunningProbe { node, run, started: now, was_healthy, latency: None, abort };
            self.running.insert(probe.abort.id(), probe);
        }
        self.context.metrics.running.set(as_gauge(self.running.len()));
        self.context.metrics.guard(self.guard.state());
    }

    /// The next node to be probed. What clients' requests have shown of a node saves its probe, but not in a single pass.
    fn next_due(&mut self, now: Timestamp) -> Option<NodeId> {
        if self.pass.is_some() {
            return self.schedule.next(now);
        }
        let pool = &self.context.pool;
        self.schedule.next_unless_used(now, |id| pool.node(id)?.record().last_ok)
    }

    /// While nothing works, a few dead nodes are probed early: the pauses of all of them may have grown long.
    fn watch_total_failure(&mut self, now: Timestamp) {
        if self.pass.is_some() || self.schedule.is_empty() || self.context.pool.snapshot().counts().routable() > 0 {
            self.total_failure = None;
            return;
        }
        let pause = self.context.config.suspect_interval;
        let total_failure = self.total_failure.get_or_insert(TotalFailure { since: now, next_try: now.after(pause) });
        if now >= total_failure.next_try {
            total_failure.next_try = now.after(pause);
            self.schedule.advance(CANARIES, now);
        }
    }

    fn room(&self) -> usize {
        let most = self.context.config.concurrency.unwrap_or(crate::ProbeConfig::CONCURRENCY).max(1);
        let outage = self.guard.state() == GuardState::Outage && self.pass.is_none();
        if outage { most.min(CANARIES) } else { most }
    }

    fn start_control_check(&mut self) {
        let context = Arc::clone(&self.context);
        self.tasks.spawn(async move { TaskResult::Control(run_control_checks(&context).await) });
    }

    /// How long nothing can be started; `None` until something else happens.
    fn pause(&self) -> Option<Duration> {
        let now = self.now();
        let next = (self.running.len() < self.room()).then(|| self.schedule.due(now)).flatten();
        let probe = next.map(|due| due.since(now).max(self.bucket.wait()));
        let check = self.guard.next_check().map(|due| due.since(now));
        let early = self.total_failure.map(|total_failure| total_failure.next_try.since(now));
        probe.into_iter().chain(check).chain(early).min()
    }

    fn now(&self) -> Timestamp {
        self.context.clock.now()
    }
}

fn health_of(node: &Node<Payload>) -> NodeHealth {
    let record = node.record();
    NodeHealth {
        server: (!node.on_loopback()).then(|| node.server_key()),
        state: record.state,
        failures: record.failures,
        ever_worked: node.ever_worked(),
        last_checked: record.last_checked,
    }
}

fn as_gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
