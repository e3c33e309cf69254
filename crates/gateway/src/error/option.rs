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
    #[error("unknown option; known are country, session, sesstime, sessrenew, strategy, anonymity, asn and city")]
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
    /// Not the number of a network.
    #[error("asn must be the number of an autonomous system, for example asn-13335")]
    Asn,
    /// Not the name of a city.
    #[error("city must be the name of a city without a hyphen, for example city-frankfurt_am_main")]
    City,
    /// There is no database of the networks or the cities of exits.
    #[error(
        "{0} cannot be chosen here: there is no database of exits' networks or cities (geo.asn_mmdb, geo.city_mmdb)"
    )]
    NoDatabase(&'static str),
    /// Asked of a vendor that sells places that are known here of no exit.
    #[error("only countries, cities and networks can be chosen, not states, providers or single addresses")]
    TooFine,
}
