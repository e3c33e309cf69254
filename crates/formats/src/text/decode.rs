//! Bytes into text, whatever encoding they are in.

use std::borrow::Cow;

/// How many bytes are looked at to find UTF-16 without a byte order mark.
const SAMPLE: usize = 512;

/// Reads UTF-8 with or without a byte order mark, and UTF-16 with or without one. Of other encodings (GBK, Latin-1, …)
/// everything in ASCII is read, which is what links are made of, and the other bytes become U+FFFD.
#[must_use]
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes).into(),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes).into(),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        _ => match zeroes(bytes) {
            (0, odd) if odd > 0 => wide(bytes, u16::from_le_bytes).into(),
            (even, 0) if even > 0 => wide(bytes, u16::from_be_bytes).into(),
            _ => String::from_utf8_lossy(bytes),
        },
    }
}

/// How many zero bytes stand at even and at odd places of the beginning, where at least every second pair has one.
fn zeroes(bytes: &[u8]) -> (usize, usize) {
    let sample = bytes.get(..SAMPLE).unwrap_or(bytes);
    let count = |place: usize| sample.iter().skip(place).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (count(0), count(1));
    if (even + odd) * 4 >= sample.len() { (even, odd) } else { (0, 0) }
}

fn wide(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}
