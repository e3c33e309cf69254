//! The types that a setting may have.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{
    Given, Mistake, listen_address,
    text::{ADDRESS_EXAMPLES, read_bytes, read_duration, show_duration},
};
use crate::Secret;

/// A type that a setting may have.
pub trait SettingValue: PartialEq + Sized {
    /// Which values are allowed; `()` where the type alone decides.
    type Range;
    /// The types that a value may have, as a JSON schema names them.
    const JSON_TYPES: &'static [&'static str] = &["string"];
    /// Whether errors tell nothing of a wrong text, since most of it may be a secret.
    const HIDES_WRONG_TEXT: bool = false;

    /// Reads a value.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    fn read(given: &Given, range: &Self::Range) -> Result<Self, Vec<Mistake>> {
        Self::parse(given, range).ok_or_else(|| {
            let expected = Self::expected(range);
            let hides = Self::HIDES_WRONG_TEXT && given.text().is_some();
            vec![if hides { Mistake::Message(format!("it is not {expected}")) } else { Mistake::Expected(expected) }]
        })
    }

    /// Reads a value; `None` when it is not what is expected.
    fn parse(given: &Given, range: &Self::Range) -> Option<Self>;

    /// Which values are allowed, as an error text says it: "expected …".
    fn expected(range: &Self::Range) -> String;

    /// The value as it may be shown, without secrets; `None` when there is nothing to show.
    fn write(&self) -> Option<Given>;

    /// All values, where there are only a few with a name each.
    #[must_use]
    fn choices() -> Vec<&'static str> {
        Vec::new()
    }
}

/// A type whose setting may be absent.
pub trait Optional: SettingValue {
    /// Whether the empty text stands for "none".
    const EMPTY_IS_NONE: bool = false;
}

impl<T: Optional> SettingValue for Option<T> {
    type Range = T::Range;
    const JSON_TYPES: &'static [&'static str] = T::JSON_TYPES;

    fn read(given: &Given, range: &T::Range) -> Result<Self, Vec<Mistake>> {
        if T::EMPTY_IS_NONE && given.text().is_some_and(str::is_empty) {
            return Ok(None);
        }
        T::read(given, range).map(Some).map_err(|mistakes| {
            let optional = |mistake| match mistake {
                Mistake::Expected(_) => Mistake::Expected(Self::expected(range)),
                message @ Mistake::Message(_) => message,
            };
            mistakes.into_iter().map(optional).collect()
        })
    }

    fn parse(given: &Given, range: &T::Range) -> Option<Self> {
        Self::read(given, range).ok()
    }

    fn expected(range: &T::Range) -> String {
        let expected = T::expected(range);
        if T::EMPTY_IS_NONE { format!("{expected}, or \"\" for none") } else { expected }
    }

    fn write(&self) -> Option<Given> {
        match self {
            Some(value) => value.write(),
            None => T::EMPTY_IS_NONE.then(|| Given::Text(String::new())),
        }
    }
}

impl SettingValue for bool {
    type Range = ();
    const JSON_TYPES: &'static [&'static str] = &["boolean"];

    fn parse(given: &Given, (): &()) -> Option<Self> {
        match given {
            Given::Boolean(on) => Some(*on),
            Given::Variable(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    fn expected((): &()) -> String {
        "true or false".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Boolean(*self))
    }
}

impl Optional for bool {}

macro_rules! whole_numbers {
    ($($type:ty),*) => {$(
        impl SettingValue for $type {
            type Range = RangeInclusive<Self>;
            const JSON_TYPES: &'static [&'static str] = &["integer"];

            fn parse(given: &Given, range: &Self::Range) -> Option<Self> {
                let number: i64 = match given {
                    Given::Integer(number) => *number,
                    Given::Variable(text) => text.trim().parse().ok()?,
                    _ => return None,
                };
                Self::try_from(number).ok().filter(|number| range.contains(number))
            }

            fn expected(range: &Self::Range) -> String {
                format!("a whole number from {} to {}", range.start(), range.end())
            }

            fn write(&self) -> Option<Given> {
                Some(Given::Integer(i64::try_from(*self).unwrap_or(i64::MAX)))
            }
        }

        impl Optional for $type {}
    )*};
}

whole_numbers!(u16, u32, u64, usize);

/// A number of bytes, which may be written with a unit: `4096`, `"64KiB"`, `"32MiB"`, `"1GiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteCount(pub u64);

impl SettingValue for ByteCount {
    type Range = RangeInclusive<u64>;
    const JSON_TYPES: &'static [&'static str] = &["integer", "string"];

    fn parse(given: &Given, range: &Self::Range) -> Option<Self> {
        let number = match given {
            Given::Integer(number) => u64::try_from(*number).ok()?,
            given => read_bytes(given.text()?)?,
        };
        range.contains(&number).then_some(Self(number))
    }

    fn expected(range: &Self::Range) -> String {
        format!("a size from {} to {} bytes, such as \"32MiB\"", range.start(), range.end())
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Integer(i64::try_from(self.0).unwrap_or(i64::MAX)))
    }
}

impl Optional for ByteCount {}

impl SettingValue for Duration {
    type Range = RangeInclusive<Self>;

    fn parse(given: &Given, range: &Self::Range) -> Option<Self> {
        read_duration(given.text()?).filter(|duration| range.contains(duration))
    }

    fn expected(range: &Self::Range) -> String {
        let (from, to) = (show_duration(*range.start()), show_duration(*range.end()));
        format!("a duration from {from} to {to}, such as \"30s\" or \"1h30m\"")
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(show_duration(*self)))
    }
}

impl Optional for Duration {}

impl SettingValue for String {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        given.text().map(str::to_owned)
    }

    fn expected((): &()) -> String {
        "a text".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(self.clone()))
    }
}

impl Optional for String {}

impl SettingValue for Secret {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        given.text().map(Self::new)
    }

    fn expected((): &()) -> String {
        "a text".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::hidden())
    }
}

impl Optional for Secret {}

impl SettingValue for PathBuf {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        given.text().map(Self::from)
    }

    fn expected((): &()) -> String {
        "a path".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(self.display().to_string()))
    }
}

impl Optional for PathBuf {
    const EMPTY_IS_NONE: bool = true;
}

/// An address to listen on; a port alone means loopback.
impl SettingValue for SocketAddr {
    type Range = ();
    const JSON_TYPES: &'static [&'static str] = &["string", "integer"];

    fn read(given: &Given, range: &()) -> Result<Self, Vec<Mistake>> {
        let read = match given {
            Given::Integer(port) => listen_address(&port.to_string()),
            given => match given.text() {
                Some(text) => listen_address(text),
                None => return Err(vec![Mistake::Expected(Self::expected(range))]),
            },
        };
        read.map_err(|message| vec![Mistake::Message(message)])
    }

    fn parse(given: &Given, range: &()) -> Option<Self> {
        Self::read(given, range).ok()
    }

    fn expected((): &()) -> String {
        ADDRESS_EXAMPLES.to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(self.to_string()))
    }
}

impl Optional for SocketAddr {}

impl SettingValue for Vec<String> {
    type Range = ();
    const JSON_TYPES: &'static [&'static str] = &["array"];

    fn parse(given: &Given, (): &()) -> Option<Self> {
        match given {
            Given::List(values) => values.iter().map(|value| value.text().map(str::to_owned)).collect(),
            Given::Text(text) => Some(vec![text.clone()]),
            Given::Variable(text) => {
                Some(text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect())
            }
            _ => None,
        }
    }

    fn expected((): &()) -> String {
        "a list of texts".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::List(self.iter().cloned().map(Given::Text).collect()))
    }
}
