//! Texts of any kind, taken apart: encodings, base64 layers, documents, and lines with links or addresses.

mod blob;
mod hints;
mod list;
pub(crate) mod markup;
mod scan;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use hezar_core::Label;
pub use hints::{Hints, ListScheme};
use markup::Dress;

use crate::{
    Parsed, RejectCode, document,
    link::{self, Scheme},
};

/// The longest text read, in bytes; what follows is refused.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// The longest line read, in bytes, base64 of a whole list excepted.
pub const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;
/// How many layers of base64 are taken off.
const MAX_DEPTH: usize = 3;

/// Reads whatever `bytes` are: a list of links, a base64 subscription, a client's configuration, a web page.
///
/// Never fails as a whole: what is not understood stands in [`Parsed::rejects`].
#[must_use]
pub fn parse(bytes: &[u8]) -> Parsed {
    parse_with(bytes, &Hints::default())
}

/// As [`parse`], with what is known besides the bytes.
#[must_use]
pub fn parse_with(bytes: &[u8], hints: &Hints) -> Parsed {
    let kept = bytes.get(..MAX_BYTES).unwrap_or(bytes);
    let text = decode(kept);
    let mut reader = Reader { hints, parsed: Parsed::default() };
    reader.text(&text, 0);
    if kept.len() < bytes.len() {
        let line = text.lines().count();
        reader.parsed.refuse(line, "", RejectCode::TooLong);
    }
    reader.parsed
}

/// UTF-8 with or without a byte order mark, UTF-16 with one; wrong bytes become U+FFFD.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes).into(),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes).into(),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        _ => String::from_utf8_lossy(bytes),
    }
}

/// Whether a line is a remark or metadata (`#profile-title: …`, `//profile-update-interval: …`).
fn is_comment(line: &str) -> bool {
    line.starts_with('#') || line.starts_with("//") || line.starts_with(';')
}

struct Reader<'h> {
    hints: &'h Hints,
    parsed: Parsed,
}

impl Reader<'_> {
    fn text(&mut self, text: &str, depth: usize) {
        if let Some(found) = document::read(text) {
            self.merge(found, None);
            return;
        }
        if depth < MAX_DEPTH
            && let Some(inner) = blob::whole(text)
        {
            self.text(&inner, depth + 1);
            return;
        }
        let dress = Dress::of(text);
        for (index, line) in text.split('\n').enumerate() {
            self.line(line, index + 1, dress, depth);
        }
    }

    fn line(&mut self, line: &str, number: usize, dress: Dress, depth: usize) {
        let line = line.trim_matches(|c: char| c.is_whitespace() || markup::is_invisible(c));
        if line.is_empty() || is_comment(line) {
            return;
        }
        if depth < MAX_DEPTH
            && let Some(inner) = blob::line(line)
        {
            self.nested(&inner, number, depth + 1);
            return;
        }
        if line.len() > MAX_LINE_BYTES {
            self.parsed.refuse(number, &line[..line.floor_char_boundary(256)], RejectCode::TooLong);
            return;
        }
        let plain: Cow<'_, str> =
            if dress.html && line.contains('<') { markup::strip_tags(line, is_proxy_link).into() } else { line.into() };
        let mut found = false;
        for segment in plain.split(markup::BREAK) {
            found |= self.links(segment, number, dress);
        }
        if !found {
            self.plain(&plain, number, dress);
        }
    }

    /// A base64 line inside a list: everything in it stands at that line.
    fn nested(&mut self, text: &str, number: usize, depth: usize) {
        let mut inner = Reader { hints: self.hints, parsed: Parsed::default() };
        inner.text(text, depth);
        self.merge(inner.parsed, Some(number));
    }

    fn merge(&mut self, found: Parsed, line: Option<usize>) {
        for entry in found.nodes {
            self.parsed.accept(line.unwrap_or(entry.line), entry.spec, entry.label);
        }
        for reject in found.rejects {
            self.parsed.refuse(line.unwrap_or(reject.line), &reject.excerpt, reject.code);
        }
    }

    /// Reads the links of a segment; whether there were any.
    fn links(&mut self, segment: &str, number: usize, dress: Dress) -> bool {
        if !segment.contains("://") {
            return false;
        }
        let found = scan::links(segment);
        let several = found.len() > 1;
        for link in &found {
            match link::parse_link(link.text) {
                Ok((spec, label)) => self.parsed.accept(number, spec, label),
                // Pages and channels mentioned beside links are no broken entries.
                Err(RejectCode::WebAddress) if dress.any() || several => {}
                Err(_) if link.scheme.is_none() && dress.any() => {}
                Err(code) => self.parsed.refuse(number, link.text, code),
            }
        }
        !found.is_empty()
    }

    fn plain(&mut self, line: &str, number: usize, dress: Dress) {
        match list::read(line, self.hints.default_scheme) {
            Ok(nodes) => nodes.into_iter().for_each(|spec| self.parsed.accept(number, spec, Label::default())),
            Err(_) if dress.any() => {}
            Err(code) => self.parsed.refuse(number, line, code),
        }
    }
}

/// Whether the address of an HTML anchor is worth reading beside the anchor's text.
fn is_proxy_link(address: &str) -> bool {
    let Some((scheme, rest)) = address.split_once("://") else { return false };
    match Scheme::find(scheme) {
        Some(Scheme::Telegram) => rest.starts_with("socks"),
        Some(Scheme::Http | Scheme::Https) => rest.starts_with("t.me/socks"),
        Some(_) => true,
        None => false,
    }
}
