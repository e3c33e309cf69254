//! What picking never reads about a node, and the judgement over its evidence.

use std::{net::IpAddr, sync::Arc};

use hezar_core::{Code, Fault, Label, OptionalTime, Record, Timestamp};
use smallvec::SmallVec;

use super::Annotation;
use crate::{
    LastFailure, Listing, Quarantine, Rules, State,
    outcome::{Failure, Origin, Outcome, Success},
};

/// The part of a node behind its lock. A million nodes have one each, so that what is rare is boxed and what nodes share
/// is shared.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) label: Label,
    pub(crate) listings: SmallVec<[Arc<Listing>; 1]>,
    pub(crate) first_seen: Timestamp,
    pub(crate) last_ok: OptionalTime,
    pub(crate) last_checked: OptionalTime,
    pub(crate) dead_since: OptionalTime,
    pub(crate) exit_seen: OptionalTime,
    pub(crate) exit_ip: Option<IpAddr>,
    pub(crate) failures: u32,
    pub(crate) failure: Option<Box<LastFailure>>,
    rare: Option<Box<RareFacts>>,
}

/// What is known about few nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RareFacts {
    unsupported: Option<Code>,
    quarantine: Option<Quarantine>,
    annotation: Option<Arc<Annotation>>,
    kept_from: Option<Arc<Listing>>,
    unlisted_since: OptionalTime,
}

impl RareFacts {
    /// What holds for most nodes.
    const NONE: Self = Self {
        unsupported: None,
        quarantine: None,
        annotation: None,
        kept_from: None,
        unlisted_since: OptionalTime::NONE,
    };
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
    /// The facts that a record says, before any source lists the node.
    pub(crate) fn new(label: Label, record: &Record, now: Timestamp) -> Self {
        let dead_since = record.dead_since.or(record.last_checked).unwrap_or(now);
        let mut facts = Self {
            label,
            listings: SmallVec::new(),
            first_seen: record.first_seen,
            last_ok: record.last_ok.into(),
            last_checked: record.last_checked.into(),
            dead_since: (record.state == State::Dead).then_some(dead_since).into(),
            exit_seen: record.exit_seen.into(),
            exit_ip: record.exit_ip,
            failures: record.failures,
            failure: record.failure.map(Box::new),
            rare: None,
        };
        facts.set_quarantine(record.quarantine);
        facts.set_unlisted_since(record.unlisted_since.into());
        facts
    }

    /// Why no dialer can be built for the node.
    pub(crate) fn unsupported(&self) -> Option<Code> {
        self.rare.as_ref().and_then(|rare| rare.unsupported)
    }

    /// How the node was caught tampering.
    pub(crate) fn quarantine(&self) -> Option<Quarantine> {
        self.rare.as_ref().and_then(|rare| rare.quarantine)
    }

    /// The listing that it dropped out of last: its permission for private addresses outlives it. Absent when the source
    /// itself was dropped.
    pub(crate) fn kept_from(&self) -> Option<&Arc<Listing>> {
        self.rare.as_ref().and_then(|rare| rare.kept_from.as_ref())
    }

    /// Since when no source lists it.
    pub(crate) fn unlisted_since(&self) -> OptionalTime {
        self.rare.as_ref().map_or(OptionalTime::NONE, |rare| rare.unlisted_since)
    }

    /// Says why no dialer can be built, or that one may be; returns whether that is news.
    pub(crate) fn set_unsupported(&mut self, unsupported: Option<Code>) -> bool {
        self.change_rare(|rare| rare.unsupported = unsupported)
    }

    /// Puts the node into quarantine, or lets it out; returns whether that is news.
    pub(crate) fn set_quarantine(&mut self, quarantine: Option<Quarantine>) -> bool {
        self.change_rare(|rare| rare.quarantine = quarantine)
    }

    /// Notes the listing that it drops out of, or that there is none any more.
    pub(crate) fn set_kept_from(&mut self, kept_from: Option<Arc<Listing>>) {
        self.change_rare(|rare| rare.kept_from = kept_from);
    }

    /// Notes since when no source lists it, or that one does.
    pub(crate) fn set_unlisted_since(&mut self, since: OptionalTime) {
        self.change_rare(|rare| rare.unlisted_since = since);
    }

    /// What an operator says about the node.
    pub(crate) fn annotation(&self) -> Option<Arc<Annotation>> {
        self.rare.as_ref().and_then(|rare| rare.annotation.clone())
    }

    /// Notes what an operator says about the node.
    pub(crate) fn set_annotation(&mut self, annotation: Option<Arc<Annotation>>) {
        self.change_rare(|rare| rare.annotation = annotation);
    }

    /// Changes what few nodes have; says whether it is different now.
    fn change_rare(&mut self, change: impl FnOnce(&mut RareFacts)) -> bool {
        let mut rare = self.rare.as_deref().cloned().unwrap_or(RareFacts::NONE);
        change(&mut rare);
        if self.rare.as_deref().unwrap_or(&RareFacts::NONE) == &rare {
            return false;
        }
        self.rare = (rare != RareFacts::NONE).then(|| Box::new(rare));
        true
    }

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
        self.dead_since = OptionalTime::NONE;
        self.last_ok = now.into();
        self.last_checked = now.into();
        if let Some(exit) = success.exit {
            self.exit_ip = Some(exit.ip);
            self.exit_seen = now.into();
        }
        State::Healthy
    }

    fn failed(&mut self, state: State, origin: Origin, failure: &Failure, now: Timestamp, rules: &Rules) -> State {
        let limit = rules.dead_after.max(1);
        // Traffic alone never reaches the limit: when our own uplink fails, every request fails through every node.
        let most = if origin == Origin::Traffic { self.failures.max(limit - 1) } else { u32::MAX };
        self.failures = self.failures.saturating_add(1).min(most);
        self.failure = Some(Box::new(LastFailure { stage: failure.stage, code: failure.code }));
        self.last_checked = now.into();
        match state {
            State::Dead => State::Dead,
            _ if self.failures >= limit => {
                self.dead_since = now.into();
                State::Dead
            }
            State::Healthy => State::Suspect,
            state => state,
        }
    }
}
