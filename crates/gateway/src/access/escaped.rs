//! Shows text that clients sent so that it is safe in a log line and on a terminal.

use std::fmt::{self, Write as _};

/// The most characters that are shown.
const MOST: usize = 100;

/// Shows a text with everything that is not printable as an escape, and cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars().take(MOST) {
            match c {
                '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    write!(f, "{}", c.escape_unicode())?;
                }
                // A mark that joins the letter before it is printable.
                '\'' => f.write_char(c)?,
                c => write!(f, "{}", c.escape_debug())?,
            }
        }
        if self.0.chars().nth(MOST).is_some() {
            f.write_char('…')?;
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor_or_ends_the_line() {
        assert_eq!(Escaped("alice").to_string(), r#""alice""#);
        assert_eq!(Escaped("علی o'x").to_string(), r#""علی o'x""#);
        assert_eq!(
            Escaped("x\n2026 WARN\x1b[31m\u{9b}\u{202e}\"\\").to_string(),
            r#""x\n2026 WARN\u{1b}[31m\u{9b}\u{202e}\"\\""#
        );
        let long = Escaped(&"a".repeat(5000)).to_string();
        assert!(long.len() < 120 && long.ends_with("…\""));
    }
}
