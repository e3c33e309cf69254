//! One head of an answer: what browsers and curl take is taken, and written again without its oddities.
//!
//! Taken: folded lines, spaces before a colon, lines without a colon and names that are none (both left out), bare LF, no reason,
//! `ICY`, Latin-1 and UTF-8 values, the same length named twice. Refused: a lone CR, NUL, lengths that differ, unknown transfer codings.

use std::borrow::Cow;

use super::{super::head_end, framing::Framing};
use crate::Cause;

/// The most lines of a head.
const MAX_LINES: usize = 1000;

/// A head that was read.
#[derive(Debug)]
pub(super) struct Head {
    /// The status code, 100 to 999.
    pub(super) status: u16,
    /// Whether the body behind it is chunked.
    pub(super) is_chunked: bool,
    /// The head as RFC 9112 wants it.
    pub(super) bytes: Vec<u8>,
}

/// A header line; those that follow it folded are joined to it.
pub(super) struct Field<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: Cow<'a, [u8]>,
}

/// Reads the head at the front of `bytes`, whose first `searched` were looked through before; `None` while it is not whole.
/// Returns its length beside it.
///
/// # Errors
/// [`Cause::BadAnswer`]: what is wrong with it; a beginning that can become no head is refused at once.
pub(super) fn read(bytes: &[u8], searched: usize, limit: usize) -> Result<Option<(Head, usize)>, Cause> {
    if !begins_well(bytes) {
        return Err(Cause::BadAnswer("it begins with something that is not HTTP/1"));
    }
    let end = head_end(bytes, searched);
    if end.unwrap_or(bytes.len()) > limit {
        return Err(Cause::BadAnswer("its head is too long"));
    }
    let Some(head) = end.and_then(|end| bytes.get(..end)) else { return Ok(None) };
    let mut lines = lines(head)?.into_iter();
    let status_line = StatusLine::read(lines.next().unwrap_or_default())?;
    let fields = fields(lines);
    Ok(Some((status_line.head(&fields)?, head.len())))
}

/// Whether the first bytes are, or may become, those of an answer.
fn begins_well(bytes: &[u8]) -> bool {
    let begins = |wanted: &[u8]| bytes.iter().zip(wanted).all(|(byte, wanted)| byte.eq_ignore_ascii_case(wanted));
    begins(b"HTTP/1") || begins(b"ICY ")
}

/// The lines of a head without their ends.
fn lines(head: &[u8]) -> Result<Vec<&[u8]>, Cause> {
    let lines: Vec<&[u8]> = head
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .take_while(|line| !line.is_empty())
        .take(MAX_LINES + 1)
        .collect();
    if lines.len() > MAX_LINES {
        return Err(Cause::BadAnswer("its head has too many lines"));
    }
    // Whoever reads a lone CR as the end of a line would see other headers than we do (RFC 9112 §2.2).
    if lines.iter().any(|line| line.iter().any(|byte| matches!(byte, b'\r' | 0))) {
        return Err(Cause::BadAnswer("its head holds a lone CR or a NUL"));
    }
    Ok(lines)
}

struct StatusLine<'a> {
    is_http10: bool,
    status: u16,
    reason: &'a [u8],
}

impl<'a> StatusLine<'a> {
    fn read(line: &'a [u8]) -> Result<Self, Cause> {
        let bad = || Cause::BadAnswer("its status line cannot be read");
        let space = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).ok_or_else(bad)?;
        let (version, rest) = line.split_at_checked(space).ok_or_else(bad)?;
        let is_http10 = match version.to_ascii_uppercase().as_slice() {
            b"HTTP/1.0" | b"ICY" => true,
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => false,
            _ => return Err(Cause::BadAnswer("its version of HTTP is not 1.0 or 1.1")),
        };
        let (status, reason) = rest.trim_ascii().split_at_checked(3).ok_or_else(bad)?;
        let status = std::str::from_utf8(status).ok().and_then(|text| text.parse().ok());
        let status = status.filter(|status| (100..=999).contains(status)).ok_or_else(bad)?;
        if reason.first().is_some_and(|byte| !matches!(byte, b' ' | b'\t')) || !reason.iter().all(is_text) {
            return Err(bad());
        }
        Ok(Self { is_http10, status, reason: reason.trim_ascii() })
    }

    /// The whole head, written strictly.
    fn head(self, fields: &[Field<'_>]) -> Result<Head, Cause> {
        let framing = Framing::read(fields)?;
        // A server of HTTP/1.0 that sends chunks means them; the version that has them says so.
        let is_http10 = self.is_http10 && framing != Framing::Chunked;
        let mut bytes = Vec::with_capacity(1024);
        bytes.extend_from_slice(if is_http10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
        bytes.extend_from_slice(self.status.to_string().as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(self.reason);
        bytes.extend_from_slice(b"\r\n");
        for field in fields.iter().filter(|field| !Framing::is_told_by(field.name)) {
            write_field(&mut bytes, field.name, &field.value);
        }
        framing.write(&mut bytes);
        bytes.extend_from_slice(b"\r\n");
        // These have no body, whatever their headers say (RFC 9112 §6.3).
        let is_chunked = framing == Framing::Chunked && !matches!(self.status, 100..=199 | 204 | 304);
        Ok(Head { status: self.status, is_chunked, bytes })
    }
}

pub(super) fn write_field(bytes: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(b"\r\n");
}

/// The header fields; what is none is left out.
fn fields<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<Field<'a>> {
    let mut fields: Vec<Option<Field<'a>>> = Vec::new();
    for line in lines {
        if matches!(line, [b' ' | b'\t', ..]) {
            // A folded line belongs to the one before it, and goes where that goes (RFC 9112 §5.2).
            if let Some(Some(field)) = fields.last_mut() {
                join_folded(field.value.to_mut(), line.trim_ascii());
            }
            continue;
        }
        fields.push(field(line));
    }
    let is_framing = |field: &Field<'_>| Framing::is_told_by(field.name);
    fields.into_iter().flatten().filter(|field| is_framing(field) || field.value.iter().all(is_text)).collect()
}

/// Puts one space between what both hold. A part that holds nothing adds none: it would be left out at the next reading.
fn join_folded(value: &mut Vec<u8>, more: &[u8]) {
    if !value.is_empty() && !more.is_empty() {
        value.push(b' ');
    }
    value.extend_from_slice(more);
}

fn field(line: &[u8]) -> Option<Field<'_>> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    let name = name.trim_ascii_end();
    let is_name = !name.is_empty() && name.len() <= 256 && name.iter().all(is_name_character);
    is_name.then(|| Field { name, value: value.get(1..).unwrap_or_default().trim_ascii().into() })
}

/// A `tchar` (RFC 9110 §5.6.2).
const fn is_name_character(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// What a value or a reason may hold: no control characters but the tab.
const fn is_text(byte: &u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}
