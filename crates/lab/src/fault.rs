//! The ways in which an upstream server can misbehave.

use std::time::Duration;

/// What a server does to the connections that it accepts from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Serves.
    #[default]
    Healthy,
    /// Nothing listens: connecting is refused, and open connections are dropped as if the process had died.
    Refused,
    /// Accepts, reads and never answers.
    Mute,
    /// Accepts and closes at once.
    AcceptThenClose,
    /// Accepts and resets at once.
    Reset,
    /// Answers the first bytes with noise and closes.
    Garbage,
    /// Serves after this pause.
    Slow(Duration),
    /// Refuses every credential, as its protocol does that; a kind without credentials refuses every client.
    WrongCredential,
    /// Says of every target that it refuses connections, where its protocol has words for that.
    DenyTargets,
    /// Serves, and resets the connection after this many bytes from the target to the client.
    DieAfter(u64),
    /// Serves, and goes silent after this many bytes from the target to the client.
    HangAfter(u64),
    /// Serves, and closes the connection after this many bytes from the target to the client.
    CloseAfter(u64),
    /// Says yes to every target, takes everything, and nothing ever comes back; the target hears nothing.
    Hung,
    /// Says yes to every target and closes when the first byte for it arrives.
    CloseOnData,
    /// Says yes to every target and resets when the first byte for it arrives.
    ResetOnData,
    /// Says yes to every target and answers the first bytes for it with noise.
    Noise,
    /// Serves, this many bytes a second from the target to the client.
    Throttled(u32),
    /// Serves for this long, then is mute for this long, and so on.
    Flapping(Duration),
    /// Serves, and changes the bodies of what targets say in clear.
    TamperBody,
    /// Serves, and answers TLS handshakes itself, with a certificate of its own.
    TamperTls,
}

impl Fault {
    /// Whether a request through the server can succeed, given time.
    #[must_use]
    pub const fn serves(self) -> bool {
        matches!(self, Self::Healthy | Self::Slow(_) | Self::Throttled(_))
    }

    /// Whether connections end with a reset.
    pub(crate) const fn resets(self) -> bool {
        matches!(self, Self::Reset | Self::DieAfter(_) | Self::ResetOnData)
    }
}
