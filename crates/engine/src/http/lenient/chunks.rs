//! The chunks of an answer: read as curl and browsers read them, and written again strictly.
//!
//! ```text
//!   Size ──line──► Data ──size bytes──► End ──line end──► Size      0 ──► Over: trailers and whatever follows are left out
//! ```
//! Taken beyond RFC 9112 §7.1: lines that end with a bare LF, spaces behind a size, sizes with any number of leading zeros, and a
//! last chunk without the blank line behind it.

use bytes::{Buf, BytesMut};

use crate::Cause;

/// The longest size line with its extensions, in bytes.
const MAX_LINE: usize = 16 * 1024;
const MALFORMED: Cause = Cause::BadAnswer("the chunks of its body are malformed");

/// How far the chunks have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// A line with a size comes next.
    Size,
    /// So many bytes of data come next.
    Data(u64),
    /// The line end behind the data comes next.
    End,
    /// The last chunk has been read.
    Over,
}

impl Chunks {
    /// How many of these bytes, in front, are data that passes as it is.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> usize {
        let Self::Data(left) = self else { return 0 };
        let passed = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
        *left -= passed as u64;
        if *left == 0 {
            *self = Self::End;
        }
        passed
    }

    /// Writes to `out` what can be said of `raw`, the data included.
    ///
    /// # Errors
    /// As [`Chunks::between`].
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn rewrite(&mut self, raw: &mut BytesMut, out: &mut Vec<u8>) -> Result<(), Cause> {
        loop {
            let data = self.pass(raw);
            out.extend_from_slice(&raw.split_to(data));
            let between = self.between(raw)?;
            if data == 0 && between.is_empty() {
                return Ok(());
            }
            out.extend_from_slice(&between);
        }
    }

    /// Takes what stands between the data out of `raw`, up to the next data, and returns what is to be written for it.
    ///
    /// # Errors
    /// [`Cause::BadAnswer`]: what is no chunk.
    pub(super) fn between(&mut self, raw: &mut BytesMut) -> Result<Vec<u8>, Cause> {
        let mut written = Vec::new();
        loop {
            match self {
                Self::Data(_) => return Ok(written),
                Self::Over => {
                    raw.clear();
                    return Ok(written);
                }
                Self::Size => {
                    let Some(line) = line(raw)? else { return Ok(written) };
                    let size = size(&line).ok_or(MALFORMED)?;
                    // The data is whole with the last chunk: what may follow it decides nothing.
                    *self = if size == 0 { Self::Over } else { Self::Data(size) };
                    let end = if size == 0 { "\r\n" } else { "" };
                    written.extend_from_slice(format!("{size:x}\r\n{end}").as_bytes());
                }
                Self::End => {
                    let length = match &raw[..] {
                        [b'\n', ..] => 1,
                        [b'\r', b'\n', ..] => 2,
                        [] | [b'\r'] => return Ok(written),
                        _ => return Err(MALFORMED),
                    };
                    raw.advance(length);
                    written.extend_from_slice(b"\r\n");
                    *self = Self::Size;
                }
            }
        }
    }
}

/// Takes a line from the front of `raw`, without its end; `None` while it is not whole.
fn line(raw: &mut BytesMut) -> Result<Option<BytesMut>, Cause> {
    let end = raw.iter().position(|byte| *byte == b'\n');
    if end.unwrap_or(raw.len()) > MAX_LINE {
        return Err(Cause::BadAnswer("a line between the chunks of its body is too long"));
    }
    let Some(end) = end else { return Ok(None) };
    let mut line = raw.split_to(end);
    raw.advance(1);
    if line.ends_with(b"\r") {
        line.truncate(line.len() - 1);
    }
    Ok(Some(line))
}

/// The size that a line names, before its extensions.
fn size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next().and_then(|digits| std::str::from_utf8(digits).ok())?;
    let digits = digits.trim_end_matches([' ', '\t']);
    let hexadecimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| hexadecimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chunks written again, in pieces of `piece` bytes; whether the last one was among them.
    fn written(chunks: &str, piece: usize) -> Result<(String, bool), Cause> {
        let (mut state, mut raw, mut out) = (Chunks::Size, BytesMut::new(), Vec::new());
        for piece in chunks.as_bytes().chunks(piece) {
            raw.extend_from_slice(piece);
            state.rewrite(&mut raw, &mut out)?;
        }
        Ok((String::from_utf8(out).unwrap(), state == Chunks::Over))
    }

    #[test]
    fn chunks_are_read_as_browsers_read_them() {
        let whole = "2\r\nok\r\n3\r\n\r\n0\r\n0\r\n\r\n";
        for chunks in [
            whole,
            "2\nok\n3\n\r\n0\n0\n\n",
            "2\r\nok\n3\r\n\r\n0\r\n0\n\r\n",
            "2 \r\nok\r\n3\t\r\n\r\n0\r\n0  \r\n\r\n",
            "2;a=b\r\nok\r\n3 ; c=\"d;e\"\r\n\r\n0\r\n0;f\r\n\r\n",
            "00000000000000000000000000000002\r\nok\r\n0003\r\n\r\n0\r\n000\r\n\r\n",
            // Trailers, more than was asked for, and nothing at all behind the last chunk.
            "2\r\nok\r\n3\r\n\r\n0\r\n0\r\nX: y\r\n\r\n",
            "2\r\nok\r\n3\r\n\r\n0\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            "2\r\nok\r\n3\r\n\r\n0\r\n0\r\n",
        ] {
            for piece in [1, 2, 3, 1000] {
                assert_eq!(written(chunks, piece).unwrap(), (whole.to_owned(), true), "{chunks:?} by {piece}");
            }
        }
        assert_eq!(written("A\r\n0123456789", 4).unwrap(), ("a\r\n0123456789".to_owned(), false));
        assert_eq!(written("2\r\nok\r\n0", 4).unwrap(), ("2\r\nok\r\n".to_owned(), false));
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        let long = format!("2;{}", "a".repeat(MAX_LINE));
        for chunks in [
            "zz\r\n",
            "<html>\r\n",
            "\r\n",
            "-2\r\n",
            "+2\r\n",
            "0x2\r\n",
            " 2\r\n",
            "2 3\r\n",
            "2\r\nokX",
            "2\r\nok\rX",
            "10000000000000000\r\n",
            "2\r\r\n",
            &long,
        ] {
            for piece in [1, 1000, 100_000] {
                assert!(matches!(written(chunks, piece), Err(Cause::BadAnswer(_))), "{chunks:.20} by {piece}");
            }
        }
    }
}
