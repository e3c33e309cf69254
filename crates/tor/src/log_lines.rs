//! Reads the lines that a Tor client prints, bounded in length.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// The longest line that is kept whole, in bytes.
const LONGEST: usize = 1024;

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TorLogLevel {
    /// What it does.
    Notice,
    /// Something that a person should look at.
    Warn,
    /// It cannot go on.
    Error,
}

/// One line of the client's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TorLogLine {
    /// How important it is.
    pub level: TorLogLevel,
    /// The text without its time and level.
    pub text: String,
}

impl TorLogLine {
    /// Reads `Nov 29 12:00:00.000 [notice] text`; what looks otherwise is a notice as a whole.
    fn read(line: &str) -> Self {
        let parts = line.split_once('[').and_then(|(_, rest)| rest.split_once("] "));
        let level = match parts.map(|(level, _)| level) {
            Some("warn") => TorLogLevel::Warn,
            Some("err") => TorLogLevel::Error,
            Some("notice" | "info" | "debug") => TorLogLevel::Notice,
            _ => return Self { level: TorLogLevel::Notice, text: line.to_owned() },
        };
        Self { level, text: parts.map_or(line, |(_, text)| text).to_owned() }
    }
}

/// Splits what comes into lines.
#[derive(Debug)]
pub(crate) struct LogLines<R> {
    reader: R,
    line: Vec<u8>,
}

impl<R: AsyncBufRead + Unpin> LogLines<R> {
    pub(crate) const fn new(reader: R) -> Self {
        Self { reader, line: Vec::new() }
    }

    /// The next line that is not empty; `None` at the end. Of a long line the beginning is kept. Cancel safe.
    pub(crate) async fn next(&mut self) -> io::Result<Option<TorLogLine>> {
        loop {
            let bytes = self.reader.fill_buf().await?;
            if bytes.is_empty() {
                return Ok(self.take());
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
            let room = LONGEST.saturating_sub(self.line.len()).min(part.len());
            self.line.extend_from_slice(part.get(..room).unwrap_or_default());
            let used = end.map_or(bytes.len(), |end| end + 1);
            self.reader.consume(used);
            if end.is_some()
                && let Some(line) = self.take()
            {
                return Ok(Some(line));
            }
        }
    }

    fn take(&mut self) -> Option<TorLogLine> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let text: String = text.trim().chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        (!text.is_empty()).then(|| TorLogLine::read(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_have_a_level_and_are_bounded() {
        let long = "x".repeat(5000);
        let text = format!("Nov 29 12:00:00.000 [warn] a [b] c\n\nodd\x1b[1m\n{long}\nlast");
        let mut lines = LogLines::new(text.as_bytes());
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        assert_eq!(all.first(), Some(&TorLogLine { level: TorLogLevel::Warn, text: "a [b] c".to_owned() }));
        assert_eq!(all.get(1).map(|line| line.text.as_str()), Some("odd [1m"));
        assert_eq!(all.get(2).map(|line| line.text.len()), Some(LONGEST));
        assert_eq!(all.get(3).map(|line| line.text.as_str()), Some("last"));
    }
}
