//! Stable codes, one per cause, and what each of them means.

use std::{
    collections::HashSet,
    fmt,
    sync::{PoisonError, RwLock},
};

/// A row of docs/errors.md: a code that logs, metrics, the API and `Proxy-Status` share, and its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeDoc {
    /// The code itself, lower case with hyphens; it never changes its meaning.
    pub code: &'static str,
    /// One sentence for the reader of a log.
    pub meaning: &'static str,
}

impl CodeDoc {
    /// A row.
    #[must_use]
    pub const fn new(code: &'static str, meaning: &'static str) -> Self {
        Self { code, meaning }
    }
}

/// The stable code of a cause: a short text in lower case with hyphens. Two codes are equal when their texts are.
///
/// Most codes are constants of a crate's table of [`CodeDoc`]s. A code that comes from outside this process, for example
/// from a store that another version wrote, is read with [`Code::from_text`] and keeps its text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(&'static str);

impl Code {
    /// What [`Code::from_text`] gives for a text that it does not keep.
    pub const UNKNOWN: Self = Self("unknown-code");

    /// The codes of this crate, for docs/errors.md.
    pub const CODES: &'static [CodeDoc] = &[CodeDoc::new(
        Self::UNKNOWN.0,
        "The store holds a code of another version that is too long, or one of too many, to be kept.",
    )];

    /// The longest text from outside that is kept, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// The most different texts from outside that are kept: each of them stays in memory until the process ends.
    pub const MAX_KEPT: usize = 1024;

    /// The code with this text.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self(text)
    }

    /// Reads a code that another process or another version wrote. A text that is longer than [`Code::MAX_BYTES`], and
    /// one more than [`Code::MAX_KEPT`] different ones, becomes [`Code::UNKNOWN`].
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        static KEPT: RwLock<Option<HashSet<&'static str>>> = RwLock::new(None);
        if text.len() > Self::MAX_BYTES {
            return Self::UNKNOWN;
        }
        let find = |kept: &Option<HashSet<&'static str>>| kept.as_ref().and_then(|kept| kept.get(text).copied());
        if let Some(known) = find(&KEPT.read().unwrap_or_else(PoisonError::into_inner)) {
            return Self(known);
        }
        let mut kept = KEPT.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = find(&kept) {
            return Self(known);
        }
        let kept = kept.get_or_insert_default();
        if kept.len() >= Self::MAX_KEPT {
            return Self::UNKNOWN;
        }
        // Never freed; their number and length are bounded.
        let text: &'static str = Box::leak(text.into());
        kept.insert(text);
        Self(text)
    }

    /// The text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl From<&'static str> for Code {
    fn from(text: &'static str) -> Self {
        Self(text)
    }
}

impl PartialEq<&str> for Code {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_from_outside_keeps_its_text_within_bounds() {
        let text = String::from("code-of-a-newer-version");
        assert_eq!(Code::from_text(&text), "code-of-a-newer-version");
        assert_eq!(Code::from_text("timeout"), Code::new("timeout"));
        assert_eq!(Code::from_text(&"x".repeat(Code::MAX_BYTES + 1)), Code::UNKNOWN);
        let kept = (0..2 * Code::MAX_KEPT).filter(|n| Code::from_text(&format!("c{n}")) != Code::UNKNOWN).count();
        assert!((1..=Code::MAX_KEPT).contains(&kept), "{kept}");
        assert_eq!(Code::from_text(&text), "code-of-a-newer-version", "what is known stays known");
    }
}
