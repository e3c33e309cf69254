//! What picking never reads about a node, and the judgement over its evidence.

use std::net::IpAddr;

use hezar_core::{Code, Fault, Label, Timestamp};
use smallvec::SmallVec;

use crate::{
    LastFailure, Listing, Quarantine, Rules, State,
    outcome::{Failure, Origin, Outcome, Success},
};

/// The part of a node behind its lock.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) label: Label,
    pub(crate) listings: SmallVec<[Listing; 1]>,
    pub(crate) failures: u32,
    /// The listing that it dropped out of last: its permission for private addresses outlives it. Absent when the source
    /// itself was dropped.
    pub(crate) kept_from: Option<Listing>,
    pub(crate) first_seen: Timestamp,
    pub(crate) last_ok: Option<Timestamp>,
    pub(crate) last_checked: Option<Timestamp>,
    pub(crate) dead_since: Option<Timestamp>,
    pub(crate) unlisted_since: Option<Timestamp>,
    pub(crate) exit_ip: Option<IpAddr>,
    pub(crate) exit_seen: Option<Timestamp>,
    pub(crate) failure: Option<LastFailure>,
    pub(crate) unsupported: Option<Code>,
    pub(crate) quarantine: Option<Quarantine>,
}

/// What one piece of evidence changed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Observed {
    /// It counted: the record is different now.
    pub(crate) counted: bool,
    /// The state is another one.
    pub(crate) state: bool,
    /// The views have to be looked at.
    pub(crate) moved: bool,
}

impl Facts {
    /// Takes in the evidence and says the state that follows; nothing when it does not count.
    pub(crate) fn judge(&mut self, state: State, outcome: &Outcome, now: Timestamp, rules: &Rules) -> Option<State> {
        match &outcome.result {
            Ok(success) => Some(self.succeeded(success, now)),
            Err(failure) if failure.fault == Fault::Node => {
                Some(self.failed(state, outcome.origin, failure, now, rules))
            }
            Err(_) => None,
        }
    }

    fn succeeded(&mut self, success: &Success, now: Timestamp) -> State {
        self.failures = 0;
        self.failure = None;
        self.dead_since = None;
        self.last_ok = Some(now);
        self.last_checked = Some(now);
        if let Some(exit) = success.exit {
            self.exit_ip = Some(exit.ip);
            self.exit_seen = Some(now);
        }
        State::Healthy
    }

    fn failed(&mut self, state: State, origin: Origin, failure: &Failure, now: Timestamp, rules: &Rules) -> State {
        let limit = rules.dead_after.max(1);
        // Traffic alone never reaches the limit: when our own uplink fails, every request fails through every node.
        let most = if origin == Origin::Traffic { self.failures.max(limit - 1) } else { u32::MAX };
        self.failures = self.failures.saturating_add(1).min(most);
        self.failure = Some(LastFailure { stage: failure.stage, code: failure.code });
        self.last_checked = Some(now);
        match state {
            State::Dead => State::Dead,
            _ if self.failures >= limit => {
                self.dead_since = Some(now);
                State::Dead
            }
            State::Healthy => State::Suspect,
            state => state,
        }
    }
}
