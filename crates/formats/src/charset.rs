//! Turns bytes into text: UTF-8, UTF-16, and lists whose names are in an older encoding.

use std::borrow::Cow;

use encoding_rs::{Encoding, GB18030, WINDOWS_1252};

/// How many bytes are examined to recognise UTF-16 without a byte order mark.
const SAMPLE: usize = 512;

/// So many bytes of whole characters must stand beside each broken place of a line in UTF-8; see [`is_utf8_or_damaged`].
const WHOLE_PER_BROKEN: usize = 8;

/// Reads UTF-8 and UTF-16, each with or without a byte order mark. A line that is not UTF-8 is read as GB18030 (with GBK and
/// GB2312, the usual encodings of Chinese lists) or as windows-1252 (with Latin-1), whichever fits all such lines.
///
/// Links are ASCII, which all of these leave as it is, and no byte of one line changes how another one is read.
#[must_use]
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match bytes {
        [0xff, 0xfe, rest @ ..] => decode_utf16(rest, u16::from_le_bytes).into(),
        [0xfe, 0xff, rest @ ..] => decode_utf16(rest, u16::from_be_bytes).into(),
        [0xef, 0xbb, 0xbf, rest @ ..] => decode_lines(rest),
        _ => match count_zero_bytes(bytes) {
            (0, odd) if odd > 0 => decode_utf16(bytes, u16::from_le_bytes).into(),
            (even, 0) if even > 0 => decode_utf16(bytes, u16::from_be_bytes).into(),
            _ => decode_lines(bytes),
        },
    }
}

/// How many zero bytes stand at even and at odd places of the beginning, where at least every second pair has one.
fn count_zero_bytes(bytes: &[u8]) -> (usize, usize) {
    let sample = bytes.get(..SAMPLE).unwrap_or(bytes);
    let count = |place: usize| sample.iter().skip(place).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (count(0), count(1));
    if (even + odd) * 4 >= sample.len() { (even, odd) } else { (0, 0) }
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Reads each line that is UTF-8 as such, and all other lines in one older encoding.
fn decode_lines(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let lines = || bytes.split_inclusive(|byte| *byte == b'\n');
    let encoding = legacy_encoding(lines().filter(|line| !is_utf8_or_damaged(line)));
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 2);
    for line in lines() {
        if is_utf8_or_damaged(line) {
            text.push_str(&String::from_utf8_lossy(line));
        } else {
            text.push_str(&encoding.decode_without_bom_handling(line).0);
        }
    }
    text.into()
}

/// Whether a line is UTF-8, perhaps with characters that were cut: for every broken place there are at least
/// [`WHOLE_PER_BROKEN`] bytes of whole characters beyond ASCII, or the only broken place is the beginning of a character. What is
/// broken becomes U+FFFD. Chinese text in GB18030 is broken UTF-8 at nearly every character.
fn is_utf8_or_damaged(line: &[u8]) -> bool {
    let (mut whole, mut broken, mut longest) = (0, 0, 0);
    for chunk in line.utf8_chunks() {
        whole += chunk.valid().bytes().filter(|byte| !byte.is_ascii()).count();
        broken += usize::from(!chunk.invalid().is_empty());
        longest = longest.max(chunk.invalid().len());
    }
    whole >= WHOLE_PER_BROKEN * broken || (broken == 1 && longest > 1)
}

/// The encoding of lines that are not UTF-8. A Chinese character is mostly two bytes beyond ASCII in GB18030, while the accented
/// letters of windows-1252 stand alone among ASCII letters: whatever there is more of decides, for all lines together.
fn legacy_encoding<'a>(lines: impl Iterator<Item = &'a [u8]>) -> &'static Encoding {
    let (mut pairs, mut single) = (0_usize, 0_usize);
    for line in lines {
        for run in line.split(u8::is_ascii) {
            pairs += run.len() / 2;
            single += run.len() % 2;
        }
    }
    if pairs > single { GB18030 } else { WINDOWS_1252 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_in_older_encodings_are_read() {
        for (bytes, expected) in [
            (&b"ss://a#\xc8\xd5\xb1\xbe"[..], "ss://a#日本"),
            (b"ss://a#\xcf\xe3\xb8\xdb 01", "ss://a#香港 01"),
            (b"ss://a#Z\xfcrich", "ss://a#Zürich"),
            (b"ss://a#Espa\xf1a - S\xe3o Paulo", "ss://a#España - São Paulo"),
            (b"ss://a#100 \x80", "ss://a#100 €"),
        ] {
            assert_eq!(decode(bytes), expected);
        }
    }

    #[test]
    fn each_line_is_read_by_itself() {
        let list =
            ["ss://a#日本\n".as_bytes(), b"ss://b#\xc8\xd5\xb1\xbe\r\n", b"ss://c#plain\nss://d#\xcf\xe3\xb8\xdb\xc8"]
                .concat();
        // The last name is cut in the middle of a character.
        assert_eq!(decode(&list), "ss://a#日本\nss://b#日本\r\nss://c#plain\nss://d#香港\u{fffd}");
    }

    #[test]
    fn damaged_utf_8_stays_utf_8() {
        // One line with many names, as JSON has them, one of which is cut.
        let line = [r#"{"日本 香港","Zürich","Россия","#.as_bytes(), b"\"\xe6\x97\",\"\xd0\"}"].concat();
        assert_eq!(decode(&line), r#"{"日本 香港","Zürich","Россия",""#.to_owned() + "\u{fffd}\",\"\u{fffd}\"}");
        assert_eq!(decode(b"ss://a#\xe6\x97\xa5\xe6\x9c"), "ss://a#日\u{fffd}");
        assert_eq!(decode(b"ss://a#\xf0\x9f\x87"), "ss://a#\u{fffd}");
        assert_eq!(decode(b"\xef\xbb\xbfss://a#\xc8\xd5\xb1\xbe"), "ss://a#日本", "a mark does not make it UTF-8");
    }

    proptest! {
        /// Whatever the bytes are, the number of lines and their ASCII links do not change.
        #[test]
        fn links_are_never_harmed(name in proptest::collection::vec(0x80_u8..=0xff, 0..12), link in "[!-~]{0,40}") {
            let bytes = [link.as_bytes(), b"\n", b"x#", &name, b"\n", link.as_bytes()].concat();
            let text = decode(&bytes);
            let lines: Vec<&str> = text.split('\n').collect();
            prop_assert_eq!((lines.len(), lines[0], lines[2]), (3, &*link, &*link));
            prop_assert!(lines[1].starts_with("x#"));
        }

        /// Common Chinese characters come back out of GB18030, and letters of western Europe out of windows-1252. A few short names,
        /// such as 台台, have bytes that are good UTF-8 too: those nobody can tell apart.
        #[test]
        fn both_encodings_come_back(chinese in "[一丁七万三上下不世东中北南日本香港台湾新加坡美国高速]{2,8}", western in "([a-z]{1,4}[à-ÿ]){1,4}[a-z]") {
            for (encoding, name) in [(GB18030, chinese), (WINDOWS_1252, western)] {
                let (bytes, _, lost) = encoding.encode(&name);
                prop_assert!(!lost);
                prop_assume!(!is_utf8_or_damaged(&bytes));
                prop_assert_eq!(&*decode(&bytes), &*name);
            }
        }
    }
}
