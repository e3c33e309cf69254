//! One upstream proxy in memory: its description, its health and its load.

mod adopt;
mod annotation;
mod circuit;
mod ewma;
mod facts;
mod health;
mod listing_set;
mod listings;
mod packed_time;
mod payload;
mod place;
mod throughput;

use std::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use hezar_core::{ExitKey, Host, Label, NodeId, NodeSpec, ServerKey, Timestamp};
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};

use crate::{Anonymity, HttpAbility, Record};
pub use annotation::Annotation;
pub(crate) use circuit::Circuit;
use ewma::Ewma;
pub(crate) use facts::Facts;
pub(crate) use health::Class;
use health::QUARANTINED;
pub(crate) use place::ExitPlace;
pub(crate) use throughput::Throughput;

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
    insecure: bool,
    /// The byte of its [`HttpAbility`].
    http_ability: AtomicU8,
    /// Grows when the payload is dropped, under the lock.
    generation: AtomicU8,
    /// The country's two letters; 0 = unknown.
    country: AtomicU16,
    in_flight: AtomicU32,
    /// The autonomous system of its exit; 0 = unknown. It fills what the alignment of the next field leaves free, as `city` does.
    pub(crate) asn: AtomicU32,
    latency: Ewma,
    errors: Ewma,
    circuit: Circuit,
    /// The time of the last success, in ms; 0 = it never worked.
    last_success: AtomicU64,
    server_key: ServerKey,
    id: NodeId,
    slot: AtomicU32,
    /// The hash of the name of its exit's city; 0 = unknown.
    pub(crate) city: AtomicU32,
    /// The key of its exit address; 0 = unknown.
    exit: AtomicU64,
    /// The latency, in µs, under which the views hold the node.
    placed_latency: AtomicU32,
    /// When it is checked next, in seconds; 0 = unknown.
    next_check: AtomicU32,
    /// Bytes a second of transfers through it.
    throughput: Throughput,
    guarded: Mutex<Guarded<D>>,
    spec: NodeSpec,
}

/// What a node has behind its lock.
struct Guarded<D> {
    facts: Facts,
    /// What it carries once it is used. Boxed, because most nodes of a large pool are not in use.
    payload: Option<Box<D>>,
}

impl<D> Node<D> {
    /// A node with what is known about it.
    pub(crate) fn new(id: NodeId, spec: NodeSpec, label: Label, record: &Record, now: Timestamp) -> Self {
        let measured = record.last_checked.unwrap_or(now);
        let latency = record.latency.map(micros);
        let errors = record.last_checked.map(|_| record.error_rate.clamp(0.0, 1.0));
        Self {
            id,
            server_key: ServerKey::from_host(spec.first_server().host()),
            datagrams: spec.carries_datagrams(),
            insecure: spec.skips_verification(),
            http_ability: AtomicU8::new(record.http_ability.byte()),
            spec,
            phase: AtomicU8::new(record.state as u8 | if record.quarantine.is_some() { QUARANTINED } else { 0 }),
            allow_private: AtomicBool::new(false),
            generation: AtomicU8::new(0),
            country: AtomicU16::new(record.country.map_or(0, u16::from_be_bytes)),
            slot: AtomicU32::new(u32::MAX),
            in_flight: AtomicU32::new(0),
            exit: AtomicU64::new(record.exit_ip.map_or(0, |ip| ExitKey::from_ip(ip).number())),
            placed_latency: AtomicU32::new(u32::MAX),
            next_check: AtomicU32::new(0),
            asn: AtomicU32::new(0),
            city: AtomicU32::new(0),
            latency: Ewma::starting(latency, measured),
            errors: Ewma::starting(errors, measured),
            throughput: Throughput::new(),
            circuit: Circuit::default(),
            last_success: AtomicU64::new(record.last_ok.map_or(0, |time| time.0)),
            guarded: Mutex::new(Guarded { facts: Facts::new(label, record, now), payload: None }),
        }
    }

    fn facts(&self) -> MappedMutexGuard<'_, Facts> {
        MutexGuard::map(self.guarded.lock(), |guarded| &mut guarded.facts)
    }

    /// Its identity.
    #[must_use]
    pub const fn id(&self) -> NodeId {
        self.id
    }

    pub(crate) const fn id_ref(&self) -> &NodeId {
        &self.id
    }

    /// Everything needed to dial it.
    #[must_use]
    pub const fn spec(&self) -> &NodeSpec {
        &self.spec
    }

    /// The key of its server: nodes on one machine share it.
    #[must_use]
    pub const fn server_key(&self) -> ServerKey {
        self.server_key
    }

    /// Whether its server is this machine: bounds for the sake of others do not apply to it.
    #[must_use]
    pub fn on_loopback(&self) -> bool {
        match self.spec.first_server().host() {
            Host::Ip(address) => address.to_canonical().is_loopback(),
            Host::Name(name) => name.as_str() == "localhost",
        }
    }

    /// Whether its protocol carries datagrams.
    #[must_use]
    pub const fn datagrams(&self) -> bool {
        self.datagrams
    }

    /// Whether it takes any certificate on a way to it: whoever sits between can read and change what it carries.
    #[must_use]
    pub const fn insecure(&self) -> bool {
        self.insecure
    }

    /// When it is to be checked next, as whoever checks it said last; to the second.
    #[must_use]
    pub fn next_check(&self) -> Option<Timestamp> {
        Some(self.next_check.load(Relaxed)).filter(|secs| *secs > 0).map(|secs| Timestamp(u64::from(secs) * 1000))
    }

    /// Notes when it is to be checked next; for showing only.
    pub fn set_next_check(&self, time: Timestamp) {
        self.next_check.store(u32::try_from(time.0.div_ceil(1000)).unwrap_or(u32::MAX), Relaxed);
    }

    /// What it carries, if its last server is an HTTP proxy.
    #[must_use]
    pub fn http_ability(&self) -> HttpAbility {
        HttpAbility::from_byte(self.http_ability.load(Relaxed))
    }

    /// How much it gives away to the target of a plain request; `None` while that is not known. Only an HTTP proxy can add
    /// to a request: all others carry it in a tunnel.
    #[must_use]
    pub fn anonymity(&self) -> Option<Anonymity> {
        if self.spec.is_http_proxy() { self.http_ability().anonymity() } else { Some(Anonymity::Elite) }
    }

    /// Changes what is known of what it carries. Returns what was known before, and what is known now.
    pub(crate) fn update_http_ability(
        &self,
        change: impl Fn(HttpAbility) -> HttpAbility,
    ) -> (HttpAbility, HttpAbility) {
        let changed = |byte| change(HttpAbility::from_byte(byte));
        let before = self.http_ability.fetch_update(Relaxed, Relaxed, |byte| Some(changed(byte).byte()));
        let (Ok(before) | Err(before)) = before;
        (HttpAbility::from_byte(before), changed(before))
    }

    /// Its display name.
    #[must_use]
    pub fn label(&self) -> Label {
        self.facts().label.clone()
    }

    /// The number of open leases.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Everything known about it at this moment.
    #[must_use]
    pub fn record(&self) -> Record {
        let facts = self.facts();
        Record {
            state: self.state(),
            failures: facts.failures,
            first_seen: facts.first_seen(),
            last_ok: Some(Timestamp(self.last_success())).filter(|time| time.0 > 0),
            last_checked: facts.last_checked(),
            dead_since: facts.dead_since(),
            unlisted_since: facts.unlisted_since().get(),
            latency: self.latency(),
            error_rate: self.error_rate(),
            exit_ip: facts.exit_ip,
            exit_seen: facts.exit_seen(),
            country: self.country(),
            failure: facts.failure(),
            http_ability: self.http_ability(),
            unsupported: facts.unsupported(),
            quarantine: facts.quarantine(),
        }
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

/// Rounded once, so that whole microseconds which came out of a node go into it unchanged.
fn micros(duration: Duration) -> f32 {
    (duration.as_secs_f64() * 1e6) as f32
}
