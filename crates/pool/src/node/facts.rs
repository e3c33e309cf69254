//! What picking never reads about a node, and the judgement over its evidence.

use std::{net::IpAddr, sync::Arc};

use hezar_core::{Code, Fault, Label, OptionalTime, Record, Timestamp};

use super::{Annotation, listing_set::ListingSet, packed_time::PackedTime};
use crate::{
    LastFailure, Listing, Quarantine, Rules, State,
    outcome::{Exit, Failure, Origin, Outcome, Success},
};

/// The part of a node behind its lock. A million nodes have one each, so that what is rare is boxed and what nodes share
/// is shared.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) label: Label,
    pub(crate) listings: ListingSet,
    first_seen: PackedTime,
    last_checked: PackedTime,
    exit_seen: PackedTime,
    pub(crate) exit_ip: Option<IpAddr>,
    pub(crate) failures: u32,
    trouble: Option<Box<Trouble>>,
    rare: Option<Box<RareFacts>>,
}

/// What is known about a node that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Trouble {
    failure: Option<LastFailure>,
    dead_since: OptionalTime,
}

impl Trouble {
    /// Nothing has failed.
    const NONE: Self = Self { failure: None, dead_since: OptionalTime::NONE };

    /// What a record says, if that is anything.
    fn from_record(record: &Record, now: Timestamp) -> Option<Self> {
        let dead_since = record.dead_since.or(record.last_checked).unwrap_or(now);
        let dead_since = (record.state == State::Dead).then_some(dead_since).into();
        Some(Self { failure: record.failure, dead_since }).filter(|trouble| *trouble != Self::NONE)
    }
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
        let mut facts = Self {
            label,
            listings: ListingSet::default(),
            first_seen: record.first_seen.into(),
            last_checked: record.last_checked.into(),
            exit_seen: record.exit_seen.into(),
            exit_ip: record.exit_ip,
            failures: record.failures,
            trouble: Trouble::from_record(record, now).map(Box::new),
            rare: None,
        };
        facts.set_quarantine(record.quarantine);
        facts.set_unlisted_since(record.unlisted_since.into());
        facts
    }

    /// When it was first listed.
    pub(crate) fn first_seen(&self) -> Timestamp {
        self.first_seen.get().unwrap_or_default()
    }

    /// The last evidence that counted.
    pub(crate) fn last_checked(&self) -> Option<Timestamp> {
        self.last_checked.get()
    }

    /// When the exit was last looked up.
    pub(crate) fn exit_seen(&self) -> Option<Timestamp> {
        self.exit_seen.get()
    }

    /// Since when it has been dead.
    pub(crate) fn dead_since(&self) -> Option<Timestamp> {
        self.trouble.as_ref().and_then(|trouble| trouble.dead_since.get())
    }

    /// The last failure, while it has not recovered from it.
    pub(crate) fn failure(&self) -> Option<LastFailure> {
        self.trouble.as_ref().and_then(|trouble| trouble.failure)
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

    /// Takes over the health that another process has measured.
    pub(crate) fn adopt_health(&mut self, record: &Record, now: Timestamp) {
        self.failures = record.failures;
        self.last_checked = record.last_checked.into();
        self.trouble = Trouble::from_record(record, now).map(Box::new);
    }

    /// Takes over where another process has seen the traffic come out, and when the node was first listed.
    pub(crate) fn adopt_exit(&mut self, record: &Record) {
        self.exit_ip = record.exit_ip;
        self.exit_seen = record.exit_seen.into();
        self.first_seen = self.first_seen().min(record.first_seen).into();
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

    /// Takes in what another instance says of a node that was never judged here; false when it was. One failure of a probe is then as
    /// many as make it dead.
    pub(crate) fn believe(&mut self, exit: Option<Exit>, dead_after: u32) -> bool {
        if self.last_checked().is_some() {
            return false;
        }
        self.failures = dead_after - 1;
        if let Some(exit) = exit {
            // Nobody here has seen it, so that it is looked up soon.
            self.exit_ip = Some(exit.ip);
        }
        true
    }

    fn succeeded(&mut self, success: &Success, now: Timestamp) -> State {
        self.failures = 0;
        self.trouble = None;
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
        self.last_checked = now.into();
        let trouble = self.trouble.get_or_insert_with(|| Box::new(Trouble::NONE));
        trouble.failure = Some(LastFailure { stage: failure.stage, code: failure.code });
        match state {
            State::Dead => State::Dead,
            _ if self.failures >= limit => {
                trouble.dead_since = now.into();
                State::Dead
            }
            State::Healthy => State::Suspect,
            state => state,
        }
    }
}
