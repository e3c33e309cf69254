//! Selects the files of a repository by patterns.

use std::fmt;

use glob::{MatchOptions, Pattern};

use crate::FetchError;

/// The usual endings of lists, for a source that names none.
const DEFAULT_PATTERNS: [&str; 5] = ["*.txt", "*.yaml", "*.yml", "*.json", "*.conf"];

/// Patterns on paths; one without `/` looks at the file name alone.
pub(super) struct Patterns(Vec<Pattern>);

impl Patterns {
    pub(super) fn new(texts: &[Box<str>]) -> Result<Self, FetchError> {
        let read = |text: &str| {
            let bare = text.trim_start_matches('/');
            Pattern::new(bare).map_err(|error| FetchError::Pattern { pattern: text.into(), reason: error.msg })
        };
        let patterns = match texts {
            [] => DEFAULT_PATTERNS.into_iter().map(read).collect::<Result<_, _>>(),
            texts => texts.iter().map(|text| read(text)).collect(),
        };
        patterns.map(Self)
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::default() };
        let name = path.rsplit('/').next().unwrap_or(path);
        self.0.iter().any(|pattern| {
            let whole = pattern.as_str().contains('/');
            pattern.matches_with(if whole { path } else { name }, options)
        })
    }
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<&str> = self.0.iter().map(Pattern::as_str).collect();
        f.write_str(&texts.join(" "))
    }
}
