//! The same facts in the pool's words and in the store's: two functions that are each other's inverse.
//!
//! Both take their argument apart without `..`: a field that is added to either side and not carried over does not
//! compile.

use hezar_core::CodeDoc;
use hezar_pool::{HttpAbility, LastFailure, Quarantine, Record, State};
use hezar_store::{Health, NodeState};
use parking_lot::Mutex;

/// What the store keeps of a record: all of it.
pub(crate) fn to_health(record: Record) -> Health {
    let Record {
        state,
        failures,
        first_seen,
        last_ok,
        last_checked,
        dead_since,
        unlisted_since,
        latency,
        error_rate,
        exit_ip,
        exit_seen,
        country,
        failure,
        http_ability,
        unsupported,
        quarantine,
    } = record;
    Health {
        state: match state {
            State::New => NodeState::New,
            State::Healthy => NodeState::Healthy,
            State::Suspect => NodeState::Suspect,
            State::Dead => NodeState::Dead,
        },
        failures,
        last_ok,
        last_checked,
        first_seen,
        dead_since,
        unlisted_since,
        latency,
        error_rate,
        exit_ip,
        exit_seen,
        country,
        failure: failure.map(|failure| (failure.stage, failure.code.into())),
        http_ability: http_ability.byte(),
        unsupported: unsupported.map(Into::into),
        quarantine: quarantine.map(|caught| (caught.code.into(), caught.since)),
    }
}

/// The record that was kept.
pub(crate) fn to_record(health: &Health) -> Record {
    let Health {
        state,
        failures,
        last_ok,
        last_checked,
        first_seen,
        dead_since,
        unlisted_since,
        latency,
        error_rate,
        exit_ip,
        exit_seen,
        country,
        failure,
        http_ability,
        unsupported,
        quarantine,
    } = health;
    Record {
        state: match state {
            NodeState::New => State::New,
            NodeState::Healthy => State::Healthy,
            NodeState::Suspect => State::Suspect,
            NodeState::Dead => State::Dead,
        },
        failures: *failures,
        first_seen: *first_seen,
        last_ok: *last_ok,
        last_checked: *last_checked,
        dead_since: *dead_since,
        unlisted_since: *unlisted_since,
        latency: *latency,
        error_rate: *error_rate,
        exit_ip: *exit_ip,
        exit_seen: *exit_seen,
        country: *country,
        failure: failure.as_ref().map(|(stage, code)| LastFailure { stage: *stage, code: known_code(code) }),
        http_ability: HttpAbility::from_byte(*http_ability),
        unsupported: unsupported.as_deref().map(known_code),
        quarantine: quarantine.as_ref().map(|(code, since)| Quarantine { code: known_code(code), since: *since }),
    }
}

/// Of two records of one node the one with the newer evidence, with what must not be forgotten of the other.
pub(crate) fn merge(one: Health, other: Health) -> Health {
    let evidence = |health: &Health| (health.last_checked, health.last_ok);
    let (newer, older) = if evidence(&one) >= evidence(&other) { (one, other) } else { (other, one) };
    Health {
        first_seen: newer.first_seen.min(older.first_seen),
        last_ok: newer.last_ok.max(older.last_ok),
        // A node that was caught tampering stays caught under any name.
        quarantine: newer.quarantine.or(older.quarantine),
        ..newer
    }
}

/// Codes that other builds wrote: the most that are kept apart, and the longest.
const MOST_FOREIGN: usize = 256;
const LONGEST_FOREIGN: usize = 64;

/// The stable code with this text. One that this build does not know keeps its text.
fn known_code(text: &str) -> &'static str {
    static FOREIGN: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let tables: [&[CodeDoc]; 3] = [hezar_engine::Cause::CODES, hezar_engine::BuildError::CODES, hezar_probe::TAMPERING];
    if let Some(known) = tables.into_iter().flatten().find(|known| known.code == text) {
        return known.code;
    }
    let mut foreign = FOREIGN.lock();
    if let Some(known) = foreign.iter().find(|known| **known == text) {
        return known;
    }
    if foreign.len() >= MOST_FOREIGN || text.len() > LONGEST_FOREIGN {
        return "io";
    }
    // Kept until the process ends; there are few, and their number is bounded.
    let kept: &'static str = Box::leak(text.into());
    foreign.push(kept);
    kept
}
