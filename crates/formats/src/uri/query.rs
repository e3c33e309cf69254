//! Reads the parameters of a link in any spelling, and writes them.

use std::{borrow::Cow, fmt::Write as _};

use super::{escape, unescape};
use crate::field;

/// The most parameters read from one link.
const MAX_PAIRS: usize = 256;

/// Decoded parameters in their order.
#[derive(Debug, Default)]
pub(crate) struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// Splits `key=value&key=value`.
    pub(crate) fn parse(text: &'a str) -> Self {
        if text.is_empty() {
            return Self::default();
        }
        let pair = |part: &'a str| {
            // `&amp;` that was never unescaped, perhaps twice.
            let part = part.trim_start_matches("amp;");
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (unescape(key), unescape(value))
        };
        let mut pairs = Vec::with_capacity(16);
        pairs.extend(text.split('&').filter(|part| !part.is_empty()).take(MAX_PAIRS).map(pair));
        Self { pairs }
    }

    /// Parameters that come from somewhere else, such as a JSON object.
    pub(crate) fn from_pairs(pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>) -> Self {
        Self { pairs }
    }

    /// Whether there are no parameters.
    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The parameters themselves.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    /// The first value that is not empty under any of these names, or nothing. Names are given in lower case without
    /// `-` and `_`; the link's own spelling does not matter.
    pub(crate) fn get(&self, names: &[&str]) -> &str {
        for name in names {
            let found = self.pairs.iter().find(|(key, value)| !value.is_empty() && same(key, name));
            if let Some((_, value)) = found {
                return value;
            }
        }
        ""
    }

    /// Every value under any of these names, joined by commas.
    pub(crate) fn all(&self, names: &[&str]) -> String {
        let named = |key: &str| names.iter().any(|name| same(key, name));
        let values: Vec<&str> = self.pairs().filter(|(key, _)| named(key)).map(|(_, value)| value).collect();
        values.join(",")
    }

    /// Whether any of these switches is on.
    pub(crate) fn flag(&self, names: &[&str]) -> bool {
        self.pairs.iter().any(|(key, value)| field::truth(value) && names.iter().any(|name| same(key, name)))
    }

    /// A list: literal members under `name[]`, else a comma-separated value.
    pub(crate) fn list(&self, name: &str) -> Vec<Box<str>> {
        let literal: Vec<Box<str>> = self.members(name).map(Into::into).collect();
        if literal.is_empty() { field::list(self.get(&[name])) } else { literal }
    }

    /// Every value under exactly `name[]`.
    pub(crate) fn members(&self, name: &str) -> impl Iterator<Item = &str> {
        let matches = move |key: &str| key.strip_suffix("[]") == Some(name);
        self.pairs.iter().filter(move |(key, _)| matches(key)).map(|(_, value)| value.as_ref())
    }

    /// The keys in their own spelling.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(key, _)| key.as_ref())
    }
}

/// Compares a published key with a name in lower case without separators.
pub(crate) fn same(key: &str, name: &str) -> bool {
    if key.len() < name.len() {
        return false;
    }
    let mut letters = key.bytes().filter(|b| !matches!(b, b'-' | b'_')).map(|b| b.to_ascii_lowercase());
    name.bytes().all(|wanted| letters.next() == Some(wanted)) && letters.next().is_none()
}

/// Parameters to be written, in their order.
#[derive(Debug, Default)]
pub(crate) struct Pairs<'a> {
    pairs: Vec<(Cow<'static, str>, Cow<'a, str>)>,
}

impl<'a> Pairs<'a> {
    /// A text; left out when empty.
    pub(crate) fn text(&mut self, key: &'static str, value: impl Into<Cow<'a, str>>) {
        let value = value.into();
        if !value.is_empty() {
            self.pairs.push((key.into(), value));
        }
    }

    /// A text that may be absent.
    pub(crate) fn optional(&mut self, key: &'static str, value: Option<&'a str>) {
        self.text(key, value.unwrap_or_default());
    }

    /// A number; left out when absent.
    pub(crate) fn number(&mut self, key: &'static str, value: Option<impl Into<u64>>) {
        self.text(key, value.map(|number| number.into().to_string()).unwrap_or_default());
    }

    /// A switch; left out when off.
    pub(crate) fn flag(&mut self, key: &'static str, on: bool) {
        self.text(key, if on { "1" } else { "" });
    }

    /// A list, comma-separated where that can be read back.
    pub(crate) fn list(&mut self, key: &'static str, values: &'a [Box<str>]) {
        let plain = |value: &str| !value.is_empty() && !value.contains(',') && value.trim() == value;
        if values.iter().all(|value| plain(value)) {
            self.text(key, values.join(","));
        } else {
            values.iter().for_each(|value| self.member(key, value.as_ref()));
        }
    }

    /// One literal member of a list.
    pub(crate) fn member(&mut self, key: &'static str, value: impl Into<Cow<'a, str>>) {
        self.pairs.push((format!("{key}[]").into(), value.into()));
    }

    /// The pairs themselves.
    pub(crate) fn into_inner(self) -> Vec<(Cow<'static, str>, Cow<'a, str>)> {
        self.pairs
    }

    /// Appends `?key=value&…` to a link.
    pub(crate) fn append(&self, link: &mut String) {
        for (index, (key, value)) in self.pairs.iter().enumerate() {
            link.push(if index == 0 { '?' } else { '&' });
            // Writing to a String cannot fail.
            let _ = write!(link, "{key}={}", escape(value));
        }
    }
}
