//! The number of a session, as the API, the log and `Proxy-Status` write it.

use std::{fmt, str::FromStr};

/// The number of a session: a hash of its names, the same in every build and on every machine. Its text is 16
/// hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub(super) u64);

/// A text that is not 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("16 hexadecimal digits are expected")]
pub struct ParseSessionIdError;

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for SessionId {
    type Err = ParseSessionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_well_formed = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u64::from_str_radix(text, 16).map_err(|_| ParseSessionIdError)?;
        if is_well_formed { Ok(Self(number)) } else { Err(ParseSessionIdError) }
    }
}
