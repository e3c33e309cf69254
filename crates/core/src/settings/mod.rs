//! Settings that each crate describes once: name, text, default and range of every key. The parser and its errors,
//! `hezar init`, `config show`, the comparison of two configurations and docs/settings.md are made from these descriptions.

mod given;
mod macros;
mod networks;
mod text;
mod urls;
mod value;
mod words;

pub use given::{Given, Mistake, quote};
pub use networks::{Network, Networks, NotANetwork};
pub use text::{ADDRESS_EXAMPLES, is_public, listen_address, read_bytes, read_duration, show_duration};
pub use urls::{http_url, known_url};
pub use value::{ByteCount, Optional, SettingValue};
pub use words::country_code;

/// One setting of a struct: everything that is known about it, and how it is read and written.
#[derive(Debug)]
pub struct Setting<S> {
    /// The section of the struct.
    pub home: &'static str,
    /// The key, or `section.key` when it stands in another section.
    pub path: &'static str,
    /// What it means, line by line. The first line is the comment in the template.
    pub doc: &'static [&'static str],
    /// Whether the template sets it, instead of showing it in a comment.
    pub set: bool,
    /// What the template shows (in TOML) where the default would say little.
    pub example: Option<&'static str>,
    /// Which values are allowed, as error texts say it.
    pub expected: fn() -> String,
    /// All values, where there are only a few with a name each.
    pub choices: fn() -> Vec<&'static str>,
    /// The types that a value may have, as a JSON schema names them.
    pub json_types: &'static [&'static str],
    /// Takes a value that was given. When it fails, the struct stays as it was.
    pub read: fn(&mut S, &Given) -> Result<(), Vec<Mistake>>,
    /// The value as it may be shown; `None` when there is nothing to show.
    pub write: fn(&S) -> Option<Given>,
    /// Whether two structs agree about it.
    pub equal: fn(&S, &S) -> bool,
}

impl<S> Setting<S> {
    /// The section that the key stands in, such as `proxy`.
    #[must_use]
    pub fn section(&self) -> &'static str {
        self.path.split_once('.').map_or(self.home, |(section, _)| section)
    }

    /// The key in its section.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(_, key)| key)
    }
}

/// A struct made by [`settings!`](crate::settings!).
pub trait Settings: Default + 'static {
    /// All settings in the order of the template.
    const ALL: &'static [Setting<Self>];

    /// The settings about which two structs do not agree.
    fn differences<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'static Setting<Self>> + use<'a, Self> {
        Self::ALL.iter().filter(move |setting| !(setting.equal)(self, other))
    }
}

/// Whether the mark of a setting is `set`; for [`settings!`](crate::settings!).
#[doc(hidden)]
#[must_use]
pub const fn is_set(mark: &str) -> bool {
    matches!(mark.as_bytes(), b"set")
}

#[cfg(test)]
mod tests;
