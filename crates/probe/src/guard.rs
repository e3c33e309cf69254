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
//! Of what began before the doubt was over nothing counts, however it ends: a check that finds the uplink well now says
//! nothing about a moment ago. Those nodes are probed again instead.
//!
//! Without control URLs a total loss cannot be told from an outage of our own: then the nodes stay suspect, and a
//! client gets errors from them instead of "pool empty".

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use hezar_core::{NodeId, Timestamp};
use hezar_pool::Failure;

use crate::GuardConfig;

/// Verdicts over healthy nodes that are compared at most: enough to be sure, few enough to be quick.
const RECENT: usize = 32;
/// Failures in a row, over all nodes, after which the uplink is doubted even when no node was healthy.
const DRY: u32 = 32;
/// Successes remembered, and how far apart they began: enough for the pause between two probes of a suspect node.
const WITNESSES: usize = 128;
const APART: Duration = Duration::from_secs(1);
/// With fewer routable nodes than this, a total loss is ordinary unless it can be checked.
const FEW: usize = 4;

/// What the guard makes of the failures at present.
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

/// What becomes of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It counts.
    Apply,
    /// It is held back.
    Hold,
    /// It says nothing: the probe began while failures were in evidence.
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

/// The guard.
#[derive(Debug)]
pub struct Guard {
    config: GuardConfig,
    /// Whether control checks are possible.
    controls: bool,
    mode: GuardMode,
    recent: VecDeque<(Timestamp, bool)>,
    held: HashMap<NodeId, Failure, ahash::RandomState>,
    /// When successes began, a second apart and in order.
    successes: VecDeque<Timestamp>,
    /// Since when failures are not in evidence.
    sound_since: Timestamp,
    dry: u32,
    checking: bool,
    next_check: Timestamp,
}

impl Guard {
    /// A guard that believes everything so far; `controls` says whether control checks are possible.
    #[must_use]
    pub fn new(config: GuardConfig, controls: bool) -> Self {
        Self {
            config,
            controls,
            mode: GuardMode::Open,
            recent: VecDeque::with_capacity(RECENT),
            held: HashMap::default(),
            successes: VecDeque::new(),
            sound_since: Timestamp(0),
            dry: 0,
            checking: false,
            next_check: Timestamp(0),
        }
    }

    /// Its state.
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
        self.dry = 0;
        self.held.remove(&id);
        if self.successes.back().is_none_or(|last| started.since(*last) >= APART) {
            self.successes.push_back(started);
            if self.successes.len() > WITNESSES {
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

    /// A probe failed by the node's fault, or so it seems.
    pub fn failure(&mut self, evidence: &FailureEvidence, now: Timestamp) -> Decision {
        if evidence.started < self.sound_since {
            return Decision::Discard;
        }
        self.dry = self.dry.saturating_add(1);
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
            GuardMode::Trusting { .. } => self.dubious(evidence),
            GuardMode::Open => self.trips(evidence) || self.dubious(evidence),
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

    /// Takes what is held at the end of a single pass, when nothing more will tell: it counts if anything succeeded.
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

    fn trips(&self, evidence: &FailureEvidence) -> bool {
        let total = self.recent.len();
        let failed = self.recent.iter().filter(|(_, ok)| !ok).count();
        if evidence.was_healthy && total >= self.config.least && failed as f32 > total as f32 * self.config.share {
            return true;
        }
        self.controls && self.dry >= DRY
    }

    /// The last blow needs a witness that the uplink worked between it and the one before: a success that began then, or,
    /// while it is fresh, the end of a evidence.
    fn dubious(&self, evidence: &FailureEvidence) -> bool {
        let between =
            |began: &Timestamp| evidence.failed_last.is_some_and(|last| (last..=evidence.started).contains(began));
        let trusted = matches!(self.mode, GuardMode::Trusting { .. })
            && evidence.failed_last.is_none_or(|last| self.sound_since >= last);
        let matters = self.controls || evidence.routable >= FEW;
        evidence.lethal && matters && !trusted && !self.successes.iter().any(between)
    }

    fn remember(&mut self, now: Timestamp, ok: bool) {
        let window = self.config.window;
        while self.recent.front().is_some_and(|(at, _)| now.since(*at) > window) || self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((now, ok));
    }

    fn release(&mut self, now: Timestamp) -> Vec<(NodeId, Failure)> {
        self.mode = GuardMode::Trusting { until: now.after(self.config.trust.max(Duration::from_millis(1))) };
        self.sound_since = now;
        self.dry = 0;
        self.recent.clear();
        self.held.drain().collect()
    }

    fn reopen(&mut self, now: Timestamp) {
        self.mode = GuardMode::Open;
        self.sound_since = now;
        self.dry = 0;
        self.recent.clear();
        self.held.clear();
    }
}
