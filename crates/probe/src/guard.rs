//! The outage guard: failures that come all at once are held back until it is clear whose fault they are.
//!
//! ```text
//!            most healthy nodes fail at once, or a node would die while nothing at all succeeds
//!     Open ────────────────────────────────────────────────────────────────────────────► Holding
//!      ▲ ▲                                                                               │  │  │
//!      │ └── trust is over ── Trusting ◄── control check: up (or, without controls, ─────┘  │  │
//!      │                                   a success that began later): failures count      │  │
//!      └── control check: up, or a success ── Outage ◄── control check: down ───────────────┘  │
//!            (what was held is dropped)          └── failures are held ────────────────────────┘
//! ```
//!
//! A probe that began before the guard opened again does not count, however it ends: a check that finds the uplink up now
//! says nothing about a moment ago. Those nodes are probed again instead.
//!
//! Without control URLs the guard cannot distinguish the failure of all nodes from an outage of our own uplink: the nodes
//! then stay suspect, and a client gets their errors instead of "pool empty".

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use hezar_core::{NodeId, Timestamp};
use hezar_pool::Failure;

use crate::GuardConfig;

/// The most recent results of healthy nodes that are compared.
const RECENT: usize = 32;
/// After so many failures in a row, over all nodes, the uplink is checked even when no node was healthy.
const FAILURE_STREAK: u32 = 32;
/// The most successes that are remembered: with [`SUCCESS_SPACING`], enough for the pause between two probes of a suspect
/// node.
const MAX_SUCCESSES: usize = 128;
/// Of the successes that began within this time only the first one is remembered.
const SUCCESS_SPACING: Duration = Duration::from_secs(1);
/// With fewer routable nodes than this, the failure of all of them is believed when no control check is possible.
const FEW: usize = 4;

/// Whether failures count at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardState {
    /// Failures count.
    Open,
    /// Failures are held back until a control check.
    Holding,
    /// Our uplink or the probe URL is down: failures mean nothing.
    Outage,
}

/// What a control check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlResult {
    /// Everything that can be checked without a node works.
    Up,
    /// No control URL answers.
    UplinkDown,
    /// The probe URL used to answer directly and does not any more.
    UrlDown,
}

/// What is down on our side during an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// No control URL answers: this machine's own network.
    Uplink,
    /// The probe URL does not answer directly any more.
    ProbeUrl,
}

/// What the guard does with a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It counts.
    Apply,
    /// It is held back.
    Hold,
    /// It is discarded: the probe began while failures were held back.
    Discard,
}

/// A failure and the circumstances that the guard judges by.
#[derive(Clone, Copy, Debug)]
pub struct FailureEvidence {
    /// The node.
    pub id: NodeId,
    /// What happened.
    pub failure: Failure,
    /// Whether the node was healthy when the probe began.
    pub was_healthy: bool,
    /// Whether it would take a routable node out of service.
    pub lethal: bool,
    /// When the probe began.
    pub started: Timestamp,
    /// The last failure of the node's present streak that a probe saw.
    pub failed_last: Option<Timestamp>,
    /// Routable nodes in the pool.
    pub routable: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GuardMode {
    Open,
    Trusting { until: Timestamp },
    Holding { since: Timestamp },
    Outage { since: Timestamp },
}

/// Decides which failures count. It knows no clock and no network: it is told of results and of control checks.
#[derive(Debug)]
pub struct Guard {
    config: GuardConfig,
    /// Whether control checks are possible.
    controls: bool,
    mode: GuardMode,
    recent: VecDeque<(Timestamp, bool)>,
    held: HashMap<NodeId, Failure, ahash::RandomState>,
    /// When successful probes began, in order.
    successes: VecDeque<Timestamp>,
    /// When the guard last opened again: probes that began before do not count.
    open_since: Timestamp,
    /// Failures since the last success, over all nodes.
    failure_streak: u32,
    checking: bool,
    next_check: Timestamp,
}

impl Guard {
    /// An open guard; `controls` says whether control checks are possible.
    #[must_use]
    pub fn new(config: GuardConfig, controls: bool) -> Self {
        Self {
            config,
            controls,
            mode: GuardMode::Open,
            recent: VecDeque::with_capacity(RECENT),
            held: HashMap::default(),
            successes: VecDeque::new(),
            open_since: Timestamp(0),
            failure_streak: 0,
            checking: false,
            next_check: Timestamp(0),
        }
    }

    /// Whether failures count.
    #[must_use]
    pub const fn state(&self) -> GuardState {
        match self.mode {
            GuardMode::Open | GuardMode::Trusting { .. } => GuardState::Open,
            GuardMode::Holding { .. } => GuardState::Holding,
            GuardMode::Outage { .. } => GuardState::Outage,
        }
    }

    /// The number of failures held back.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// A probe that began at `started` succeeded. Returns the failures that are held no longer.
    pub fn success(
        &mut self,
        id: NodeId,
        was_healthy: bool,
        started: Timestamp,
        now: Timestamp,
    ) -> Vec<(NodeId, Failure)> {
        self.failure_streak = 0;
        self.held.remove(&id);
        if self.successes.back().is_none_or(|last| started.since(*last) >= SUCCESS_SPACING) {
            self.successes.push_back(started);
            if self.successes.len() > MAX_SUCCESSES {
                self.successes.pop_front();
            }
        }
        if was_healthy {
            self.remember(now, true);
        }
        match self.mode {
            GuardMode::Outage { since } if started >= since => {
                self.reopen(now);
                Vec::new()
            }
            GuardMode::Holding { since } if started >= since && !self.controls => self.release(now),
            _ => Vec::new(),
        }
    }

    /// A probe failed, apparently by the node's fault.
    pub fn failure(&mut self, evidence: &FailureEvidence, now: Timestamp) -> Decision {
        if evidence.started < self.open_since {
            return Decision::Discard;
        }
        self.failure_streak = self.failure_streak.saturating_add(1);
        if evidence.was_healthy {
            self.remember(now, false);
        }
        if let GuardMode::Trusting { until } = self.mode
            && now >= until
        {
            self.mode = GuardMode::Open;
        }
        let hold = match self.mode {
            GuardMode::Holding { .. } | GuardMode::Outage { .. } => true,
            GuardMode::Trusting { .. } => self.is_unconfirmed(evidence),
            GuardMode::Open => self.is_mass_failure(evidence) || self.is_unconfirmed(evidence),
        };
        if hold && self.state() == GuardState::Open {
            self.mode = GuardMode::Holding { since: now };
            self.next_check = now;
        }
        if !hold {
            return Decision::Apply;
        }
        self.held.insert(evidence.id, evidence.failure);
        Decision::Hold
    }

    /// Whether a control check should begin now; the answer must be given to [`Guard::control`].
    pub fn begin_check(&mut self, now: Timestamp) -> bool {
        let wanted = self.controls && !self.checking && self.state() != GuardState::Open && now >= self.next_check;
        if wanted {
            self.checking = true;
            // From its beginning: a check that hangs for its whole time must not put off the next one.
            self.next_check = now.after(self.config.recheck);
        }
        wanted
    }

    /// When [`Guard::begin_check`] should be asked again.
    #[must_use]
    pub fn next_check(&self) -> Option<Timestamp> {
        (self.controls && !self.checking && self.state() != GuardState::Open).then_some(self.next_check)
    }

    /// What a control check found. Returns the failures that are held no longer.
    pub fn control(&mut self, found: ControlResult, now: Timestamp) -> Vec<(NodeId, Failure)> {
        self.checking = false;
        match (self.mode, found) {
            (GuardMode::Holding { .. }, ControlResult::Up) => self.release(now),
            (GuardMode::Outage { .. }, ControlResult::Up) => {
                self.reopen(now);
                Vec::new()
            }
            (GuardMode::Holding { since }, ControlResult::UplinkDown | ControlResult::UrlDown) => {
                self.mode = GuardMode::Outage { since };
                self.held.clear();
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Ends a single pass: no further result will decide about what is held, so it counts if anything succeeded.
    pub fn conclude(&mut self, now: Timestamp) -> Vec<(NodeId, Failure)> {
        match self.mode {
            GuardMode::Holding { .. } if !self.successes.is_empty() => self.release(now),
            _ => Vec::new(),
        }
    }

    /// A node has left the pool.
    pub fn forget(&mut self, id: NodeId) {
        self.held.remove(&id);
    }

    /// Whether so many nodes fail at once that the uplink or the probe URL may be down.
    fn is_mass_failure(&self, evidence: &FailureEvidence) -> bool {
        let total = self.recent.len();
        let failed = self.recent.iter().filter(|(_, ok)| !ok).count();
        if evidence.was_healthy && total >= self.config.least && failed as f32 > total as f32 * self.config.share {
            return true;
        }
        self.controls && self.failure_streak >= FAILURE_STREAK
    }

    /// Whether the failure would take a routable node out of service and nothing shows that the uplink worked between it and
    /// the node's previous failure: no probe of any node that began then succeeded, and the guard has not opened since.
    fn is_unconfirmed(&self, evidence: &FailureEvidence) -> bool {
        let between =
            |began: &Timestamp| evidence.failed_last.is_some_and(|last| (last..=evidence.started).contains(began));
        let trusted = matches!(self.mode, GuardMode::Trusting { .. })
            && evidence.failed_last.is_none_or(|last| self.open_since >= last);
        let matters = self.controls || evidence.routable >= FEW;
        evidence.lethal && matters && !trusted && !self.successes.iter().any(between)
    }

    /// Adds the result of a healthy node to those that are compared.
    fn remember(&mut self, now: Timestamp, ok: bool) {
        let window = self.config.window;
        while self.recent.front().is_some_and(|(at, _)| now.since(*at) > window) || self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((now, ok));
    }

    /// Lets failures count again, with those that were held.
    fn release(&mut self, now: Timestamp) -> Vec<(NodeId, Failure)> {
        self.mode = GuardMode::Trusting { until: now.after(self.config.trust.max(Duration::from_millis(1))) };
        self.open_since = now;
        self.failure_streak = 0;
        self.recent.clear();
        self.held.drain().collect()
    }

    /// Lets failures count again, without those that were held.
    fn reopen(&mut self, now: Timestamp) {
        self.mode = GuardMode::Open;
        self.open_since = now;
        self.failure_streak = 0;
        self.recent.clear();
        self.held.clear();
    }
}
