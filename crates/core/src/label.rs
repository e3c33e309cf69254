//! The human name of a node, as its publisher wrote it.

use std::fmt;

/// A node's display name: control characters removed, at most [`Label::MAX_BYTES`] bytes. Not part of its identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Label(Box<str>);

impl Label {
    /// The longest label kept, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 256;

    /// Cleans and shortens a published name.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        let clean = text.len() <= Self::MAX_BYTES && !text.chars().any(char::is_control);
        if clean {
            return Self(text.into());
        }
        let mut kept = String::with_capacity(text.len().min(Self::MAX_BYTES));
        for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
            if kept.len() + c.len_utf8() > Self::MAX_BYTES {
                break;
            }
            kept.push(c);
        }
        Self(kept.trim().into())
    }

    /// The text; may be empty.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the publisher gave no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
