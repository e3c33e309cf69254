//! Options that a client writes behind its user name: `alice-country-de-session-abc12-sesstime-30-strategy-random`.
//!
//! `-key-value` pairs in any order. The separator is the hyphen, so no value contains one, except the names of
//! strategies (`strategy-round-robin`). Other vendors' spellings are translated elsewhere.

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
    /// The session whose requests share one node: 1 to 64 letters, digits or underscores.
    pub session: Option<Box<str>>,
    /// How long the session lasts: 1 to 1440 minutes.
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
    /// Not a number of minutes.
    #[error("sesstime must be a number of minutes from 1 to 1440")]
    SessionTime,
    /// Not a strategy.
    #[error(
        "strategy must be one of smart, round-robin, random, least-latency, least-connections, consistent-hash, sticky"
    )]
    Strategy,
}

const KEYS: [&str; 4] = ["country", "session", "sesstime", "strategy"];

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
        let mut options = Self::default();
        let mut words = text.split('-').peekable();
        if text.is_empty() {
            return Ok(options);
        }
        while let Some(word) = words.next() {
            let key = KEYS.into_iter().find(|key| key.eq_ignore_ascii_case(word)).ok_or(OptionError::UnknownKey)?;
            let value = words.next().filter(|value| !value.is_empty()).ok_or(OptionError::MissingValue(key))?;
            match key {
                "country" => set(&mut options.country, key, country(value)?)?,
                "session" => set(&mut options.session, key, session(value)?)?,
                "sesstime" => set(&mut options.session_ttl, key, minutes(value)?)?,
                _ => {
                    let two_words = words.peek().and_then(|next| strategy(&format!("{value}-{next}")));
                    if two_words.is_some() {
                        words.next();
                    }
                    let chosen = two_words.or_else(|| strategy(value)).ok_or(OptionError::Strategy)?;
                    set(&mut options.strategy, key, chosen)?;
                }
            }
        }
        Ok(options)
    }
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

fn session(value: &str) -> Result<Box<str>, OptionError> {
    let fits = value.len() <= 64 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits { Ok(value.into()) } else { Err(OptionError::Session) }
}

fn minutes(value: &str) -> Result<Duration, OptionError> {
    let digits = value.len() <= 4 && value.bytes().all(|b| b.is_ascii_digit());
    let minutes: u64 = value.parse().ok().filter(|_| digits).ok_or(OptionError::SessionTime)?;
    if !(1..=1440).contains(&minutes) {
        return Err(OptionError::SessionTime);
    }
    Ok(Duration::from_secs(minutes * 60))
}
