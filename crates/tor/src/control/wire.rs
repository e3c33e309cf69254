//! The lines of Tor's control protocol (control-spec), without I/O.
//!
//! ```text
//! GETINFO status/bootstrap-phase CRLF
//! 250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=45 TAG=… SUMMARY="…" CRLF     a line in the middle: status, '-'
//! 250+circuit-status= CRLF  …lines… CRLF . CRLF                                      data: status, '+', ended by a dot alone
//! 250 OK CRLF                                                                        the last line: status, ' '
//! 650 …                                                                              an event, at any time between two replies
//! ```

use crate::TorError;

/// The most bytes of one reply.
pub(super) const LONGEST_REPLY: usize = 4 << 20;

/// The answer to one command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    /// The status of its last line; 250 is success.
    pub(super) status: u16,
    /// Its lines without their statuses; the data of a line follows after a line feed.
    pub(super) lines: Vec<String>,
}

impl Reply {
    /// The value of `key=value` in one of the lines.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    }
}

/// Puts replies together line by line.
#[derive(Debug, Default)]
pub(super) struct ReplyDecoder {
    lines: Vec<String>,
    bytes: usize,
    in_data: bool,
}

impl ReplyDecoder {
    /// Takes a line without its end; gives a reply when it is complete. Events are left out.
    pub(super) fn line(&mut self, line: &str) -> Result<Option<Reply>, TorError> {
        self.bytes += line.len();
        if self.bytes > LONGEST_REPLY {
            return Err(TorError::Malformed("a reply is too long"));
        }
        if self.in_data {
            self.data(line);
            return Ok(None);
        }
        let (status, rest) = line.split_at_checked(3).ok_or(TorError::Malformed("a line is too short"))?;
        let status: u16 = status.parse().map_err(|_| TorError::Malformed("a line has no status"))?;
        let mut letters = rest.chars();
        let separator = letters.next().unwrap_or(' ');
        self.lines.push(letters.as_str().to_owned());
        match separator {
            '-' => Ok(None),
            '+' => {
                self.in_data = true;
                Ok(None)
            }
            ' ' => {
                let lines = std::mem::take(&mut self.lines);
                self.bytes = 0;
                Ok((!(600..700).contains(&status)).then_some(Reply { status, lines }))
            }
            _ => Err(TorError::Malformed("a line has no separator")),
        }
    }

    fn data(&mut self, line: &str) {
        if line == "." {
            self.in_data = false;
            return;
        }
        // A line that begins with a dot has a second one in front (RFC 5321, 4.5.2).
        let line = line.strip_prefix('.').unwrap_or(line);
        if let Some(last) = self.lines.last_mut() {
            last.push('\n');
            last.push_str(line);
        }
    }
}

/// A text as a quoted string.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The words of a line; those of the form `KEY="a b"` are one word, without the quotes.
pub(super) fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut in_quotes) = (Vec::new(), String::new(), false);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => in_quotes = !in_quotes,
            '\\' if in_quotes => word.extend(letters.next()),
            ' ' if !in_quotes => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            letter => word.push(letter),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The value of `KEY=value` among words.
pub(super) fn value_of<'w>(words: &'w [String], key: &str) -> Option<&'w str> {
    words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Vec<Reply> {
        let mut decoder = ReplyDecoder::default();
        text.lines().filter_map(|line| decoder.line(line).unwrap()).collect()
    }

    #[test]
    fn replies_have_lines_and_data_and_events_are_left_out() {
        let replies = decode("250-a=1\n250+b=\nx\n..y\n.\n250 OK\n650 CIRC 1\n552 no\n");
        let [first, second] = &replies[..] else { panic!("{replies:?}") };
        assert_eq!((first.status, first.value("a"), first.value("b")), (250, Some("1"), Some("\nx\n.y")));
        assert_eq!((second.status, &*second.lines), (552, &["no".to_owned()][..]));
    }

    #[test]
    fn garbage_and_endless_replies_are_refused() {
        for bad in ["", "2", "abc x", "250/x", "äää"] {
            assert!(ReplyDecoder::default().line(bad).is_err(), "{bad:?}");
        }
        let (mut decoder, line) = (ReplyDecoder::default(), format!("250-{}", "x".repeat(1 << 20)));
        assert!((0..5).any(|_| decoder.line(&line).is_err()));
    }

    #[test]
    fn words_may_be_quoted() {
        let words = words(r#"NOTICE PROGRESS=45 SUMMARY="a \"b\" c"  X"#);
        assert_eq!(words, ["NOTICE", "PROGRESS=45", r#"SUMMARY=a "b" c"#, "X"]);
        assert_eq!(value_of(&words, "PROGRESS"), Some("45"));
        assert_eq!(quoted(r#"a"\"#), r#""a\"\\""#);
    }
}
