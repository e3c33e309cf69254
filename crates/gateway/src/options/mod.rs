//! Options that a client writes behind its user name: `alice-country-de-session-abc12-sesstime-30-strategy-random`.
//!
//! `-key-value` pairs in any order. The separator is the hyphen, so no value contains one, except the names of
//! strategies (`strategy-round-robin`). Other vendors' spellings of the same things are understood too, so that a client
//! written for one of them works as it is: see [`KEYS`] and [`UserOptions::short`].

use std::time::Duration;

use hezar_pool::Strategy;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// What a client asks for in its user name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserOptions {
    /// The country the traffic must leave from: ISO 3166-1 alpha-2, upper case.
    pub country: Option<[u8; 2]>,
    /// The session whose requests share one exit: 1 to 64 letters, digits or underscores.
    pub session: Option<Box<str>>,
    /// How long the session lasts: 1 minute to 7 days.
    pub session_ttl: Option<Duration>,
    /// How a node is chosen.
    pub strategy: Option<Strategy>,
}

/// Which option cannot be read. Shown to the client, so it repeats nothing that the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionError {
    /// The key is none of those known.
    #[error("unknown option; known are country, session, sesstime and strategy")]
    UnknownKey,
    /// A key without a value.
    #[error("the option {0} has no value")]
    MissingValue(&'static str),
    /// The key occurs twice.
    #[error("the option {0} occurs twice")]
    Twice(&'static str),
    /// Not a country code.
    #[error("country must be two letters (ISO 3166), for example country-de")]
    Country,
    /// Not a session name.
    #[error("session must be 1 to 64 letters, digits or underscores")]
    Session,
    /// Not a length of time.
    #[error("sesstime must be a number of minutes from 1 to 1440, or one with a unit up to 7d: 90s, 30m, 12h")]
    SessionTime,
    /// Not a strategy.
    #[error(
        "strategy must be one of smart, round-robin, random, least-latency, least-connections, consistent-hash, sticky"
    )]
    Strategy,
    /// Asked of a vendor that sells places smaller than countries.
    #[error("only countries can be chosen, not cities, states or networks")]
    TooFine,
}

#[derive(Clone, Copy)]
enum Key {
    Country,
    Session,
    Time,
    Strategy,
    /// Means something to its vendor's billing only.
    Ignored,
    TooFine,
}

/// Every key: ours, then Oxylabs' (`cc`, `sessid`), Decodo's (`sessionduration`), Geonode's and IPRoyal's (`lifetime`),
/// helodata's (`region`), Bright Data's (`zone`).
const KEYS: [(&str, Key); 15] = [
    ("country", Key::Country),
    ("session", Key::Session),
    ("sesstime", Key::Time),
    ("strategy", Key::Strategy),
    ("cc", Key::Country),
    ("region", Key::Country),
    ("sessid", Key::Session),
    ("sessionduration", Key::Time),
    ("lifetime", Key::Time),
    ("zone", Key::Ignored),
    ("city", Key::TooFine),
    ("state", Key::TooFine),
    ("st", Key::TooFine),
    ("zip", Key::TooFine),
    ("asn", Key::TooFine),
];

/// The strategy with this name, in letters of any case.
fn strategy(name: &str) -> Option<Strategy> {
    Strategy::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
}

impl UserOptions {
    /// Reads `key-value-key-value…` (what follows the name and its hyphen). The empty text has no options.
    ///
    /// # Errors
    /// [`OptionError`]: the first pair that cannot be read.
    pub fn parse(text: &str) -> Result<Self, OptionError> {
        Self::pairs(text).or_else(|error| Self::short(text).ok_or(error))
    }

    fn pairs(text: &str) -> Result<Self, OptionError> {
        let mut options = Self::default();
        let mut words = text.split('-').peekable();
        if text.is_empty() {
            return Ok(options);
        }
        while let Some(word) = words.next() {
            let known = KEYS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
            let (name, key) = known.ok_or(OptionError::UnknownKey)?;
            let value = words.next().filter(|value| !value.is_empty()).ok_or(OptionError::MissingValue(name))?;
            match key {
                Key::Country => set(&mut options.country, name, country(value)?)?,
                Key::Session => set(&mut options.session, name, session(value)?)?,
                Key::Time => set(&mut options.session_ttl, name, time(value)?)?,
                Key::Ignored => {}
                Key::TooFine => return Err(OptionError::TooFine),
                Key::Strategy => {
                    let two_words = words.peek().and_then(|next| strategy(&format!("{value}-{next}")));
                    if two_words.is_some() {
                        words.next();
                    }
                    let chosen = two_words.or_else(|| strategy(value)).ok_or(OptionError::Strategy)?;
                    set(&mut options.strategy, name, chosen)?;
                }
            }
        }
        Ok(options)
    }

    /// Reads the short form without keys: `us`, `us-1234`, `us-rotate`, `1234`, `rotate` (Webshare; the number is a
    /// session).
    fn short(text: &str) -> Option<Self> {
        let (first, rest) = text.split_once('-').map_or((text, None), |(first, rest)| (first, Some(rest)));
        let land = country(first).ok();
        let last = if land.is_some() { rest } else { rest.is_none().then_some(text) };
        let session = match last {
            None if land.is_some() => None,
            Some("rotate") => None,
            Some(number) if number.len() <= 20 && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
                Some(number.into())
            }
            _ => return None,
        };
        Some(Self { country: land, session, ..Self::default() })
    }

    /// These, and what `other` has that these have not.
    ///
    /// # Errors
    /// [`OptionError::Twice`] when both say the same thing.
    pub(crate) fn with(mut self, other: Self) -> Result<Self, OptionError> {
        merge(&mut self.country, other.country, "country")?;
        merge(&mut self.session, other.session, "session")?;
        merge(&mut self.session_ttl, other.session_ttl, "sesstime")?;
        merge(&mut self.strategy, other.strategy, "strategy")?;
        Ok(self)
    }
}

fn merge<T>(slot: &mut Option<T>, value: Option<T>, key: &'static str) -> Result<(), OptionError> {
    value.map_or(Ok(()), |value| set(slot, key, value))
}

fn set<T>(slot: &mut Option<T>, key: &'static str, value: T) -> Result<(), OptionError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(OptionError::Twice(key)),
    }
}

fn country(value: &str) -> Result<[u8; 2], OptionError> {
    let code: [u8; 2] = value.as_bytes().try_into().map_err(|_| OptionError::Country)?;
    if !code.iter().all(u8::is_ascii_alphabetic) {
        return Err(OptionError::Country);
    }
    Ok(code.map(|letter| letter.to_ascii_uppercase()))
}

/// A session name, as in the option `session`.
pub(crate) fn session(value: &str) -> Result<Box<str>, OptionError> {
    let length = (1..=64).contains(&value.len());
    let fits = length && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits { Ok(value.into()) } else { Err(OptionError::Session) }
}

/// Minutes, or a number with a unit.
fn time(value: &str) -> Result<Duration, OptionError> {
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (digits, unit) = value.split_at(end);
    let number: u64 = digits.parse().ok().filter(|_| digits.len() <= 6).ok_or(OptionError::SessionTime)?;
    let (seconds, most) = match unit {
        "" => (number * 60, 86_400),
        "s" => (number, 7 * 86_400),
        "m" => (number * 60, 7 * 86_400),
        "h" => (number * 3600, 7 * 86_400),
        "d" => (number * 86_400, 7 * 86_400),
        _ => return Err(OptionError::SessionTime),
    };
    if !(1..=most).contains(&seconds) {
        return Err(OptionError::SessionTime);
    }
    Ok(Duration::from_secs(seconds))
}
