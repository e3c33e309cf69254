//! How fast each server host may be probed: so many probes at a time, so many a second, and hardly any while nothing
//! there answers. Lists come from strangers, and one that names every port of a host must not make a scanner of us.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    time::Duration,
};

use hezar_core::{ServerKey, Timestamp};

use crate::token_bucket::TokenBucket;

/// Probes in a row without an answer after which a host rests between two probes.
pub(crate) const SILENT: u32 = 16;
/// The first rest; it doubles with every further [`SILENT`] probes.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// Hosts beyond which those of which nothing is to be remembered are cleared away.
const FEW: usize = 1024;

/// What is known about one host.
#[derive(Debug)]
struct HostState<T> {
    running: usize,
    /// What waits for its turn here.
    parked: VecDeque<T>,
    starts: TokenBucket,
    /// Probes without an answer, less those with one.
    silent: u32,
    rests_until: Timestamp,
    /// Whether a time is set at which one of the parked may try again.
    alarm: bool,
}

/// All hosts; `T` is what waits.
#[derive(Debug)]
pub(crate) struct HostLimits<T> {
    at_a_time: usize,
    per_second: u32,
    known: HashMap<ServerKey, HostState<T>, ahash::RandomState>,
    alarms: BinaryHeap<Reverse<(Timestamp, ServerKey)>>,
    /// The number of hosts at which the table is cleared next.
    clear_at: usize,
}

impl<T> HostState<T> {
    /// The time from which on the next probe may start; `None` when it has to wait for the end of another one.
    fn free_at(&mut self, at_a_time: usize, now: Timestamp) -> Option<Timestamp> {
        if self.running >= at_a_time {
            return None;
        }
        let token = if self.starts.has(now) { now } else { now.after(self.starts.wait()) };
        Some(token.max(self.rests_until))
    }

    fn rest(&self) -> Duration {
        match self.silent.checked_sub(SILENT) {
            None => Duration::ZERO,
            Some(beyond) => FIRST_REST.saturating_mul(1 << (beyond / SILENT).min(10)).min(LONGEST_REST),
        }
    }

    fn forgettable(&mut self, now: Timestamp) -> bool {
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

    /// Counts the start of a probe at a host and gives `item` back, or keeps it until the host is free; an urgent one waits
    /// in front of the others.
    pub(crate) fn start(&mut self, host: ServerKey, item: T, urgent: bool, now: Timestamp) -> Option<T> {
        self.clear(now);
        let per_second = self.per_second;
        let server = self.known.entry(host).or_insert_with(|| HostState {
            running: 0,
            parked: VecDeque::new(),
            starts: TokenBucket::new(per_second, now),
            silent: 0,
            rests_until: Timestamp(0),
            alarm: false,
        });
        let started = server.free_at(self.at_a_time, now).is_some_and(|free| free <= now);
        let mut item = Some(item);
        if started {
            server.starts.take();
            server.running += 1;
            server.rests_until = now.after(server.rest());
        } else if urgent {
            server.parked.extend(item.take());
            server.parked.rotate_right(1);
        } else {
            server.parked.extend(item.take());
        }
        // Who waits for a time, and not for the end of a probe, is woken by an alarm.
        if let Some(free) = server.free_at(self.at_a_time, now).filter(|_| !server.alarm && !server.parked.is_empty()) {
            server.alarm = true;
            self.alarms.push(Reverse((free, host)));
        }
        item
    }

    /// Counts the end of a probe; says whether one that waits there may try, as no alarm will wake it.
    pub(crate) fn end(&mut self, host: ServerKey) -> bool {
        let Some(server) = self.known.get_mut(&host) else { return false };
        server.running = server.running.saturating_sub(1);
        !server.alarm
    }

    /// Takes what has waited longest at a host, to try again.
    pub(crate) fn next_parked(&mut self, host: ServerKey) -> Option<T> {
        self.known.get_mut(&host)?.parked.pop_front()
    }

    /// Notes whether a probe at a host was answered, by whatever; a success settles all doubts.
    pub(crate) fn note(&mut self, host: ServerKey, answer: HostResponse) {
        let Some(server) = self.known.get_mut(&host) else { return };
        server.silent = match answer {
            HostResponse::Works => 0,
            HostResponse::Speaks => server.silent / 2,
            HostResponse::Silent => server.silent.saturating_add(1),
        };
        if server.silent < SILENT {
            server.rests_until = Timestamp(0);
            // The alarm may have been set for the end of a long rest.
            server.alarm = false;
        }
    }

    /// The hosts whose alarm is over, one after the other.
    pub(crate) fn woken(&mut self, now: Timestamp) -> Option<ServerKey> {
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

    /// When the next alarm is over.
    pub(crate) fn next_alarm(&self) -> Option<Timestamp> {
        self.alarms.peek().map(|Reverse((at, _))| *at)
    }

    fn clear(&mut self, now: Timestamp) {
        if self.known.len() >= self.clear_at {
            self.known.retain(|_, server| !server.forgettable(now));
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
