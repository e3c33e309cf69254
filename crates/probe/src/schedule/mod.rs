//! Which node is probed next, and when: no task and no timer per node, and no clock of its own.

mod saved_probes;
mod table;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use hezar_core::{NodeId, ServerKey, Timestamp};
use hezar_pool::State;

use crate::{
    host_limits::{HostLimits, HostResponse},
    intervals::{Intervals, NodeHealth, fraction},
};
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

/// The order of urgency among nodes whose time has come.
const RANKS: usize = 5;

const fn rank(entry: &ScheduledNode) -> usize {
    match entry.state {
        _ if entry.demanded => 0,
        State::Healthy => 1,
        State::Suspect => 2,
        State::New => 3,
        State::Dead => 4,
    }
}

/// The schedule. Nodes that somebody asked for go first, then healthy nodes, then suspects, new ones and dead ones; a node
/// that has waited for a whole interval gets every second turn, so that nobody starves.
#[derive(Debug)]
pub struct Schedule {
    intervals: Intervals,
    entries: NodeTable,
    /// Nodes whose time has not come, the earliest on top. An item whose stamp is not the entry's is stale.
    waiting: BinaryHeap<Reverse<(Timestamp, u32, Slot)>>,
    /// Nodes whose time has come, by rank.
    ready: [VecDeque<ReadyNode>; RANKS],
    /// The hosts, with the nodes whose time has come and that wait for their host.
    servers: HostLimits<ReadyNode>,
    running: usize,
    /// The last number given to a place in a queue. It wraps: nothing stays in a queue for four billion of them.
    stamps: u32,
    turn: bool,
    saved: SavedProbes,
    /// Whether few nodes work.
    scarce: bool,
    /// Times that were set since they were last taken, for whoever shows them.
    planned: Vec<(NodeId, Timestamp)>,
}

/// The room that an empty queue keeps.
const QUEUE_ROOM: usize = 64;
/// The pause of a dead node that may be back, as a share of an interval, while saved probes last.
const SAVED_PAUSE: f32 = 0.4;
/// With fewer routable nodes than this, nodes that flap are probed as often as others: they are a good part of what there is.
const SCARCE: usize = 32;

/// A place in a queue. A million nodes may be due at once.
#[derive(Clone, Copy, Debug)]
struct ReadyNode {
    slot: Slot,
    stamp: u32,
    /// The host for which it has waited already; key 0 = none.
    host: ServerKey,
}

const _: () = assert!(size_of::<ReadyNode>() <= 16);

impl ReadyNode {
    const fn new(slot: Slot, stamp: u32) -> Self {
        Self { slot, stamp, host: ServerKey(0) }
    }

    fn waited_for(self) -> Option<ServerKey> {
        Some(self.host).filter(|host| host.0 != 0)
    }
}

impl Schedule {
    /// An empty schedule.
    #[must_use]
    pub fn new(intervals: Intervals) -> Self {
        Self {
            servers: HostLimits::new(intervals.per_host, intervals.per_host_per_second),
            intervals,
            entries: NodeTable::default(),
            waiting: BinaryHeap::new(),
            ready: std::array::from_fn(|_| VecDeque::new()),
            running: 0,
            stamps: 0,
            turn: false,
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

    /// Makes a node due now and the first in line, unless its probe runs already; says whether it is in the schedule.
    pub fn demand(&mut self, id: NodeId, now: Timestamp) -> bool {
        let Some(slot) = self.entries.slot_of(id) else { return false };
        if let Some(entry) = self.entries.at_mut(slot).filter(|entry| !entry.running) {
            entry.demanded = true;
            self.queue(slot, None, now);
        }
        true
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
            let ready = self.pop(now)?;
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

    /// Brings forward the dead nodes that `fits` names: after a time without any working node the first success says
    /// that the others may be back too. They are spread over one interval.
    pub fn expedite_dead(&mut self, now: Timestamp, fits: impl Fn(NodeId) -> bool, mut random: impl FnMut() -> u64) {
        let dead = self.entries.iter().filter(|(_, entry)| !entry.running && entry.state == State::Dead);
        let dead: Vec<_> = dead.filter(|(_, entry)| fits(entry.id)).map(|(slot, _)| slot).collect();
        for slot in dead {
            let within = self.intervals.interval.mul_f32(fraction(random()));
            self.queue(slot, Some(now.after(within)), now);
        }
    }

    /// Brings a dead node forward because somebody says that it works: it is looked at within one interval.
    pub fn expedite_one(&mut self, id: NodeId, now: Timestamp, random: u64) {
        let soon = now.after(self.intervals.interval.mul_f32(fraction(random)));
        let Some(slot) = self.entries.slot_of(id) else { return };
        let waits = |entry: &ScheduledNode| !entry.running && entry.state == State::Dead && entry.due > soon;
        if self.entries.at(slot).is_some_and(waits) {
            self.queue(slot, Some(soon), now);
        }
    }

    /// Brings forward the nodes whose last probe proved nothing: now it will. They are spread a little.
    pub fn expedite_undecided(&mut self, now: Timestamp, mut random: impl FnMut() -> u64) {
        let within = self.intervals.suspect.min(self.intervals.interval) / 4;
        let mut unproven = Vec::new();
        for (slot, entry) in self.entries.iter_mut().filter(|(_, entry)| entry.misses > 0) {
            entry.misses = 0;
            if !entry.running {
                unproven.push(slot);
            }
        }
        for slot in unproven {
            self.queue(slot, Some(now.after(within.mul_f32(fraction(random())))), now);
        }
    }

    /// Makes the next `count` nodes due whose pause would end first.
    pub fn advance(&mut self, count: usize, now: Timestamp) {
        let mut left = count;
        while left > 0 {
            let Some(Reverse((_, stamp, slot))) = self.waiting.pop() else { return };
            if self.entries.at(slot).is_some_and(|entry| entry.stamp == stamp) {
                self.queue(slot, None, now);
                left -= 1;
            }
        }
    }

    /// Takes the times at which nodes are due, as far as they changed since the last call; later ones count.
    pub fn take_planned(&mut self) -> Vec<(NodeId, Timestamp)> {
        std::mem::take(&mut self.planned)
    }

    /// When [`Schedule::next`] should be asked again: at once (`now`), at a time, or only after a probe ended or a
    /// node was added.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<Timestamp> {
        if self.ready.iter().any(|queue| !queue.is_empty()) {
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
            _ => self.ready[rank(entry)].push_back(ReadyNode::new(slot, self.stamps)),
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
                self.ready[rank(entry)].push_back(ReadyNode::new(slot, stamp));
            }
        }
    }

    fn pop(&mut self, now: Timestamp) -> Option<ReadyNode> {
        self.turn = !self.turn;
        let overdue = if self.turn { self.longest_overdue(now) } else { None };
        let rank = overdue.or_else(|| self.ready.iter().position(|queue| !queue.is_empty()))?;
        let queue = self.ready.get_mut(rank)?;
        let popped = queue.pop_front();
        if queue.is_empty() {
            // After a large change the room is given back.
            queue.shrink_to(QUEUE_ROOM);
        }
        popped
    }

    /// The rank whose first node has waited longest, if that is more than an interval. A place that its node has left counts as the
    /// oldest, so that it does not hide those behind it.
    fn longest_overdue(&self, now: Timestamp) -> Option<usize> {
        let since = |ready: &ReadyNode| {
            let entry = self.entries.at(ready.slot).filter(|entry| entry.stamp == ready.stamp);
            entry.map_or(Timestamp(0), |entry| entry.due)
        };
        let fronts = self.ready.iter().enumerate().filter_map(|(rank, queue)| Some((since(queue.front()?), rank)));
        let overdue = fronts.filter(|(since, _)| now.since(*since) > self.intervals.interval);
        overdue.min().map(|(_, rank)| rank)
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
                self.ready[rank(entry)].push_front(ReadyNode { host, ..ready });
                return;
            }
        }
    }
}
