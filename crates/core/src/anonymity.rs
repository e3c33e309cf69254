//! How much the target of a plain request learns about the client from the headers that an HTTP proxy adds.

use std::str::FromStr;

use thiserror::Error;

/// What a node gives away, from the most to the least. A tunnel adds no header, so a node that carries plain requests in
/// tunnels alone is [`Elite`](Self::Elite).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Anonymity {
    /// It tells our own address, as in `X-Forwarded-For` or `Forwarded` (RFC 7239).
    Transparent,
    /// It tells that it is a proxy, as in `Via` (RFC 9110 §7.6.3), and not our address.
    Anonymous,
    /// It adds nothing that tells either.
    Elite,
}

impl Anonymity {
    /// Every level, from the most that is given away to the least.
    pub const ALL: [Self; 3] = [Self::Transparent, Self::Anonymous, Self::Elite];

    /// The name in the configuration, user names and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transparent => "transparent",
            Self::Anonymous => "anonymous",
            Self::Elite => "elite",
        }
    }

    /// Whether a node meets this level as a minimum; `known` is what is known of the node. One of which nothing is known
    /// may be transparent.
    #[must_use]
    pub fn is_met_by(self, known: Option<Self>) -> bool {
        known.unwrap_or(Self::Transparent) >= self
    }
}

/// The text names no level of anonymity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the anonymity is one of elite, anonymous and transparent")]
pub struct ParseAnonymityError;

impl FromStr for Anonymity {
    type Err = ParseAnonymityError;

    fn from_str(text: &str) -> Result<Self, ParseAnonymityError> {
        Self::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(text)).ok_or(ParseAnonymityError)
    }
}
