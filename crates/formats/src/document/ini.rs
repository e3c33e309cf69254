//! Texts of sections and `key = value` lines, and the comma-separated rows that Surge and its relatives put in them.

use hezar_core::{Pin, UNREADABLE_PIN};

use crate::field;

/// A line that says something, with its 1-based number and the name of its section in lower case.
#[derive(Clone, Debug)]
pub(super) struct Line<'a> {
    pub(super) number: usize,
    pub(super) section: String,
    pub(super) text: &'a str,
}

/// Whether a line is a comment.
pub(super) fn is_comment(line: &str) -> bool {
    line.starts_with(['#', ';']) || line.starts_with("//")
}

/// The name of the section that a line opens, in lower case.
pub(super) fn section(line: &str) -> Option<String> {
    let name = line.trim().strip_prefix('[')?.strip_suffix(']')?.trim();
    let word = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.');
    (!name.is_empty() && name.len() <= 64 && name.chars().all(word)).then(|| name.to_ascii_lowercase())
}

/// The lines of a text without comments, blanks and section titles.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut current = String::new();
    text.lines().zip(1..).filter_map(move |(line, number)| {
        let line = line.trim();
        if line.is_empty() || is_comment(line) {
            return None;
        }
        if let Some(name) = section(line) {
            current = name;
            return None;
        }
        Some(Line { number, section: current.clone(), text: line })
    })
}

/// Splits at commas outside double quotes, brackets and braces; spaces around a field are dropped.
fn fields(text: &str) -> Vec<&str> {
    let (mut fields, mut start, mut quoted, mut depth) = (Vec::new(), 0, false, 0_usize);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '[' | '{' | '(' if !quoted => depth += 1,
            ']' | '}' | ')' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                fields.push(text.get(start..at).unwrap_or_default().trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    fields.push(text.get(start..).unwrap_or_default().trim());
    // An unbalanced quote or bracket must not swallow the row.
    if (quoted || depth > 0) && fields.len() < 3 { text.split(',').map(str::trim).collect() } else { fields }
}

fn unquote(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text)
}

/// `left = a, b, key=value, …`.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    /// What stands before the first `=`: a name, or Quantumult X's type.
    pub(super) left: &'a str,
    /// The fields without a key, quotes removed.
    pub(super) plain: Vec<&'a str>,
    options: Vec<(String, &'a str)>,
}

impl<'a> Row<'a> {
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let (left, right) = line.split_once('=')?;
        let (mut plain, mut options) = (Vec::new(), Vec::new());
        for field in fields(right) {
            match field.split_once('=') {
                Some((key, value)) if is_key(key) => options.push((key.trim().to_ascii_lowercase(), unquote(value))),
                _ => plain.push(unquote(field)),
            }
        }
        Some(Self { left: unquote(left), plain, options })
    }

    /// The first of these options that is not empty; else an empty text.
    pub(super) fn text(&self, keys: &[&str]) -> &'a str {
        let find = |key: &&str| self.options.iter().find(|(name, value)| name == key && !value.is_empty());
        keys.iter().find_map(find).map_or("", |(_, value)| value)
    }

    /// Whether the first of these options that is not empty is switched on.
    pub(super) fn flag(&self, keys: &[&str]) -> bool {
        field::truth(self.text(keys))
    }

    /// Whether the first of these options that is not empty is switched off.
    pub(super) fn denied(&self, keys: &[&str]) -> bool {
        let text = self.text(keys);
        !text.is_empty() && !field::truth(text)
    }

    /// The pinned certificates under these options; a pinned key cannot be checked here.
    pub(super) fn pins(&self, keys: &[&str]) -> Vec<Pin> {
        if self.text(&["tls-pubkey-sha256"]).is_empty() { field::pins(self.text(keys)) } else { vec![UNREADABLE_PIN] }
    }

    /// A field without a key by its place; else an empty text.
    pub(super) fn at(&self, place: usize) -> &'a str {
        self.plain.get(place).copied().unwrap_or_default()
    }
}

fn is_key(text: &str) -> bool {
    let text = text.trim();
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// `Host: a[Rr][Nn]User-Agent: b`, `Host:a|User-Agent:b` or a bare host: the hosts, and the other headers.
pub(super) fn headers(text: &str) -> (Vec<Box<str>>, super::headers::Headers) {
    let (mut hosts, mut others) = (Vec::new(), Vec::new());
    for header in text.replace("[Rr][Nn]", "|").split('|').map(str::trim).filter(|header| !header.is_empty()) {
        match header.split_once(':') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("host") => hosts.push(unquote(value).into()),
            Some((name, value)) => others.push((name.trim().into(), unquote(value).into())),
            None => hosts.push(header.into()),
        }
    }
    (hosts, others)
}
