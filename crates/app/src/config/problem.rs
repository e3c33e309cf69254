//! What is wrong with a configuration: all of it at once, each with its place.

use std::{error::Error, fmt};

use super::ObjectKey;

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key path, e.g. `source[2].interval`, or the name of an environment variable; empty for the whole file.
    pub path: String,
    /// The line of the file, counted from 1, when the problem stands in the file.
    pub line: Option<usize>,
    /// The object of the store that is wrong, or that says again what the file says.
    pub object: Option<ObjectKey>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, &self.object) {
            (Some(line), _) => write!(f, "line {line}: ")?,
            (None, Some(_)) => f.write_str("store: ")?,
            (None, None) => {}
        }
        if self.path.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// All problems of one configuration, in order of appearance; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "{count} problem{} in the configuration:", if count == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl Error for Problems {}
