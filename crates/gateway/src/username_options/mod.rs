//! Options that a client writes behind its user name: `alice-country-de-session-abc12-sesstime-30-strategy-random`.
//!
//! `-key-value` pairs in any order. The separator is the hyphen, so no value contains one, except the names of
//! strategies (`strategy-round-robin`). Other vendors' spellings of the same things are understood too, so that a client
//! written for one of them works as it is: see [`keys`] and [`UserOptions::short`].

use std::{num::NonZeroU32, time::Duration};

use hezar_pool::{Anonymity, CityKey, Strategy};

mod countries;
mod keys;
#[cfg(test)]
mod tests;

use keys::{Key, key};

use crate::OptionError;

/// The most countries of one name.
const MOST_COUNTRIES: usize = 16;
/// The longest session, in seconds: 30 days.
const LONGEST_SESSION: u64 = 30 * 86_400;

/// What a client asks for in its user name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserOptions {
    /// The countries the traffic may leave from (ISO 3166-1 alpha-2, upper case), at most 16; empty = any.
    pub countries: Vec<[u8; 2]>,
    /// The session whose requests share one exit: 1 to 64 letters, digits or underscores, or the name of an account,
    /// which is any text.
    pub session: Option<Box<str>>,
    /// How long the session lasts: 1 second to 30 days.
    pub session_ttl: Option<Duration>,
    /// Whether each use gives the session its full time again.
    pub session_renew: bool,
    /// The autonomous system that the traffic leaves from (RFC 6793).
    pub asn: Option<NonZeroU32>,
    /// The city that the traffic leaves from, as the client wrote it.
    pub city: Option<Box<str>>,
    /// How a node is chosen.
    pub strategy: Option<Strategy>,
    /// Only nodes that are known to give away no more than this to the targets of plain requests.
    pub anonymity: Option<Anonymity>,
}

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

    /// Reads pairs with other separators than hyphens.
    ///
    /// # Errors
    /// As [`UserOptions::parse`].
    pub(crate) fn parse_with(text: &str, separators: &[char]) -> Result<Self, OptionError> {
        Self::pairs(&text.replace(separators, "-"))
    }

    /// Reads pairs, and nothing that has no key.
    ///
    /// # Errors
    /// As [`UserOptions::parse`].
    pub(crate) fn pairs(text: &str) -> Result<Self, OptionError> {
        let mut options = Self::default();
        let mut words = text.split('-').peekable();
        if text.is_empty() {
            return Ok(options);
        }
        while let Some(word) = words.next() {
            let (name, key) = key(word).ok_or(OptionError::UnknownKey)?;
            match key {
                Key::Flag => continue,
                Key::Renew => {
                    options.session_renew = true;
                    continue;
                }
                _ => {}
            }
            let value = words.next().filter(|value| !value.is_empty()).ok_or(OptionError::MissingValue(name))?;
            match key {
                Key::Country => set_countries(&mut options.countries, name, countries(value)?)?,
                Key::Region => set_countries(&mut options.countries, name, region(value)?)?,
                Key::Session => set(&mut options.session, name, session(value)?)?,
                Key::Minutes => set(&mut options.session_ttl, name, time(value, 60)?)?,
                Key::Seconds => set(&mut options.session_ttl, name, time(value, 1)?)?,
                Key::Asn => set(&mut options.asn, name, asn(value)?)?,
                Key::City => set(&mut options.city, name, city(value)?)?,
                Key::Anonymity => {
                    let level = value.parse().map_err(|_| OptionError::Anonymity)?;
                    set(&mut options.anonymity, name, level)?;
                }
                Key::Ignored | Key::Flag | Key::Renew => {}
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
        let land = country(first);
        let last = if land.is_some() { rest } else { rest.is_none().then_some(text) };
        let session = match last {
            None if land.is_some() => None,
            Some("rotate") => None,
            Some(number) if number.len() <= 20 && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
                Some(number.into())
            }
            _ => return None,
        };
        Some(Self { countries: land.into_iter().collect(), session, ..Self::default() })
    }

    /// These, and what `general` says where these say nothing.
    #[must_use]
    pub(crate) fn or(self, general: &Self) -> Self {
        Self {
            countries: if self.countries.is_empty() { general.countries.clone() } else { self.countries },
            session: self.session.or_else(|| general.session.clone()),
            session_ttl: self.session_ttl.or(general.session_ttl),
            session_renew: self.session_renew || general.session_renew,
            asn: self.asn.or(general.asn),
            city: self.city.or_else(|| general.city.clone()),
            strategy: self.strategy.or(general.strategy),
            anonymity: self.anonymity.or(general.anonymity),
        }
    }

    /// These, and what `other` has that these have not.
    ///
    /// # Errors
    /// [`OptionError::Twice`] when both say the same thing.
    pub(crate) fn with(mut self, other: Self) -> Result<Self, OptionError> {
        if !other.countries.is_empty() {
            set_countries(&mut self.countries, "country", other.countries)?;
        }
        merge(&mut self.session, other.session, "session")?;
        merge(&mut self.session_ttl, other.session_ttl, "sesstime")?;
        self.session_renew |= other.session_renew;
        merge(&mut self.asn, other.asn, "asn")?;
        merge(&mut self.city, other.city, "city")?;
        merge(&mut self.strategy, other.strategy, "strategy")?;
        merge(&mut self.anonymity, other.anonymity, "anonymity")?;
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

fn set_countries(slot: &mut Vec<[u8; 2]>, key: &'static str, value: Vec<[u8; 2]>) -> Result<(), OptionError> {
    if !slot.is_empty() {
        return Err(OptionError::Twice(key));
    }
    *slot = value;
    Ok(())
}

/// `de`, `de,nl`, a name as `UnitedStates`, or a word for all countries, which gives none.
fn countries(value: &str) -> Result<Vec<[u8; 2]>, OptionError> {
    if countries::means_any(value) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for word in value.split([',', '+']) {
        let code = country(word).or_else(|| countries::named(word)).ok_or(OptionError::Country)?;
        if !found.contains(&code) {
            found.push(code);
        }
    }
    if found.len() <= MOST_COUNTRIES { Ok(found) } else { Err(OptionError::Country) }
}

/// Some vendors call the country a region; with the others a region is a part of one.
fn region(value: &str) -> Result<Vec<[u8; 2]>, OptionError> {
    countries(value).map_err(|_| OptionError::TooFine)
}

fn country(value: &str) -> Option<[u8; 2]> {
    let code: [u8; 2] = value.as_bytes().try_into().ok()?;
    if !code.iter().all(u8::is_ascii_alphabetic) {
        return None;
    }
    match &code.map(|letter| letter.to_ascii_uppercase()) {
        // Not in the standard, and everywhere in use.
        b"UK" => Some(*b"GB"),
        code => Some(*code),
    }
}

/// A session name, as in the option `session`.
fn session(value: &str) -> Result<Box<str>, OptionError> {
    let length = (1..=64).contains(&value.len());
    let fits = length && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits { Ok(value.into()) } else { Err(OptionError::Session) }
}

/// The number of an autonomous system: `13335` or `AS13335`.
fn asn(value: &str) -> Result<NonZeroU32, OptionError> {
    let digits = value.split_at_checked(2).filter(|(front, _)| front.eq_ignore_ascii_case("as"));
    digits.map_or(value, |(_, digits)| digits).parse().map_err(|_| OptionError::Asn)
}

/// The name of a city, with anything between its words but a hyphen.
fn city(value: &str) -> Result<Box<str>, OptionError> {
    CityKey::from_name(value).map(|_| value.into()).ok_or(OptionError::City)
}

/// A number with a unit, or a number of `bare` seconds.
fn time(value: &str, bare: u64) -> Result<Duration, OptionError> {
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (digits, unit) = value.split_at(end);
    let number: u64 = digits.parse().ok().filter(|_| digits.len() <= 7).ok_or(OptionError::SessionTime)?;
    let seconds = match unit {
        "" => number * bare,
        "s" => number,
        "m" => number * 60,
        "h" => number * 3600,
        "d" => number * 86_400,
        _ => return Err(OptionError::SessionTime),
    };
    if !(1..=LONGEST_SESSION).contains(&seconds) {
        return Err(OptionError::SessionTime);
    }
    Ok(Duration::from_secs(seconds))
}
