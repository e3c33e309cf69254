//! One stable code per cause, and what it means.

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
