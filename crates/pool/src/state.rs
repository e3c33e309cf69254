//! The health of a node, and the rules by which it changes.

use std::time::Duration;

use crate::Bounds;

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

    /// The state with this number.
    pub(crate) const fn from_number(number: u8) -> Self {
        match number & 3 {
            0 => Self::New,
            1 => Self::Healthy,
            2 => Self::Suspect,
            _ => Self::Dead,
        }
    }
}

/// The thresholds of the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Failures in a row after which a node is dead; at least 1. The last of them must be a probe's: traffic alone
    /// makes a node suspect, never dead, because only a probe knows whether our own uplink is the culprit.
    pub dead_after: u32,
    /// A node that no source lists is dropped after being dead (or never usable) for so long.
    pub forget_after: Duration,
    /// A node that never worked and that no source lists is dropped after so long, if that is sooner: a list that
    /// changes all the time must not fill the pool.
    pub forget_unproven_after: Duration,
    /// How many nodes there may be.
    pub bounds: Bounds,
    /// Whether nodes that take any certificate are used; else they count as unsupported, with the code
    /// [`INSECURE`](crate::INSECURE).
    pub allow_insecure: bool,
    /// How quickly old measurements lose weight: after this time a measurement counts 37 % (1/e) of what it did.
    pub memory: Duration,
    /// Pinned sessions kept; beyond it the least recently used ones are forgotten.
    pub sessions: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            dead_after: 3,
            forget_after: Duration::from_secs(72 * 3600),
            forget_unproven_after: Duration::from_secs(60),
            bounds: Bounds::default(),
            allow_insecure: true,
            memory: Duration::from_secs(300),
            sessions: 65_536,
        }
    }
}
