//! Where the body of an answer ends, by its head (RFC 9112 §6.3).

use super::head::{Field, write_field};
use crate::Cause;

/// How the end of the body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// By its last chunk. A length beside it counts for nothing.
    Chunked,
    /// By its length in bytes.
    Length(u64),
    /// By the end of the connection.
    Close,
}

impl Framing {
    /// Whether a header of this name tells it.
    pub(super) const fn is_told_by(name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(b"transfer-encoding") || name.eq_ignore_ascii_case(b"content-length")
    }

    /// Reads it from the fields of a head.
    ///
    /// # Errors
    /// [`Cause::BadAnswer`]: lengths that differ or are no numbers, a coding other than `chunked`.
    pub(super) fn read(fields: &[Field<'_>]) -> Result<Self, Cause> {
        let mut codings = elements(fields, b"transfer-encoding")
            .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"));
        if let Some(first) = codings.next() {
            // Some servers say it twice and chunk once.
            let known = std::iter::once(first).chain(codings).all(|coding| coding.eq_ignore_ascii_case(b"chunked"));
            return if known { Ok(Self::Chunked) } else { Err(Cause::BadAnswer("its transfer coding is not chunked")) };
        }
        let mut lengths = elements(fields, b"content-length");
        let Some(first) = lengths.next() else { return Ok(Self::Close) };
        if lengths.any(|other| other != first) {
            return Err(Cause::BadAnswer("it names two lengths that differ"));
        }
        length(first).map(Self::Length).ok_or(Cause::BadAnswer("its Content-Length is no number"))
    }

    /// The header line that says so.
    pub(super) fn write(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Chunked => write_field(bytes, b"Transfer-Encoding", b"chunked"),
            Self::Length(length) => write_field(bytes, b"Content-Length", length.to_string().as_bytes()),
            Self::Close => {}
        }
    }
}

/// The elements of all lists in the headers of one name.
fn elements<'a>(fields: &'a [Field<'_>], name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case(name))
        .flat_map(|field| field.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii))
}

/// The longest body: a signed number holds it, as everywhere else, and no reader takes it for a mark of its own.
const MAX_LENGTH: u64 = i64::MAX as u64;

/// Decimal digits only.
fn length(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok().filter(|length| *length <= MAX_LENGTH)
}
