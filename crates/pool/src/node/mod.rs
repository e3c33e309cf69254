//! One upstream proxy in memory: its description, its health and its load.

use std::{
    fmt,
    sync::atomic::{
        AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::Duration,
};

use hezar_core::{Host, Label, NodeId, NodeSpec, Timestamp};
use parking_lot::Mutex;

use crate::{
    Country, Listing, Quarantine, Record, Rules, SourceName, State,
    circuit::Circuit,
    ewma::Ewma,
    exit::{ExitKey, exit_key},
    facts::{Facts, Observed},
    hash_key,
    outcome::{Origin, Outcome},
    snapshot::Class,
};

/// Set in the phase of a node that was caught tampering.
const QUARANTINED: u8 = 16;
/// Set in the phase of a node that has left the pool.
const GONE: u8 = 8;
/// Set in the phase of a node that no dialer can be built for.
const UNSUPPORTED: u8 = 4;

/// One upstream proxy. What picking reads is atomic; the rest is behind a lock of its own that is held for nanoseconds.
///
/// The fields stand in the order in which picking reads them, so that a pick of a random node out of 100,000, which
/// waits for memory and little else, finds them in one or two cache lines.
#[repr(C)]
pub struct Node<D> {
    /// The number of the [`State`], and the flags above.
    phase: AtomicU8,
    allow_private: AtomicBool,
    datagrams: bool,
    /// The country's two letters; 0 = unknown.
    country: AtomicU16,
    in_flight: AtomicU32,
    latency: Ewma,
    errors: Ewma,
    circuit: Circuit,
    /// The time of the last success, in ms.
    proven: AtomicU64,
    server_key: u64,
    id: NodeId,
    slot: AtomicU32,
    /// The key of its exit address; 0 = unknown.
    exit: AtomicU64,
    /// The latency, in µs, under which the views hold the node.
    placed_latency: AtomicU32,
    payload: Mutex<Payload<D>>,
    facts: Mutex<Facts>,
    spec: NodeSpec,
}

/// What a node carries once it is used. The generation tells a builder that its work is out of date.
struct Payload<D> {
    generation: u32,
    value: Option<D>,
}

impl<D> Node<D> {
    /// A node with what is known about it.
    pub(crate) fn new(id: NodeId, spec: NodeSpec, label: Label, record: &Record, now: Timestamp) -> Self {
        let dead_since = record.dead_since.or(record.last_checked).unwrap_or(now);
        let measured = record.last_checked.unwrap_or(now);
        let latency = record.latency.map(micros);
        let errors = record.last_checked.map(|_| record.error_rate.clamp(0.0, 1.0));
        Self {
            id,
            server_key: hash_key(spec.first_server().host()),
            datagrams: spec.carries_datagrams(),
            spec,
            phase: AtomicU8::new(record.state as u8 | if record.quarantine.is_some() { QUARANTINED } else { 0 }),
            allow_private: AtomicBool::new(false),
            country: AtomicU16::new(record.country.map_or(0, u16::from_be_bytes)),
            slot: AtomicU32::new(u32::MAX),
            in_flight: AtomicU32::new(0),
            exit: AtomicU64::new(record.exit_ip.map_or(0, exit_key)),
            placed_latency: AtomicU32::new(u32::MAX),
            latency: Ewma::starting(latency, measured),
            errors: Ewma::starting(errors, measured),
            circuit: Circuit::default(),
            proven: AtomicU64::new(record.last_ok.map_or(0, |time| time.0)),
            facts: Mutex::new(Facts {
                label,
                listings: smallvec::SmallVec::new(),
                failures: record.failures,
                keep_permission: false,
                first_seen: record.first_seen,
                last_ok: record.last_ok,
                last_checked: record.last_checked,
                dead_since: (record.state == State::Dead).then_some(dead_since),
                unlisted_since: None,
                exit_ip: record.exit_ip,
                exit_seen: record.exit_seen,
                failure: record.failure,
                unsupported: None,
                quarantine: record.quarantine,
            }),
            payload: Mutex::new(Payload { generation: 0, value: None }),
        }
    }

    /// Its identity.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// Everything needed to dial it.
    #[must_use]
    pub const fn spec(&self) -> &NodeSpec {
        &self.spec
    }

    /// The hash of its server's host: nodes on one machine share it.
    #[must_use]
    pub const fn server_key(&self) -> u64 {
        self.server_key
    }

    /// Whether its protocol carries datagrams.
    #[must_use]
    pub const fn datagrams(&self) -> bool {
        self.datagrams
    }

    /// Its display name.
    #[must_use]
    pub fn label(&self) -> Label {
        self.facts.lock().label.clone()
    }

    /// Its health.
    #[must_use]
    pub fn state(&self) -> State {
        State::from_number(self.phase.load(Acquire))
    }

    /// Whether it may carry client traffic now.
    #[must_use]
    pub fn routable(&self) -> bool {
        let phase = self.phase.load(Acquire);
        phase & (GONE | UNSUPPORTED | QUARANTINED) == 0 && State::from_number(phase).routable()
    }

    /// Whether it has left the pool (someone may still hold it).
    #[must_use]
    pub fn gone(&self) -> bool {
        self.phase.load(Acquire) & GONE != 0
    }

    /// The code that says why no dialer can be built for it.
    #[must_use]
    pub fn unsupported(&self) -> Option<&'static str> {
        if self.phase.load(Acquire) & UNSUPPORTED == 0 { None } else { self.facts.lock().unsupported }
    }

    /// Why it carries no traffic whatever its health, if it was caught tampering.
    #[must_use]
    pub fn quarantine(&self) -> Option<Quarantine> {
        if self.phase.load(Acquire) & QUARANTINED == 0 { None } else { self.facts.lock().quarantine }
    }

    /// What it is counted under.
    pub(crate) fn class(&self) -> Class {
        let phase = self.phase.load(Acquire);
        match phase {
            _ if phase & UNSUPPORTED != 0 => Class::Unsupported,
            _ if phase & QUARANTINED != 0 => Class::Quarantined,
            _ => Class::Ordinary(State::from_number(phase)),
        }
    }

    /// The key of the exit that it takes turns under, as [`exit_key`] makes it: the address that targets see, or,
    /// before that is known, its server.
    #[must_use]
    pub fn exit(&self) -> u64 {
        match self.exit.load(Relaxed) {
            0 => self.server_exit().exit,
            exit => exit,
        }
    }

    /// The exit assumed before it is known: most proxies come out where they listen.
    pub(crate) fn server_exit(&self) -> ExitKey {
        match self.spec.server.host() {
            Host::Ip(ip) => ExitKey::of_ip(*ip),
            Host::Name(_) => ExitKey::of_server(self.server_key),
        }
    }

    /// The exit and its network.
    pub(crate) fn exit_place(&self) -> ExitKey {
        let known = if self.exit.load(Relaxed) == 0 { None } else { self.facts.lock().exit_ip };
        known.map_or_else(|| self.server_exit(), ExitKey::of_ip)
    }

    /// Whether a source that lists it allows private server addresses. A node that dropped out of its source's list
    /// keeps what that source said.
    #[must_use]
    pub fn allow_private(&self) -> bool {
        self.allow_private.load(Relaxed)
    }

    /// The sources that list it; empty when none does any more.
    #[must_use]
    pub fn sources(&self) -> Vec<Listing> {
        self.facts.lock().listings.to_vec()
    }

    /// Whether this source lists it.
    #[must_use]
    pub fn listed_by(&self, source: &str) -> bool {
        self.facts.lock().listings.iter().any(|l| &*l.source == source)
    }

    /// Whether any of these sources lists it.
    pub(crate) fn listed_by_any(&self, sources: &[SourceName]) -> bool {
        self.facts.lock().listings.iter().any(|l| sources.contains(&l.source))
    }

    /// The number of open leases.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// The smoothed duration of a probe through it.
    #[must_use]
    pub fn latency(&self) -> Option<Duration> {
        self.latency.get().map(|us| Duration::from_micros(us as u64))
    }

    /// The smoothed share of failures, 0 to 1.
    #[must_use]
    pub fn error_rate(&self) -> f32 {
        self.errors.get().unwrap_or(0.0)
    }

    /// The country of its exit.
    #[must_use]
    pub fn country(&self) -> Option<Country> {
        match self.country.load(Relaxed) {
            0 => None,
            letters => Some(letters.to_be_bytes()),
        }
    }

    /// Everything known about it at this moment.
    #[must_use]
    pub fn record(&self) -> Record {
        let facts = self.facts.lock();
        Record {
            state: self.state(),
            failures: facts.failures,
            first_seen: facts.first_seen,
            last_ok: facts.last_ok,
            last_checked: facts.last_checked,
            dead_since: facts.dead_since,
            latency: self.latency(),
            error_rate: self.error_rate(),
            exit_ip: facts.exit_ip,
            exit_seen: facts.exit_seen,
            country: self.country(),
            failure: facts.failure,
            unsupported: facts.unsupported,
            quarantine: facts.quarantine,
        }
    }

    /// Whether it is left alone for a moment after a failure.
    #[must_use]
    pub fn resting(&self, now: Timestamp) -> bool {
        self.circuit.resting(now)
    }

    /// Asks its circuit for permission: after a rest only one may try it.
    pub(crate) fn admit(&self, now: Timestamp) -> bool {
        self.circuit.admit(now)
    }

    /// The time of its last success.
    pub(crate) fn proven(&self) -> u64 {
        self.proven.load(Relaxed)
    }

    pub(crate) fn slot(&self) -> u32 {
        self.slot.load(Relaxed)
    }

    pub(crate) fn set_slot(&self, slot: u32) {
        self.slot.store(slot, Relaxed);
    }

    pub(crate) fn raise(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(crate) fn lower(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    pub(crate) fn set_gone(&self) {
        self.phase.fetch_or(GONE, Release);
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
    fn drifted(&self) -> bool {
        let (placed, now) = (self.placed_latency.load(Relaxed), self.weighed_latency());
        placed.abs_diff(now) > placed.min(now) / 8
    }

    /// Changes its facts under their lock, and the permission that follows from them.
    pub(crate) fn relist<T>(&self, change: impl FnOnce(&mut Facts) -> T) -> T {
        let mut facts = self.facts.lock();
        let result = change(&mut facts);
        let allowed = facts.listings.iter().any(|l| l.allow_private);
        // A node that merely dropped out of a list must stay reachable, or it could never be judged again.
        let allowed = if facts.listings.is_empty() { facts.keep_permission && self.allow_private() } else { allowed };
        drop(facts);
        if self.allow_private.swap(allowed, Relaxed) != allowed {
            self.reset_payload();
        }
        result
    }

    /// Takes in one piece of evidence.
    pub(crate) fn observe(&self, outcome: &Outcome, now: Timestamp, rules: &Rules) -> Observed {
        let mut facts = self.facts.lock();
        let before = self.state();
        let (country, exit) = (self.country(), self.exit.load(Relaxed));
        let Some(after) = facts.judge(before, outcome, now, rules) else { return Observed::default() };
        match &outcome.result {
            Ok(_) => {
                self.circuit.close();
                self.proven.store(now.0, Relaxed);
            }
            Err(_) => self.circuit.trip(now),
        }
        self.errors.add(f32::from(u8::from(outcome.result.is_err())), now, rules.memory);
        if let Ok(success) = &outcome.result {
            if outcome.origin == Origin::Probe {
                self.latency.add(micros(success.latency), now, rules.memory);
            }
            if let Some(exit) = success.exit {
                self.exit.store(exit_key(exit.ip), Relaxed);
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

    fn set_state(&self, state: State) {
        // Only this function changes the state, under the lock of the facts; the flags may be set meanwhile.
        let _ = self.phase.fetch_update(Release, Acquire, |phase| Some((phase & !3) | state as u8));
    }

    /// Marks it as impossible to dial; says whether that is news.
    pub(crate) fn set_unsupported(&self, code: &'static str) -> bool {
        let mut facts = self.facts.lock();
        let news = facts.unsupported != Some(code);
        facts.unsupported = Some(code);
        self.phase.fetch_or(UNSUPPORTED, Release);
        news
    }

    /// Puts it into quarantine, or lets it out of it; says whether that is news.
    pub(crate) fn set_quarantine(&self, quarantine: Option<Quarantine>) -> bool {
        let mut facts = self.facts.lock();
        let news = facts.quarantine != quarantine;
        facts.quarantine = quarantine;
        match quarantine {
            Some(_) => self.phase.fetch_or(QUARANTINED, Release),
            None => self.phase.fetch_and(!QUARANTINED, Release),
        };
        news
    }

    /// Since when nothing speaks for keeping it: unlisted, and dead or never usable.
    pub(crate) fn hopeless_since(&self) -> Option<Timestamp> {
        let facts = self.facts.lock();
        if !facts.listings.is_empty() {
            return None;
        }
        match self.state() {
            _ if facts.unsupported.is_some() => facts.unlisted_since,
            State::Dead => facts.dead_since,
            State::New => facts.unlisted_since,
            State::Healthy | State::Suspect => None,
        }
    }

    fn reset_payload(&self) {
        let mut payload = self.payload.lock();
        payload.generation = payload.generation.wrapping_add(1);
        payload.value = None;
    }
}

impl<D: Clone> Node<D> {
    /// What the node carries (in practice its dialer), built on first use. It is dropped when the node dies and when
    /// its permission to use private addresses changes; whoever holds a clone may finish with it.
    ///
    /// # Errors
    /// Whatever `build` says; it is asked again the next time.
    pub fn payload<E>(&self, build: impl FnOnce(&Self) -> Result<D, E>) -> Result<D, E> {
        let generation = {
            let payload = self.payload.lock();
            if let Some(value) = &payload.value {
                return Ok(value.clone());
            }
            payload.generation
        };
        // Built outside the lock: two may build at once, and the first one's work is kept.
        let built = build(self)?;
        let mut payload = self.payload.lock();
        if payload.generation != generation {
            return Ok(built);
        }
        Ok(payload.value.get_or_insert(built).clone())
    }
}

impl<D> fmt::Debug for Node<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.id)
            .field("server", &self.spec.server)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

fn micros(duration: Duration) -> f32 {
    duration.as_secs_f32() * 1e6
}
