//! Limits how fast each server host is probed: the probes at a time, the probes a second, and few of either while nothing
//! there answers. Anybody can publish a list that names every port of a host; it must not make a port scanner of us.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    time::Duration,
};

use hezar_core::{ServerKey, Timestamp};

use crate::token_bucket::TokenBucket;

/// After so many probes in a row without an answer, the host is probed with pauses.
pub(crate) const SILENT: u32 = 16;
/// The first pause; it doubles with every further [`SILENT`] probes, up to the longest one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// With more hosts than this, those whose state is the initial one are removed from the table.
const FEW: usize = 1024;

/// What is known about one host.
#[derive(Debug)]
struct HostState<T> {
    running: usize,
    /// The probes that wait until the host may be probed.
    parked: VecDeque<T>,
    starts: TokenBucket,
    /// Probes without an answer; answers make it smaller.
    silent: u32,
    /// No probe starts before.
    paused_until: Timestamp,
    /// Whether `alarms` has an entry at which one of the parked probes is tried again.
    alarm: bool,
}

/// The limits of all hosts; `T` is a probe that waits.
#[derive(Debug)]
pub(crate) struct HostLimits<T> {
    at_a_time: usize,
    per_second: u32,
    known: HashMap<ServerKey, HostState<T>, ahash::RandomState>,
    alarms: BinaryHeap<Reverse<(Timestamp, ServerKey)>>,
    /// The number of hosts at which hosts are removed from the table next.
    clear_at: usize,
}

impl<T> HostState<T> {
    /// The time from which on the next probe may start; `None` when it has to wait for the end of another one.
    fn free_at(&mut self, at_a_time: usize, now: Timestamp) -> Option<Timestamp> {
        if self.running >= at_a_time {
            return None;
        }
        let token = if self.starts.has(now) { now } else { now.after(self.starts.wait()) };
        Some(token.max(self.paused_until))
    }

    /// The pause after a probe.
    fn pause(&self) -> Duration {
        match self.silent.checked_sub(SILENT) {
            None => Duration::ZERO,
            Some(beyond) => FIRST_PAUSE.saturating_mul(1 << (beyond / SILENT).min(10)).min(LONGEST_PAUSE),
        }
    }

    /// Whether its state is the initial one, so that it need not be kept.
    fn is_forgettable(&mut self, now: Timestamp) -> bool {
        self.running == 0 && self.parked.is_empty() && self.silent < SILENT / 2 && self.starts.is_full(now)
    }
}

impl<T> HostLimits<T> {
    /// No hosts yet; `per_second` = 0 means that starts are not limited.
    pub(crate) fn new(at_a_time: usize, per_second: u32) -> Self {
        Self {
            at_a_time: at_a_time.max(1),
            per_second,
            known: HashMap::default(),
            alarms: BinaryHeap::new(),
            clear_at: FEW,
        }
    }

    /// Returns `item` when its probe may start now, which is counted; else keeps it until the host may be probed. An urgent
    /// one waits in front of the others.
    pub(crate) fn start(&mut self, host: ServerKey, item: T, urgent: bool, now: Timestamp) -> Option<T> {
        self.remove_forgettable(now);
        let per_second = self.per_second;
        let server = self.known.entry(host).or_insert_with(|| HostState {
            running: 0,
            parked: VecDeque::new(),
            starts: TokenBucket::new(per_second, now),
            silent: 0,
            paused_until: Timestamp(0),
            alarm: false,
        });
        let started = server.free_at(self.at_a_time, now).is_some_and(|free| free <= now);
        let mut item = Some(item);
        if started {
            server.starts.take();
            server.running += 1;
            server.paused_until = now.after(server.pause());
        } else if urgent {
            server.parked.extend(item.take());
            server.parked.rotate_right(1);
        } else {
            server.parked.extend(item.take());
        }
        // A probe that waits for a time, and not for the end of another probe, is woken by an alarm.
        if let Some(free) = server.free_at(self.at_a_time, now).filter(|_| !server.alarm && !server.parked.is_empty()) {
            server.alarm = true;
            self.alarms.push(Reverse((free, host)));
        }
        item
    }

    /// Counts the end of a probe. Returns whether a parked probe may be tried now, because no alarm is set that does it.
    pub(crate) fn end(&mut self, host: ServerKey) -> bool {
        let Some(server) = self.known.get_mut(&host) else { return false };
        server.running = server.running.saturating_sub(1);
        !server.alarm
    }

    /// Takes the probe that has waited longest at a host, to try it again.
    pub(crate) fn next_parked(&mut self, host: ServerKey) -> Option<T> {
        self.known.get_mut(&host)?.parked.pop_front()
    }

    /// Notes whether something answered a probe at a host; a success ends its pauses.
    pub(crate) fn note(&mut self, host: ServerKey, answer: HostResponse) {
        let Some(server) = self.known.get_mut(&host) else { return };
        server.silent = match answer {
            HostResponse::Works => 0,
            HostResponse::Speaks => server.silent / 2,
            HostResponse::Silent => server.silent.saturating_add(1),
        };
        if server.silent < SILENT {
            server.paused_until = Timestamp(0);
            // The alarm may have been set for the end of a long pause.
            server.alarm = false;
        }
    }

    /// Takes the next host whose alarm time has come; its parked probes are to be tried again.
    pub(crate) fn take_due_alarm(&mut self, now: Timestamp) -> Option<ServerKey> {
        let Reverse((at, host)) = *self.alarms.peek()?;
        if at > now {
            return None;
        }
        self.alarms.pop();
        if let Some(server) = self.known.get_mut(&host) {
            server.alarm = false;
        }
        Some(host)
    }

    /// The time of the next alarm.
    pub(crate) fn next_alarm(&self) -> Option<Timestamp> {
        self.alarms.peek().map(|Reverse((at, _))| *at)
    }

    fn remove_forgettable(&mut self, now: Timestamp) {
        if self.known.len() >= self.clear_at {
            self.known.retain(|_, server| !server.is_forgettable(now));
            self.clear_at = (2 * self.known.len()).max(FEW);
        }
    }
}

/// What a probe showed about the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostResponse {
    /// A node there works.
    Works,
    /// Something there answers.
    Speaks,
    /// Nothing answered.
    Silent,
}
