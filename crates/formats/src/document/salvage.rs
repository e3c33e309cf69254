//! Reads broken YAML entry by entry. Each member of `proxies` is parsed by itself, so that a broken one spoils no other.

use super::yaml;
use crate::{
    Parsed,
    tree::{Tree, json},
};

/// The keys at the left margin under which Clash lists its nodes.
const HEADINGS: &[&str] = &["proxies:", "Proxy:", "\"proxies\":", "'proxies':"];

/// What follows the heading when a line is one.
fn heading(line: &str) -> Option<&str> {
    HEADINGS.iter().find_map(|heading| line.strip_prefix(heading))
}

/// Whether a line is blank or a comment.
fn is_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// What a line's list member starts with, when it starts one.
fn member(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix('-')?;
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then(|| rest.trim())
}

/// Whether a text lists nodes as Clash does: a heading with a list beneath or behind it, or such a list alone.
pub(super) fn is_clash(text: &str) -> bool {
    let mut significant = text.lines().filter(|line| !is_blank(line) && line.trim_end() != "---").peekable();
    let first = significant.peek().copied().and_then(member).unwrap_or_default();
    let first = first.trim_start_matches(['{', ' ', '"', '\'']);
    if ["name", "type", "server"]
        .iter()
        .any(|key| first.strip_prefix(key).is_some_and(|rest| rest.trim_start_matches(['"', '\'']).starts_with(':')))
    {
        return true;
    }
    while let Some(line) = significant.next() {
        let Some(rest) = heading(line) else { continue };
        let rest = rest.trim_start();
        if rest.starts_with(['[', '{', '&']) || significant.peek().is_some_and(|next| member(next).is_some()) {
            return true;
        }
    }
    false
}

/// The most entries that are repaired, and the most broken ones that are kept, so that hostile texts cost little time.
const MAX_MENDED: usize = 10_000;

/// Reads every entry that can be cut out; those that cannot be read are [`Tree::Broken`].
pub(super) fn entries(text: &str) -> Vec<Tree> {
    let mut broken = 0;
    let mut entries = Vec::new();
    for piece in pieces(text) {
        let entry = entry(piece).or_else(|| if broken < MAX_MENDED { mended(piece) } else { None });
        broken += usize::from(entry.is_none());
        if broken > Parsed::MAX_REJECTS {
            break;
        }
        entries.push(entry.unwrap_or_else(|| Tree::Broken(piece.trim().into())));
    }
    entries
}

fn mended(piece: &str) -> Option<Tree> {
    entry(&escape_inner_quotes(piece)).or_else(|| entry(&quote_values(&piece.replace('\t', "  "))))
}

fn entry(piece: &str) -> Option<Tree> {
    match yaml::read(piece).ok()?.into_iter().next()? {
        Tree::List(items) if items.len() == 1 => items.into_iter().next(),
        map @ Tree::Map(_) => Some(map),
        _ => None,
    }
}

/// The entries' texts, in their order.
fn pieces(text: &str) -> Vec<&str> {
    let mut cut = Cut { text, pieces: Vec::new(), inside: true, indent: None, start: None };
    let mut at = 0;
    // A list without a heading starts at the top.
    let has_heading = text.lines().any(|line| heading(line).is_some());
    cut.inside = !has_heading;
    for line in text.split_inclusive('\n') {
        cut.line(line, at);
        at += line.len();
    }
    cut.close(text.len());
    cut.pieces
}

struct Cut<'a> {
    text: &'a str,
    pieces: Vec<&'a str>,
    /// Whether the line belongs to a list of nodes.
    inside: bool,
    /// The indentation of the members.
    indent: Option<usize>,
    /// Where the open member began.
    start: Option<usize>,
}

impl Cut<'_> {
    fn line(&mut self, line: &str, at: usize) {
        if is_blank(line) {
            return;
        }
        if let Some(rest) = heading(line) {
            self.close(at);
            (self.inside, self.indent) = (true, None);
            if rest.trim_start().starts_with('[') {
                self.flow(at + line.len() - rest.len());
                self.inside = false;
            }
            return;
        }
        if !self.inside {
            return;
        }
        let indent = line.len() - line.trim_start().len();
        let is_member = member(line).is_some();
        match self.indent {
            Some(own) if indent > own => {}
            _ if is_member => {
                self.close(at);
                (self.indent, self.start) = (Some(indent), Some(at));
            }
            // A flow member over several lines may close at the margin.
            Some(_) if line.trim_start().starts_with(['}', ']']) => {}
            _ => {
                self.close(at);
                self.inside = false;
            }
        }
    }

    fn close(&mut self, at: usize) {
        if let Some(piece) = self.start.take().and_then(|start| self.text.get(start..at)) {
            self.pieces.push(piece);
        }
    }

    /// The maps of a flow list that starts at `at`.
    fn flow(&mut self, mut at: usize) {
        while let Some(found) = self.text.get(at..).and_then(|rest| rest.find(['{', ']'])) {
            let start = at + found;
            if self.text.as_bytes().get(start) == Some(&b']') {
                return;
            }
            let end = json::end_of_value(self.text, start).unwrap_or(self.text.len());
            self.pieces.extend(self.text.get(start..end));
            at = end;
        }
    }
}

/// Escapes quotes inside a quoted text: only one that a separator follows can be the closing one.
fn escape_inner_quotes(piece: &str) -> String {
    let mut out = String::with_capacity(piece.len() + 8);
    let (mut open, mut before) = (false, ' ');
    let mut chars = piece.char_indices();
    while let Some((at, c)) = chars.next() {
        if open && c == '\\' {
            out.push(c);
            out.extend(chars.next().map(|(_, next)| next));
            continue;
        }
        if c == '"' {
            let rest = piece.get(at + 1..).unwrap_or_default();
            let closes = rest.trim_start_matches([' ', '\t']).starts_with([',', '}', ']', ':', '\n', '\r'])
                || rest.trim().is_empty();
            let opens = matches!(before, ':' | ',' | '{' | '[' | '-' | ' ');
            if open && !closes {
                out.push('\\');
            } else if open || opens {
                open = !open;
            }
        }
        out.push(c);
        if !matches!(c, ' ' | '\t') {
            before = c;
        }
    }
    out
}

/// Puts the plain values of a block entry in single quotes, for names such as `@channel` or `[tag] name`.
fn quote_values(piece: &str) -> String {
    let mut out = String::with_capacity(piece.len() * 2);
    for line in piece.lines() {
        let at = line.find(": ").filter(|at| {
            let key = line.get(..*at).unwrap_or_default().trim_start_matches([' ', '-']);
            !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        });
        let (key, value) = line.split_at_checked(at.map_or(line.len(), |at| at + 2)).unwrap_or((line, ""));
        out.push_str(key);
        let value = value.trim();
        let is_quoted = value.len() > 1 && ['"', '\''].iter().any(|q| value.starts_with(*q) && value.ends_with(*q));
        let is_flow =
            (value.starts_with('{') && value.ends_with('}')) || (value.starts_with('[') && value.ends_with(']'));
        if value.is_empty() || is_quoted || is_flow || value.starts_with(['|', '>']) {
            out.push_str(value);
        } else {
            out.push('\'');
            out.push_str(&value.replace('\'', "''"));
            out.push('\'');
        }
        out.push('\n');
    }
    out
}
