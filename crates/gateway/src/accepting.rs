//! Whether a gateway accepts clients: yes, not for the moment, or never again because a successor does.

/// What the listeners of a gateway do with clients that come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Accepting {
    /// They are accepted.
    #[default]
    Yes,
    /// They wait at the listening sockets.
    Paused,
    /// Another process accepts them at the same sockets; what runs here may go on for a time.
    HandedOver,
}
