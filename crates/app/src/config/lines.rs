//! On which line of the file each key stands, so that a problem can be found in an editor.

use std::{collections::HashMap, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Tables and lists inside each other; the TOML reader has its own bound, this one keeps the walk as shallow.
const MOST_DEEP: usize = 64;

/// The lines of all keys, by key path as problems have it (`source[2].interval`).
#[derive(Debug, Default)]
pub(super) struct Lines(HashMap<String, usize>);

impl Lines {
    /// Reads a text; what cannot be read has no lines.
    pub(super) fn read(text: &str) -> Self {
        let mut lines = Self::default();
        if let Ok(root) = DeTable::parse(text) {
            let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
            lines.table("", root.get_ref(), &starts, 0);
        }
        lines
    }

    fn table(&mut self, path: &str, table: &DeTable<'_>, starts: &[usize], depth: usize) {
        for (key, value) in table {
            let path = if path.is_empty() { key.get_ref().to_string() } else { format!("{path}.{}", key.get_ref()) };
            self.note(&path, &key.span(), starts);
            self.value(&path, value, starts, depth + 1);
        }
    }

    fn value(&mut self, path: &str, value: &Spanned<DeValue<'_>>, starts: &[usize], depth: usize) {
        if depth > MOST_DEEP {
            return;
        }
        match value.get_ref() {
            DeValue::Table(table) => self.table(path, table, starts, depth),
            DeValue::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    self.note(&path, &value.span(), starts);
                    self.value(&path, value, starts, depth + 1);
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, path: &str, span: &Range<usize>, starts: &[usize]) {
        self.0.insert(path.to_owned(), line_of(span.start, starts));
    }

    /// The line of a key, else that of the nearest table around it; counted from 1.
    pub(super) fn of(&self, path: &str) -> Option<usize> {
        let mut path = path;
        loop {
            if let Some(line) = self.0.get(path) {
                return Some(*line);
            }
            path = path.get(..path.rfind(['.', '['])?)?;
        }
    }
}

fn line_of(at: usize, starts: &[usize]) -> usize {
    starts.partition_point(|start| *start <= at)
}

/// A syntax error with its line and column, without the text of the line, which may hold a secret.
pub(super) fn syntax_error(text: &str, error: &toml::de::Error) -> (Option<usize>, String) {
    let Some(at) = error.span().map(|span| span.start.min(text.len())) else {
        return (None, error.message().to_owned());
    };
    let before = text.get(..at).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    let whole = text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
    // The key alone: what stands behind it may be a password.
    let key = whole.split('=').next().unwrap_or_default().trim();
    let key = if whole.contains('=') && key.len() <= 80 && !key.is_empty() {
        format!(" (at {key:?})")
    } else {
        String::new()
    };
    (Some(line), format!("column {column}: {}{key}", error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_lines_and_missing_keys_those_of_their_table() {
        let text = "a = 1\n\n[proxy]\nlisten = 2\nusers = [\n  { name = \"x\" },\n]\n[[source]]\nname = \"a\"\n[[source]]\nname = \"b\"\n";
        let lines = Lines::read(text);
        for (path, line) in [
            ("a", Some(1)),
            ("proxy", Some(3)),
            ("proxy.listen", Some(4)),
            ("proxy.users[0].name", Some(6)),
            ("proxy.users[0].password", Some(6)),
            ("source[1].name", Some(11)),
            ("source[1].url", Some(10)),
            ("proxy.absent", Some(3)),
            ("absent", None),
        ] {
            assert_eq!(lines.of(path), line, "{path}");
        }
    }

    #[test]
    fn a_syntax_error_shows_no_value() {
        let text = "[api]\ntoken = \"SECRET\n";
        let error = toml::from_str::<toml::Table>(text).unwrap_err();
        let (line, message) = syntax_error(text, &error);
        assert!(line == Some(2) && message.contains("token") && !message.contains("SECRET"), "{line:?} {message}");
    }
}
