//! Whether a gateway accepts clients: yes, not for the moment, or never again because a successor does.

use std::time::Duration;

/// What the listeners of a gateway do with clients that come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Accepting {
    /// They are accepted.
    #[default]
    Yes,
    /// They wait at the listening sockets.
    Paused,
    /// Another process accepts them at the same sockets; what runs here may go on for this long.
    HandedOver {
        /// How long.
        longest: Duration,
    },
}

impl Accepting {
    /// Whether another process accepts clients from now on.
    pub(crate) const fn is_handed_over(self) -> bool {
        matches!(self, Self::HandedOver { .. })
    }
}
