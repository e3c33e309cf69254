//! The health of a node.

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
