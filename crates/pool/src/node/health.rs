//! What a node's health is, and how evidence changes it.

use std::{
    sync::atomic::Ordering::{Acquire, Relaxed, Release},
    time::Duration,
};

use hezar_core::{Code, ExitKey, Timestamp};

use super::{Node, facts::Observed, micros};
use crate::{
    Hearsay, Quarantine, Rules, State,
    outcome::{Origin, Outcome},
};

/// Set in the phase of a node that an operator keeps whatever happens.
pub(super) const PINNED: u8 = 64;
/// Set in the phase of a node that an operator has switched off.
pub(super) const DISABLED: u8 = 32;
/// Set in the phase of a node that was caught tampering.
pub(super) const QUARANTINED: u8 = 16;
/// Set in the phase of a node that has left the pool.
const GONE: u8 = 8;
/// Set in the phase of a node that no dialer can be built for.
const UNSUPPORTED: u8 = 4;

/// What a node is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Ordinary(State),
    Disabled,
    Unsupported,
    Quarantined,
}

impl Class {
    /// Whether such a node may carry client traffic.
    pub(crate) const fn is_routable(self) -> bool {
        matches!(self, Self::Ordinary(state) if state.routable())
    }
}

/// The most that one failure weighs in the error rate.
const ONE_FAILURE: f32 = 0.2;

impl<D> Node<D> {
    /// Its health.
    #[must_use]
    pub fn state(&self) -> State {
        State::from_number(self.phase.load(Acquire))
    }

    /// Whether it may carry client traffic now.
    #[must_use]
    pub fn routable(&self) -> bool {
        let phase = self.phase.load(Acquire);
        phase & (GONE | UNSUPPORTED | QUARANTINED | DISABLED) == 0 && State::from_number(phase).routable()
    }

    /// Whether it has left the pool (someone may still hold it).
    #[must_use]
    pub fn gone(&self) -> bool {
        self.phase.load(Acquire) & GONE != 0
    }

    /// The code that says why no dialer can be built for it.
    #[must_use]
    pub fn unsupported(&self) -> Option<Code> {
        if self.phase.load(Acquire) & UNSUPPORTED == 0 { None } else { self.facts().unsupported() }
    }

    /// Why it carries no traffic whatever its health, if it was caught tampering.
    #[must_use]
    pub fn quarantine(&self) -> Option<Quarantine> {
        if self.phase.load(Acquire) & QUARANTINED == 0 { None } else { self.facts().quarantine() }
    }

    /// What it is counted under.
    pub(crate) fn class(&self) -> Class {
        let phase = self.phase.load(Acquire);
        match phase {
            _ if phase & DISABLED != 0 => Class::Disabled,
            _ if phase & UNSUPPORTED != 0 => Class::Unsupported,
            _ if phase & QUARANTINED != 0 => Class::Quarantined,
            _ => Class::Ordinary(State::from_number(phase)),
        }
    }

    /// The smoothed duration of a probe through it.
    #[must_use]
    pub fn latency(&self) -> Option<Duration> {
        self.latency.get().map(|us| Duration::from_micros(us as u64))
    }

    /// The smoothed speed of clients' transfers through it in bytes a second, while bytes were moving; `None` while it has moved
    /// little. A slow client or target makes it less than what the node can.
    #[must_use]
    pub fn throughput(&self) -> Option<f32> {
        self.throughput.get()
    }

    /// Takes in the speed of one transfer, in bytes a second.
    pub(crate) fn record_throughput(&self, bytes_per_sec: f32, now: Timestamp) {
        self.throughput.record(bytes_per_sec, now);
    }

    /// The smoothed share of failures, 0 to 1.
    #[must_use]
    pub fn error_rate(&self) -> f32 {
        self.errors.get().unwrap_or(0.0)
    }

    /// The latency in µs by which it is compared with others; a suspect counts as four times slower.
    pub(crate) fn weighed_latency(&self) -> u32 {
        let Some(latency) = self.latency.get() else { return u32::MAX };
        let factor = if self.state() == State::Suspect { 4.0 } else { 1.0 };
        // Float to integer casts saturate; the top value is kept for "unknown".
        ((latency * factor) as u32).min(u32::MAX - 1)
    }

    pub(crate) fn set_placed_latency(&self, micros: u32) {
        self.placed_latency.store(micros, Relaxed);
    }

    /// Whether the latency has moved by more than an eighth from where the views hold the node.
    pub(super) fn drifted(&self) -> bool {
        let (placed, now) = (self.placed_latency.load(Relaxed), self.weighed_latency());
        placed.abs_diff(now) > placed.min(now) / 8
    }

    /// Whether it is left alone for a moment after a failure.
    #[must_use]
    pub fn resting(&self, now: Timestamp) -> bool {
        self.circuit.resting(now)
    }

    /// Leaves it alone for a moment.
    pub(crate) fn rest(&self, now: Timestamp) {
        self.circuit.rest(now);
    }

    /// Asks its circuit for permission: after a rest only one may try it.
    pub(crate) fn admit(&self, now: Timestamp) -> bool {
        self.circuit.admit(now)
    }

    /// The time of its last success, in ms; 0 = it never worked.
    pub(crate) fn last_success(&self) -> u64 {
        self.last_success.load(Relaxed)
    }

    /// Takes in one piece of evidence.
    pub(crate) fn observe(&self, outcome: &Outcome, now: Timestamp, rules: &Rules) -> Observed {
        let mut facts = self.facts();
        let before = self.state();
        let (country, exit) = (self.country(), self.exit.load(Relaxed));
        let was_judged = facts.last_checked().is_some();
        let Some(after) = facts.judge(before, outcome, now, rules) else { return Observed::default() };
        if !was_judged {
            // What another instance said is no sample of this one's average.
            self.latency.clear();
        }
        match &outcome.result {
            Ok(_) => {
                self.circuit.close();
                self.last_success.store(now.0, Relaxed);
            }
            Err(_) => self.circuit.trip(now),
        }
        // One failure after a quiet time is one failure, not the whole past; a success after it clears what is old.
        match &outcome.result {
            Ok(_) => self.errors.add(0.0, now, rules.memory),
            Err(_) => self.errors.add_at_most(1.0, ONE_FAILURE, now, rules.memory),
        }
        if let Ok(success) = &outcome.result {
            if outcome.origin == Origin::Probe {
                self.latency.add(micros(success.latency), now, rules.memory);
            }
            if let Some(exit) = success.exit {
                self.exit.store(ExitKey::from_ip(exit.ip).number(), Relaxed);
                self.country.store(exit.country.map_or(0, u16::from_be_bytes), Relaxed);
            }
        }
        self.set_state(after);
        drop(facts);
        if after == State::Dead {
            self.reset_payload();
        }
        let state = before != after;
        let elsewhere = country != self.country() || exit != self.exit.load(Relaxed);
        Observed { counted: true, state, moved: state || (after.routable() && (elsewhere || self.drifted())) }
    }

    /// Takes in what another instance has measured, when nothing is known here; says whether that changed it.
    pub(crate) fn believe(&self, hearsay: &Hearsay, now: Timestamp, dead_after: u32) -> bool {
        let mut facts = self.facts();
        if self.state() != State::New || !facts.believe(hearsay.exit, dead_after) {
            return false;
        }
        // A time of zero means that it never worked.
        self.last_success.store(hearsay.last_ok.min(now).0.max(1), Relaxed);
        self.latency.set(hearsay.latency.map(micros), now);
        if let Some(exit) = hearsay.exit {
            self.exit.store(ExitKey::from_ip(exit.ip).number(), Relaxed);
            self.country.store(exit.country.map_or(0, u16::from_be_bytes), Relaxed);
        }
        self.set_state(State::Suspect);
        true
    }

    /// Takes back what another instance said, when nothing else is known; says whether that changed it.
    pub(crate) fn disbelieve(&self) -> bool {
        let mut facts = self.facts();
        if self.state() != State::Suspect || facts.last_checked().is_some() {
            return false;
        }
        facts.failures = 0;
        self.last_success.store(0, Relaxed);
        self.latency.clear();
        self.set_state(State::New);
        true
    }

    pub(super) fn set_state(&self, state: State) {
        // Only this function changes the state, under the lock of the facts, which whoever calls it holds; the flags may be set meanwhile.
        let _ = self.phase.fetch_update(Release, Acquire, |phase| Some((phase & !3) | state as u8));
    }

    /// Marks it as impossible to dial, or takes that back; says whether it is news.
    pub(crate) fn set_unsupported(&self, code: Option<Code>) -> bool {
        let mut facts = self.facts();
        let news = facts.set_unsupported(code);
        self.set_flag(UNSUPPORTED, code.is_some());
        news
    }

    /// Puts it into quarantine, or lets it out of it; says whether that is news.
    pub(crate) fn set_quarantine(&self, quarantine: Option<Quarantine>) -> bool {
        let mut facts = self.facts();
        let news = facts.set_quarantine(quarantine);
        self.set_quarantined(quarantine.is_some());
        news
    }

    /// Notes for picking whether it is in quarantine; the facts say so already.
    pub(super) fn set_quarantined(&self, quarantined: bool) {
        self.set_flag(QUARANTINED, quarantined);
    }

    pub(super) fn has_flag(&self, flag: u8) -> bool {
        self.phase.load(Acquire) & flag != 0
    }

    pub(super) fn set_flag(&self, flag: u8, on: bool) {
        if on {
            self.phase.fetch_or(flag, Release);
        } else {
            self.phase.fetch_and(!flag, Release);
        }
    }

    pub(crate) fn set_gone(&self) {
        self.phase.fetch_or(GONE, Release);
    }

    /// Whether nothing speaks for keeping it any more: no source has listed it for long enough, and it is dead, was
    /// never usable or is not to be used. A pinned node is always kept.
    pub(crate) fn forgettable(&self, now: Timestamp, rules: &Rules) -> bool {
        let facts = self.facts();
        if !facts.listings.is_empty() || self.pinned() {
            return false;
        }
        let (since, after) = match self.state() {
            _ if !self.ever_worked() => (facts.unlisted_since(), rules.forget_unused_after.min(rules.forget_after)),
            _ if facts.unsupported().is_some() || facts.quarantine().is_some() => {
                (facts.unlisted_since(), rules.forget_after)
            }
            State::Dead => (facts.dead_since().into(), rules.forget_after),
            State::New => (facts.unlisted_since(), rules.forget_after),
            State::Healthy | State::Suspect => return false,
        };
        since.get().is_some_and(|since| now.since(since) >= after)
    }

    /// Whether it has ever carried anything.
    #[must_use]
    pub fn ever_worked(&self) -> bool {
        self.last_success() > 0
    }
}
