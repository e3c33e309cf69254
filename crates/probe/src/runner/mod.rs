//! The one task that starts probes within all the limits and waits for what comes next.

mod demands;
mod probe;
mod results;
mod tampering;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};

use hezar_core::{NodeId, Timestamp};
use hezar_engine::DialError;
use hezar_pool::{Exit, Node, State, Touch, Watch};
use tokio::{
    sync::mpsc::UnboundedSender,
    task::{AbortHandle, Id, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Control, Guard, GuardConfig, GuardState, Pace, ProbeAnswer, Progress, Schedule, Subject,
    budget::Budget,
    prober::{Payload, Shared},
    suspicion::Suspicion,
    verdict::Verdict,
};
use demands::next_demand;
use probe::{Checked, Look, ask, probe};

/// Probes at a time during an outage: enough to notice its end.
const CANARIES: usize = 16;
/// The longest sleep until the next look at what is due: a machine that was suspended finds out soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Changed nodes taken in at a time.
const CHANGES: usize = 4096;

type Outbound = Arc<Node<Payload>>;

/// A probe on its way.
struct Flight {
    node: Outbound,
    /// The schedule's number of this probe.
    run: Option<u64>,
    started: Timestamp,
    was_healthy: bool,
    /// How long the check took, once it is over and the exit is being looked up.
    latency: Option<Duration>,
    abort: AbortHandle,
}

/// What a task brings back.
enum Done {
    Checked(Result<Checked, Verdict>),
    Traced(Result<Exit, DialError>),
    Control(Control),
}

/// A time without any working node.
#[derive(Clone, Copy)]
struct Blackout {
    since: Timestamp,
    next_try: Timestamp,
}

/// The state of the prober's task.
pub(crate) struct Runner {
    shared: Arc<Shared>,
    schedule: Schedule,
    budget: Budget,
    guard: Guard,
    tasks: JoinSet<Done>,
    flights: HashMap<Id, Flight>,
    /// Who waits for the probe of which node.
    wanted: HashMap<NodeId, Vec<UnboundedSender<ProbeAnswer>>, ahash::RandomState>,
    /// When a failed exit lookup may be tried again.
    trace_after: HashMap<NodeId, Timestamp, ahash::RandomState>,
    /// Who is to blame for changed pages.
    suspicion: Suspicion,
    /// Since when no node has been routable, and when the next dead ones are tried before their time.
    blackout: Option<Blackout>,
    /// The progress of a single pass; absent when working without end.
    pass: Option<Progress>,
}

impl Runner {
    pub(crate) fn endless(shared: Arc<Shared>) -> Self {
        let now = shared.clock.now();
        let config = &shared.config;
        let pace = Pace {
            interval: config.interval,
            suspect: config.suspect_interval,
            dead_most: config.dead_interval,
            jitter: config.jitter,
            per_host: config.per_host,
            per_host_per_second: config.per_host_per_second,
            dead_after: shared.pool.rules().dead_after,
        };
        let recheck = config.guard.recheck.min(config.interval);
        let guard = GuardConfig { recheck, ..config.guard.clone() };
        Self {
            schedule: Schedule::new(pace),
            budget: Budget::new(config.per_second, now),
            guard: Guard::new(guard, shared.controls.possible()),
            tasks: JoinSet::new(),
            flights: HashMap::new(),
            wanted: HashMap::default(),
            trace_after: HashMap::default(),
            suspicion: Suspicion::default(),
            blackout: None,
            pass: None,
            shared,
        }
    }

    pub(crate) fn once(shared: Arc<Shared>) -> Self {
        Self { pass: Some(Progress::default()), ..Self::endless(shared) }
    }

    /// Works until cancelled.
    pub(crate) async fn run(mut self, cancel: &CancellationToken) {
        let shared = Arc::clone(&self.shared);
        let mut demands = shared.demanded.lock().await;
        let watch = self.shared.pool.watch_states();
        self.fill();
        if self.shared.controls.possible() {
            // What answers directly in good times is worth asking in bad ones.
            self.ask_controls();
        }
        loop {
            self.absorb(&watch);
            self.start();
            let pause = self.pause().map(|pause| pause.min(LONGEST_PAUSE));
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(done) = self.tasks.join_next_with_id() => self.collect(done),
                () = watch.changed() => {}
                demand = next_demand(&mut demands) => self.accept(demand),
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        }
        // Nobody waits for what will not come.
        while demands.try_recv().is_ok() {}
        self.tasks.shutdown().await;
        self.shared.metrics.running.set(0);
    }

    /// Works through all the nodes once.
    pub(crate) async fn sweep(
        mut self,
        cancel: &CancellationToken,
        mut progress: impl FnMut(&Progress) + Send,
    ) -> Progress {
        self.fill();
        let total = self.schedule.len();
        if let Some(pass) = &mut self.pass {
            pass.total = total;
        }
        while !(self.schedule.is_empty() && self.flights.is_empty()) {
            self.start();
            let pause = self.pause();
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(done) = self.tasks.join_next_with_id() => self.collect(done),
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
            if let Some(pass) = &self.pass {
                progress(pass);
            }
        }
        self.conclude(cancel).await;
        self.tasks.shutdown().await;
        self.shared.metrics.running.set(0);
        self.pass.unwrap_or_default()
    }

    /// Decides about what the guard still holds at the end of a pass.
    async fn conclude(&mut self, cancel: &CancellationToken) {
        if self.guard.held() == 0 || cancel.is_cancelled() {
            return;
        }
        let (before, now) = (self.guard.state(), self.now());
        let freed = if self.shared.controls.possible() {
            let found = ask(&self.shared).await;
            self.guard.control(found, now)
        } else {
            self.guard.conclude(now)
        };
        self.settle(before, freed, now);
    }

    /// Takes all the nodes of the pool into the schedule.
    fn fill(&mut self) {
        let (snapshot, now) = (self.shared.pool.snapshot(), self.now());
        for node in snapshot.nodes().filter(|node| node.unsupported().is_none()) {
            self.admit(node, now);
        }
    }

    fn admit(&mut self, node: &Outbound, now: Timestamp) {
        let mut subject = subject_of(node);
        if self.pass.is_some() {
            // A single pass waits for no dead node's pause.
            subject.last_checked = None;
        }
        self.schedule.upsert(node.id(), subject, now, rand::random());
        if self.wanted.contains_key(&node.id()) {
            self.schedule.demand(node.id(), now);
        }
    }

    /// Takes in what changed in the pool.
    fn absorb(&mut self, watch: &Watch) {
        let now = self.now();
        for touched in watch.take(CHANGES) {
            match self.shared.pool.node(touched.id) {
                Some(node) if node.unsupported().is_none() => {
                    if touched.kind == Touch::Added && self.schedule.contains(touched.id) {
                        self.replace(touched.id, &node);
                    }
                    self.admit(&node, now);
                    if touched.kind == Touch::Relisted {
                        self.schedule.hurry_one(touched.id, now, rand::random());
                    }
                }
                _ => self.drop_node(touched.id),
            }
        }
        self.shared.metrics.scheduled.set(as_gauge(self.schedule.len()));
    }

    /// A node that left and came back is another one: what is known about the old one does not hold.
    fn replace(&mut self, id: NodeId, node: &Outbound) {
        let flight = self.flights.values().find(|flight| flight.node.id() == id);
        if flight.is_none_or(|flight| !Arc::ptr_eq(&flight.node, node)) {
            self.drop_node(id);
        }
    }

    fn drop_node(&mut self, id: NodeId) {
        let running = self.schedule.is_running(id);
        self.schedule.remove(id);
        self.guard.forget(id);
        self.trace_after.remove(&id);
        self.suspicion.forget(id);
        if running {
            self.flights.values().filter(|flight| flight.node.id() == id).for_each(|flight| flight.abort.abort());
        }
        self.answer_dropped(id);
    }

    /// Starts what is due, within all the limits.
    fn start(&mut self) {
        let now = self.now();
        if self.guard.begin_check(now) {
            self.ask_controls();
        }
        self.watch_blackout(now);
        for (id, due) in self.schedule.take_planned() {
            if let Some(node) = self.shared.pool.node(id) {
                node.set_next_check(due);
            }
        }
        while self.flights.len() < self.room() && self.budget.has(now) {
            let Some(id) = self.schedule.next(now) else { break };
            let Some(node) = self.shared.pool.node(id).filter(|node| node.unsupported().is_none()) else {
                self.drop_node(id);
                continue;
            };
            self.budget.take();
            let shared = Arc::clone(&self.shared);
            let was_healthy = node.state() == State::Healthy;
            let probed = Arc::clone(&node);
            let abort = self.tasks.spawn(async move { Done::Checked(probe(&shared, &probed).await) });
            let run = self.schedule.run_of(id);
            let flight = Flight { node, run, started: now, was_healthy, latency: None, abort };
            self.flights.insert(flight.abort.id(), flight);
        }
        self.shared.metrics.running.set(as_gauge(self.flights.len()));
        self.shared.metrics.guard(self.guard.state());
    }

    /// While nothing works, a few dead nodes are tried before their time: the pauses of all may have grown long.
    fn watch_blackout(&mut self, now: Timestamp) {
        if self.pass.is_some() || self.schedule.is_empty() || self.shared.pool.snapshot().counts().routable() > 0 {
            self.blackout = None;
            return;
        }
        let pause = self.shared.config.suspect_interval;
        let blackout = self.blackout.get_or_insert(Blackout { since: now, next_try: now.after(pause) });
        if now >= blackout.next_try {
            blackout.next_try = now.after(pause);
            self.schedule.advance(CANARIES, now);
        }
    }

    fn room(&self) -> usize {
        let most = self.shared.config.concurrency.max(1);
        let outage = self.guard.state() == GuardState::Outage && self.pass.is_none();
        if outage { most.min(CANARIES) } else { most }
    }

    fn ask_controls(&mut self) {
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move { Done::Control(ask(&shared).await) });
    }

    /// How long nothing can be started; `None` until something else happens.
    fn pause(&self) -> Option<Duration> {
        let now = self.now();
        let next = (self.flights.len() < self.room()).then(|| self.schedule.due(now)).flatten();
        let probe = next.map(|due| due.since(now).max(self.budget.wait()));
        let check = self.guard.next_check().map(|due| due.since(now));
        let blackout = self.blackout.map(|blackout| blackout.next_try.since(now));
        probe.into_iter().chain(check).chain(blackout).min()
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }
}

fn subject_of(node: &Node<Payload>) -> Subject {
    let record = node.record();
    Subject {
        server: (!node.on_loopback()).then(|| node.server_key()),
        state: record.state,
        failures: record.failures,
        last_checked: record.last_checked,
    }
}

fn as_gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
