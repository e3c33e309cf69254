//! The human name of a node, as its publisher wrote it.

use std::fmt;

use ecow::EcoString;

/// A node's display name, of which up to 15 bytes lie in place: fit to be shown ([`displayable`]), at most [`Label::MAX_BYTES`] bytes. Not part of its
/// identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Label(EcoString);

impl Label {
    /// The longest label kept, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 256;

    /// Cleans and shortens a published name.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        if text.len() <= Self::MAX_BYTES && text.chars().all(|c| shown(c) == Some(c)) {
            return Self(text.into());
        }
        let mut kept = String::with_capacity(text.len().min(Self::MAX_BYTES));
        for c in displayable(text) {
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

/// The characters of a foreign text as a terminal or a log may show them: control characters and line separators become
/// spaces, and what turns the direction of the text around it (Unicode's property Bidi_Control, UAX #9) is left out, so
/// that a name cannot make the line that it stands in say something else.
pub fn displayable(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter_map(shown)
}

fn shown(c: char) -> Option<char> {
    match c {
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
        '\u{2028}' | '\u{2029}' => Some(' '),
        c if c.is_control() => Some(' '),
        c => Some(c),
    }
}
