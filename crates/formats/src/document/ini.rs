//! Texts of sections and `key = value` lines, and the comma-separated rows that Surge and its relatives put in them.

use std::{borrow::Cow, collections::HashMap};

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

/// Splits at commas outside quotes, brackets and braces; spaces around a field are dropped. A quote counts where a value
/// begins, and a bracket when its partner follows, so that a password with one of them does not swallow the row.
fn fields(text: &str) -> Vec<&str> {
    let partners = partners(text);
    let (mut fields, mut start, mut at) = (Vec::new(), 0, 0);
    // When one quote has no end, a later one has none either: the search is not repeated.
    let mut endless = Vec::new();
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        match c {
            '"' | '\'' if !endless.contains(&c) && begins_value(&text[start..at]) => match end_of_quote(text, at, c) {
                Some(end) => at = end,
                None => endless.push(c),
            },
            '[' | '{' | '(' => at = partners.get(&at).copied().unwrap_or(at),
            ',' => {
                fields.push(text.get(start..at).unwrap_or_default().trim());
                start = at + 1;
            }
            _ => {}
        }
        at += text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
    }
    fields.push(text.get(start..).unwrap_or_default().trim());
    fields
}

/// Whether a value can begin behind this part of a field.
fn begins_value(front: &str) -> bool {
    let front = front.trim_end();
    front.is_empty() || front.ends_with('=')
}

/// The place of the quote that ends a value: a comma or the end follows.
fn end_of_quote(text: &str, open: usize, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.get(open + 1..)?.char_indices() {
        if c == quote && !escaped {
            let behind = text.get(open + 1 + at + 1..).unwrap_or_default().trim_start();
            if behind.is_empty() || behind.starts_with([',', ')', ']', '}']) {
                return Some(open + 1 + at);
            }
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

/// The place of the closing bracket for each opening bracket that has one.
fn partners(text: &str) -> HashMap<usize, usize> {
    let (mut open, mut partners) = (Vec::new(), HashMap::new());
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' | '(' => open.push((at, c)),
            ']' | '}' | ')' => {
                let wanted = if c == ')' {
                    '('
                } else if c == ']' {
                    '['
                } else {
                    '{'
                };
                if let Some(found) = open.iter().rposition(|(_, sign)| *sign == wanted) {
                    partners.insert(open[found].0, at);
                    open.truncate(found);
                }
            }
            _ => {}
        }
    }
    partners
}

/// A value without its quotes, and without the backslashes in front of those inside.
fn unquote(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    let inner = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    match inner('"').or_else(|| inner('\'')) {
        Some(inner) if inner.contains('\\') => inner.replace("\\\"", "\"").replace("\\'", "'").into(),
        Some(inner) => inner.into(),
        None => text.into(),
    }
}

/// `left = a, b, key=value, …`.
#[derive(Clone, Debug)]
pub(super) struct Row<'a> {
    /// What stands before the first `=`: a name, or Quantumult X's type.
    pub(super) left: Cow<'a, str>,
    /// The fields without a key, quotes removed.
    pub(super) plain: Vec<Cow<'a, str>>,
    options: Vec<(String, Cow<'a, str>)>,
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
    pub(super) fn text(&self, keys: &[&str]) -> &str {
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
    pub(super) fn at(&self, place: usize) -> &str {
        self.plain.get(place).map_or("", AsRef::as_ref)
    }
}

fn is_key(text: &str) -> bool {
    let text = text.trim();
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// `Host: a[Rr][Nn]User-Agent: b`, `Host:a|User-Agent:b` or a bare host: the hosts, and the other headers.
pub(super) fn headers(text: &str) -> (Vec<Box<str>>, crate::tree::headers::Headers) {
    let (mut hosts, mut others) = (Vec::new(), Vec::new());
    for header in text.replace("[Rr][Nn]", "|").split('|').map(str::trim).filter(|header| !header.is_empty()) {
        match header.split_once(':') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("host") => {
                hosts.push(unquote(value).as_ref().into())
            }
            Some((name, value)) => others.push((name.trim().into(), unquote(value).as_ref().into())),
            None => hosts.push(header.into()),
        }
    }
    (hosts, others)
}
