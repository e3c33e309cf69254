//! Groups of nodes that a person selects from, and what is selected in one.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::{Country, NodeId, SourceName};

/// A group of nodes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// All nodes.
    Pool,
    /// The nodes whose exit is in this country.
    Country(Country),
    /// The nodes that this source lists.
    Source(SourceName),
}

/// What is selected in a group. A group in which nothing is selected uses any of its nodes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupMember {
    /// One node.
    Node(NodeId),
    /// The group of a country.
    Country(Country),
    /// The group of a source.
    Source(SourceName),
}

/// The text names no group, or nothing that can be selected in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("it is none of: pool, country:XX, source:NAME, node:ID")]
pub struct ParseGroupError;

impl fmt::Display for Group {
    /// The text that [`Group::from_str`] reads: `pool`, `country:DE` or `source:NAME`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool => f.write_str("pool"),
            Self::Country(country) => write!(f, "country:{}", String::from_utf8_lossy(country)),
            Self::Source(name) => write!(f, "source:{name}"),
        }
    }
}

impl FromStr for Group {
    type Err = ParseGroupError;

    fn from_str(text: &str) -> Result<Self, ParseGroupError> {
        match text.split_once(':') {
            None if text == "pool" => Ok(Self::Pool),
            Some(("country", letters)) => Ok(Self::Country(country(letters)?)),
            Some(("source", name)) if !name.is_empty() => Ok(Self::Source(name.into())),
            _ => Err(ParseGroupError),
        }
    }
}

impl fmt::Display for GroupMember {
    /// The text that [`GroupMember::from_str`] reads: `node:ID`, `country:DE` or `source:NAME`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(id) => write!(f, "node:{id}"),
            Self::Country(country) => write!(f, "country:{}", String::from_utf8_lossy(country)),
            Self::Source(name) => write!(f, "source:{name}"),
        }
    }
}

impl FromStr for GroupMember {
    type Err = ParseGroupError;

    fn from_str(text: &str) -> Result<Self, ParseGroupError> {
        match text.split_once(':') {
            Some(("node", id)) => id.parse().map(Self::Node).map_err(|_| ParseGroupError),
            Some(("country", letters)) => Ok(Self::Country(country(letters)?)),
            Some(("source", name)) if !name.is_empty() => Ok(Self::Source(name.into())),
            _ => Err(ParseGroupError),
        }
    }
}

fn country(letters: &str) -> Result<Country, ParseGroupError> {
    let code: Country = letters.as_bytes().try_into().map_err(|_| ParseGroupError)?;
    if code.iter().all(u8::is_ascii_uppercase) { Ok(code) } else { Err(ParseGroupError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_members_are_read_as_they_are_written() {
        for text in ["pool", "country:DE", "source:my list: two"] {
            assert_eq!(text.parse::<Group>().map(|group| group.to_string()).as_deref(), Ok(text));
        }
        for text in ["node:000102030405060708090a0b0c0d0e0f", "country:DE", "source:a:b"] {
            assert_eq!(text.parse::<GroupMember>().map(|member| member.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "POOL", "pool:", "country:de", "country:DEU", "source:", "node:DE"] {
            assert!(text.parse::<Group>().is_err() && text.parse::<GroupMember>().is_err(), "{text}");
        }
    }
}
