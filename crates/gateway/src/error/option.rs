//! Why an option in a user name cannot be read.

use thiserror::Error;

/// Which option cannot be read. Shown to the client, so it repeats nothing that the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionError {
    /// The whole name is too long, or holds what no name holds.
    #[error("the user name must be at most 255 bytes long and without control characters")]
    Name,
    /// The key is none of those known.
    #[error("unknown option; known are country, session, sesstime, strategy and anonymity")]
    UnknownKey,
    /// A key without a value.
    #[error("the option {0} has no value")]
    MissingValue(&'static str),
    /// The key occurs twice.
    #[error("the option {0} occurs twice")]
    Twice(&'static str),
    /// Not a country code.
    #[error("country must be two letters (ISO 3166) or at most 16 of them, for example country-de or country-de,nl")]
    Country,
    /// Not a session name.
    #[error("session must be 1 to 64 letters, digits or underscores")]
    Session,
    /// Not a length of time.
    #[error("sesstime must be a number of minutes from 1 to 43200, or one with a unit up to 30d: 90s, 30m, 12h")]
    SessionTime,
    /// Not a strategy.
    #[error("strategy must be one of {}", hezar_pool::Strategy::ALL.map(hezar_pool::Strategy::name).join(", "))]
    Strategy,
    /// Not a level of anonymity.
    #[error("anonymity must be one of elite, anonymous and transparent: the most that a node may give away")]
    Anonymity,
    /// Asked of a vendor that sells places smaller than countries.
    #[error("only countries can be chosen, not cities, states, networks or single addresses")]
    TooFine,
}
