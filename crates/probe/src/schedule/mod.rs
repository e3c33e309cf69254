//! Which node is probed next, and when: no task and no timer per node, and no clock of its own.

mod expedite;
mod ready_queues;
mod saved_probes;
mod table;

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use hezar_core::{NodeId, ServerKey, Timestamp};
use hezar_pool::State;

use crate::{
    host_limits::{HostLimits, HostResponse},
    intervals::{Intervals, NodeHealth, fraction},
};
use ready_queues::{ReadyNode, ReadyQueues};
use saved_probes::SavedProbes;
use table::{NodeTable, ScheduledNode, Slot};

/// How a probe ended, for the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeEnd {
    /// The node was judged: this is its state now, and its failures in a row.
    Decided(State, u32),
    /// The probe says nothing about the node (our own fault, or the verdict is held back).
    Inconclusive,
    /// The same, and it would say something now: the node is due again at once.
    Retry,
}

/// The schedule. Nodes that somebody asked for go first, then healthy nodes, then suspects, new ones and dead ones; a node
/// that has waited for a whole interval gets every second turn, so that nobody starves.
#[derive(Debug)]
pub struct Schedule {
    intervals: Intervals,
    entries: NodeTable,
    /// Nodes whose time has not come, the earliest on top. An item whose stamp is not the entry's is stale.
    waiting: BinaryHeap<Reverse<(Timestamp, u32, Slot)>>,
    /// Nodes whose time has come.
    ready: ReadyQueues,
    /// The hosts, with the nodes whose time has come and that wait for their host.
    servers: HostLimits<ReadyNode>,
    running: usize,
    /// The last number given to a place in a queue. It wraps: nothing stays in a queue for four billion of them.
    stamps: u32,
    saved: SavedProbes,
    /// Whether few nodes work.
    scarce: bool,
    /// Times that were set since they were last taken, for whoever shows them.
    planned: Vec<(NodeId, Timestamp)>,
}

/// The pause of a dead node that may be back, as a share of an interval, while saved probes last.
const SAVED_PAUSE: f32 = 0.4;
/// For so long the probes are spread of nodes that another prober should have probed by now.
const OVERDUE_SPREAD: Duration = Duration::from_secs(2);
/// With fewer routable nodes than this, nodes that flap are probed as often as others: they are a good part of what there is.
const SCARCE: usize = 32;

impl Schedule {
    /// An empty schedule.
    #[must_use]
    pub fn new(intervals: Intervals) -> Self {
        Self {
            servers: HostLimits::new(intervals.per_host, intervals.per_host_per_second),
            intervals,
            entries: NodeTable::default(),
            waiting: BinaryHeap::new(),
            ready: ReadyQueues::default(),
            running: 0,
            stamps: 0,
            saved: SavedProbes::default(),
            scarce: false,
            planned: Vec::new(),
        }
    }

    /// The number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of nodes being probed.
    #[must_use]
    pub const fn running(&self) -> usize {
        self.running
    }

    /// Takes note of how many nodes are routable.
    pub const fn note_routable(&mut self, count: usize) {
        self.scarce = count < SCARCE;
    }

    /// Whether a node is in the schedule.
    #[must_use]
    pub fn contains(&self, id: NodeId) -> bool {
        self.entries.slot_of(id).is_some()
    }

    /// Whether a node is being probed.
    #[must_use]
    pub fn is_running(&self, id: NodeId) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.running)
    }

    /// The number of a node's running probe. A node that is removed and added again while its probe runs is another
    /// one: the old probe's number is not its own.
    #[must_use]
    pub fn run_of(&self, id: NodeId) -> Option<u32> {
        self.entries.get(id).filter(|entry| entry.running).map(|entry| entry.stamp)
    }

    /// The last failure of a node's present streak that a probe saw.
    #[must_use]
    pub fn failed_last(&self, id: NodeId) -> Option<Timestamp> {
        self.entries.get(id)?.failed_last()
    }

    /// Adds a node, or takes note of a change. A new one is due now, except a dead one whose pause is not over; one
    /// that became suspect by itself (by its traffic) is due now too. `random` decides the jitter.
    pub fn upsert(&mut self, id: NodeId, health: NodeHealth, now: Timestamp, random: u64) {
        let Some(slot) = self.entries.slot_of(id) else { return self.insert(id, &health, now, random) };
        let Some(entry) = self.entries.at_mut(slot) else { return };
        let changed = entry.state != health.state;
        entry.set_health(&health, now, self.intervals.interval);
        if !changed {
            return;
        }
        if entry.running {
            entry.expedite = health.state == State::Suspect;
        } else if health.state == State::Suspect {
            entry.misses = 0;
            self.queue(slot, None, now);
        }
    }

    /// The same for a node that another prober has probed before: a new one is due when it was due there. Of those whose time
    /// has passed, all are due within two seconds.
    pub fn take_over(&mut self, id: NodeId, health: NodeHealth, now: Timestamp, random: u64) {
        if self.contains(id) {
            return self.upsert(id, health, now, random);
        }
        // A time that has not come yet is none: the clock was wrong when it was noted.
        let last = health.last_checked.filter(|last| *last <= now);
        let due = last.map(|last| last.after(self.intervals.pause(&health, false, 0, random)));
        let spread = now.after(OVERDUE_SPREAD.mul_f32(fraction(random)));
        let due = due.map(|due| if due > now { due } else { spread });
        let slot = self.entries.insert(ScheduledNode::new(id, &health, now));
        self.queue(slot, due.filter(|due| *due > now), now);
    }

    fn insert(&mut self, id: NodeId, health: &NodeHealth, now: Timestamp, random: u64) {
        let due = match health.state {
            // A time that has not come yet is none: the clock was wrong when it was noted.
            State::Dead => {
                health.last_checked.map(|at| at.min(now).after(self.intervals.pause(health, false, 0, random)))
            }
            _ => None,
        };
        let slot = self.entries.insert(ScheduledNode::new(id, health, now));
        self.queue(slot, due.filter(|due| *due > now), now);
    }

    /// Forgets a node. If it is being probed, [`Schedule::finish`] must still be called.
    pub fn remove(&mut self, id: NodeId) {
        let Some(entry) = self.entries.remove(id) else { return };
        if entry.running {
            self.free(entry.server());
        }
    }

    /// The most urgent node whose time has come and whose server is not busy; it counts as running from now on.
    pub fn next(&mut self, now: Timestamp) -> Option<NodeId> {
        self.next_unless_used(now, |_| None)
    }

    /// The same, but the probe of a healthy node is put off when the node has worked for a client since its last probe;
    /// `last_success` says when a node last worked. Each node is still probed once in a few intervals.
    pub fn next_unless_used(
        &mut self,
        now: Timestamp,
        last_success: impl Fn(NodeId) -> Option<Timestamp>,
    ) -> Option<NodeId> {
        self.wake(now);
        loop {
            let ready = self.ready.pop(&self.entries, now, self.intervals.interval)?;
            let Some(entry) = self.entries.at_mut(ready.slot).filter(|e| e.stamp == ready.stamp && !e.running) else {
                // It has left its place since it was let go: the next one that waits for the same host has its turn.
                if let Some(host) = ready.waited_for() {
                    self.unpark(host);
                }
                continue;
            };
            if let Some(due) = entry.put_off_until(last_success(entry.id), now, self.intervals.interval) {
                self.put_off(ready, due, now);
                continue;
            }
            let urgent = entry.demanded || ready.waited_for().is_some();
            if let Some(host) = entry.server()
                && self.servers.start(host, ready, urgent, now).is_none()
            {
                continue;
            }
            (entry.running, entry.due) = (true, now);
            entry.demanded = false;
            self.running += 1;
            return Some(entry.id);
        }
    }

    /// Notes what a probe that is still running showed about the node's host.
    pub fn note_answer(&mut self, id: NodeId, answer: HostResponse) {
        let host = self.entries.get(id).filter(|entry| entry.running).and_then(ScheduledNode::server);
        if let Some(host) = host {
            self.servers.note(host, answer);
        }
    }

    /// Notes the end of a node's probe and plans the next one.
    pub fn finish(&mut self, id: NodeId, ended: ProbeEnd, now: Timestamp, random: u64) {
        let Some(slot) = self.entries.slot_of(id) else { return };
        let Some(entry) = self.entries.at_mut(slot).filter(|entry| entry.running) else { return };
        entry.running = false;
        match ended {
            ProbeEnd::Decided(state, failures) => entry.set_decided(state, failures, now, self.intervals.interval),
            ProbeEnd::Inconclusive => entry.misses = entry.misses.saturating_add(1),
            ProbeEnd::Retry => entry.expedite = true,
        }
        let expedite = std::mem::take(&mut entry.expedite);
        let server = entry.server();
        let next = if expedite { now } else { self.next_after(slot, now, random) };
        self.free(server);
        self.queue(slot, Some(next), now);
    }

    /// Puts off the probe of a node that clients' requests have shown to work.
    fn put_off(&mut self, ready: ReadyNode, due: Timestamp, now: Timestamp) {
        self.saved.add(due.since(now).div_duration_f32(self.intervals.interval));
        self.queue(ready.slot, Some(due), now);
        if let Some(host) = ready.waited_for() {
            self.unpark(host);
        }
    }

    /// When a node is due again whose probe has ended. The pause of a dead one counts from the beginning of the probe, most of
    /// which a silent node spends in silence.
    fn next_after(&mut self, slot: Slot, now: Timestamp, random: u64) -> Timestamp {
        let pause = self.pause_after(slot, now, random);
        let dead = self.entries.at(slot).filter(|entry| entry.state == State::Dead);
        let from_start = dead.map(|entry| entry.due.after(pause).max(now.after(pause / 8)));
        from_start.unwrap_or_else(|| now.after(pause))
    }

    /// The pause after a probe. Saved probes make that of a dead node that may be back shorter.
    fn pause_after(&mut self, slot: Slot, now: Timestamp, random: u64) -> Duration {
        let Some(entry) = self.entries.at(slot) else { return Duration::ZERO };
        let (interval, flaps) = (self.intervals.interval, entry.flaps() && !self.scarce);
        let pause = self.intervals.pause(&entry.health(), flaps, u32::from(entry.misses), random);
        let sooner = self.intervals.vary(interval.mul_f32(SAVED_PAUSE), random);
        if entry.misses > 0 || flaps || pause <= sooner || !entry.may_return(now, interval) {
            return pause;
        }
        if self.saved.try_take(1.0 - sooner.div_duration_f32(pause)) { sooner } else { pause }
    }

    /// Takes the times at which nodes are due, as far as they changed since the last call; later ones count.
    pub fn take_planned(&mut self) -> Vec<(NodeId, Timestamp)> {
        std::mem::take(&mut self.planned)
    }

    /// When [`Schedule::next`] should be asked again: at once (`now`), at a time, or only after a probe ended or a
    /// node was added.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.ready.is_empty() {
            return Some(now);
        }
        let waiting = self.waiting.peek().map(|Reverse((due, ..))| *due);
        waiting.into_iter().chain(self.servers.next_alarm()).min()
    }

    /// Puts a node where it will be found at `due`; any earlier place becomes stale.
    fn queue(&mut self, slot: Slot, due: Option<Timestamp>, now: Timestamp) {
        self.stamps = self.stamps.wrapping_add(1);
        let Some(entry) = self.entries.at_mut(slot) else { return };
        entry.stamp = self.stamps;
        // Nobody waits longer than the longest pause, whatever the clock did.
        let due = due.map(|due| due.min(now.after(self.intervals.longest())));
        entry.due = due.unwrap_or(now).max(now);
        self.planned.push((entry.id, entry.due));
        match due {
            Some(due) if due > now => self.waiting.push(Reverse((due, self.stamps, slot))),
            _ => self.ready.push_back(entry, ReadyNode::new(slot, self.stamps)),
        }
    }

    /// Moves the nodes whose time has come.
    fn wake(&mut self, now: Timestamp) {
        while let Some(host) = self.servers.take_due_alarm(now) {
            self.unpark(host);
        }
        while let Some(Reverse((due, stamp, slot))) = self.waiting.peek().copied() {
            if due > now {
                return;
            }
            self.waiting.pop();
            if let Some(entry) = self.entries.at(slot).filter(|entry| entry.stamp == stamp) {
                self.ready.push_back(entry, ReadyNode::new(slot, stamp));
            }
        }
    }

    /// A probe to this server is over: one that waited for it may go.
    fn free(&mut self, server: Option<ServerKey>) {
        self.running = self.running.saturating_sub(1);
        if let Some(host) = server
            && self.servers.end(host)
        {
            self.unpark(host);
        }
    }

    /// Lets one node that waited for its host try again.
    fn unpark(&mut self, host: ServerKey) {
        while let Some(ready) = self.servers.next_parked(host) {
            if let Some(entry) = self.entries.at(ready.slot).filter(|entry| entry.stamp == ready.stamp) {
                self.ready.push_front(entry, ReadyNode { host, ..ready });
                return;
            }
        }
    }
}
