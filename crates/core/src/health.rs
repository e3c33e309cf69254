//! The health of a node: its state, and everything measured about it that decides and survives a restart.

use std::{net::IpAddr, sync::Arc, time::Duration};

use crate::{Code, HttpAbility, Stage, Timestamp};

/// The name of a source, shared by all the nodes that it lists.
pub type SourceName = Arc<str>;

/// An ISO 3166-1 alpha-2 country code in upper case, e.g. `*b"DE"`.
pub type Country = [u8; 2];

/// How healthy a node is.
///
/// ```text
///   New ──ok──► Healthy ◄──ok── Suspect        ok   = an exchange through the node succeeded
///    │            │  ▲             │           fail = an exchange failed by the node's own fault
///    │            └──┼──fail──►────┤
///    └─fails─► Dead ─┘ ok  ◄─fails─┘           fails = the last of `dead_after` in a row
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum State {
    /// Never judged yet; carries no client traffic.
    #[default]
    New = 0,
    /// The last exchange succeeded.
    Healthy = 1,
    /// Was healthy and failed fewer than `dead_after` times in a row since; still carries traffic, weighed down.
    Suspect = 2,
    /// Failed `dead_after` times in a row; carries no traffic until a check succeeds.
    Dead = 3,
}

impl State {
    /// Every state, in the order of its number.
    pub const ALL: [Self; 4] = [Self::New, Self::Healthy, Self::Suspect, Self::Dead];

    /// Whether a node in this state may carry client traffic.
    #[must_use]
    pub const fn routable(self) -> bool {
        matches!(self, Self::Healthy | Self::Suspect)
    }

    /// The name in logs, metrics and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Healthy => "healthy",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
        }
    }

    /// Reads [`State::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The state with this number, of which only the lowest two bits are read.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number & 3 {
            0 => Self::New,
            1 => Self::Healthy,
            2 => Self::Suspect,
            _ => Self::Dead,
        }
    }
}

/// The health and the measurements of a node at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Its health.
    pub state: State,
    /// Failures in a row by the node's own fault.
    pub failures: u32,
    /// When it was first listed.
    pub first_seen: Timestamp,
    /// The last success, of a probe or of traffic.
    pub last_ok: Option<Timestamp>,
    /// The last evidence of any kind that counted.
    pub last_checked: Option<Timestamp>,
    /// Since when it has been dead; only in [`State::Dead`].
    pub dead_since: Option<Timestamp>,
    /// Since when no source lists it; `None` while one does.
    pub unlisted_since: Option<Timestamp>,
    /// Smoothed duration of a probe through it, in microseconds' precision.
    pub latency: Option<Duration>,
    /// Smoothed share of failures, 0 to 1.
    pub error_rate: f32,
    /// The address that targets see.
    pub exit_ip: Option<IpAddr>,
    /// When the exit was last looked up.
    pub exit_seen: Option<Timestamp>,
    /// The country of the exit.
    pub country: Option<Country>,
    /// The last failure that counted, while the node has not recovered from it.
    pub failure: Option<LastFailure>,
    /// The code that says why no dialer can be built for it; such a node is kept, never probed, never routed.
    pub unsupported: Option<Code>,
    /// What it carries, for an HTTP proxy.
    pub http_ability: HttpAbility,
    /// Why and since when it carries no traffic whatever its health: it was caught tampering.
    pub quarantine: Option<Quarantine>,
}

impl Record {
    /// The same record with no point in time behind `now`: a stored time that lies in the future comes from a clock that
    /// was wrong, and waiting for it could take weeks.
    #[must_use]
    pub fn no_later_than(self, now: Timestamp) -> Self {
        let past = |time: Option<Timestamp>| time.map(|time| time.min(now));
        Self {
            first_seen: self.first_seen.min(now),
            last_ok: past(self.last_ok),
            last_checked: past(self.last_checked),
            dead_since: past(self.dead_since),
            unlisted_since: past(self.unlisted_since),
            exit_seen: past(self.exit_seen),
            quarantine: self.quarantine.map(|caught| Quarantine { since: caught.since.min(now), ..caught }),
            ..self
        }
    }

    /// Of two records of one node the one with the newer evidence, with what must not be forgotten of the other.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let evidence = |record: &Self| (record.last_checked, record.last_ok);
        let (newer, older) = if evidence(&self) >= evidence(&other) { (self, other) } else { (other, self) };
        Self {
            first_seen: newer.first_seen.min(older.first_seen),
            last_ok: newer.last_ok.max(older.last_ok),
            // A node that was caught tampering stays caught under any name.
            quarantine: newer.quarantine.or(older.quarantine),
            ..newer
        }
    }
}

/// A node was caught changing what passes through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// The stable code of what it did.
    pub code: Code,
    /// When it was last seen to do it.
    pub since: Timestamp,
}

/// Where a node failed last, and the stable code of the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// The stage that failed.
    pub stage: Stage,
    /// The stable code, as in docs/errors.md.
    pub code: Code,
}

/// One source that lists a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The source.
    pub source: SourceName,
    /// Whether the source allows private server addresses.
    pub allow_private: bool,
}
