//! Decodes base64 around whole texts and single lines.

use crate::{charset, field};

/// The shortest line that is taken for base64. Shorter ones are words.
const MIN_LINE: usize = 24;

/// Whether every sign can stand in base64 of either alphabet.
fn is_base64(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_' | b'='))
}

/// Decodes base64 in which spaces stand for line ends or for `+`. Prose looks the same, so links must come out.
fn spaced(text: &str) -> Option<String> {
    if text.len() < MIN_LINE || !text.split([' ', '\t']).all(is_base64) {
        return None;
    }
    let joined = |sign: &str| content(&text.split_whitespace().collect::<Vec<_>>().join(sign));
    ["", "+"].iter().find_map(|sign| joined(sign).filter(|inner| inner.contains("://")))
}

/// Decodes a text that is base64 as a whole, one line or wrapped, metadata lines around it allowed.
pub(super) fn whole(text: &str) -> Option<String> {
    let lines = || text.lines().map(trim).filter(|line| !line.is_empty() && !super::is_comment(line));
    let first = lines().next()?;
    if lines().all(|line| line.split([' ', '\t']).all(is_base64)) && lines().any(|line| line.contains([' ', '\t'])) {
        return spaced(&lines().collect::<Vec<_>>().join(" "));
    }
    if !lines().all(is_base64) || (lines().nth(1).is_none() && first.len() < MIN_LINE) {
        return None;
    }
    // One publisher per line, each with padding of its own: joined they would not decode.
    let padded_inside = lines().rev().skip(1).any(|line| line.ends_with('='));
    if padded_inside {
        return None;
    }
    content(&lines().collect::<Vec<_>>().concat())
}

/// Decodes a line that is a list of its own.
pub(super) fn line(text: &str) -> Option<String> {
    if text.len() < MIN_LINE {
        return None;
    }
    if is_base64(text) { content(text) } else { spaced(text) }
}

fn trim(line: &str) -> &str {
    line.trim_matches(|c: char| c.is_whitespace() || crate::markup::is_invisible(c))
}

/// The decoded bytes as text, if they are text.
fn content(base64: &str) -> Option<String> {
    let bytes =
        field::base64_bytes(base64).or_else(|| field::base64_bytes(base64.get(..base64.len().checked_sub(1)?)?))?;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // A name in another encoding must not spoil the whole list.
        Err(error) => {
            let text = charset::decode(error.as_bytes()).into_owned();
            text.contains("://").then_some(text)?
        }
    };
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    (text.contains("://") || !text.contains(control)).then_some(text)
}
