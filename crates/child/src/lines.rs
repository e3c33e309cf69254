//! Reads the lines that a child process prints, bounded in length.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// The longest line that is kept whole, in bytes.
const LONGEST: usize = 1024;

/// Splits what a program prints into lines.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    line: Vec<u8>,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// The lines of `reader`.
    pub const fn new(reader: R) -> Self {
        Self { reader, line: Vec::new() }
    }

    /// The next line that is not empty, without control characters; `None` at the end. Of a line longer than 1 KiB the beginning is kept.
    /// Cancel safe.
    ///
    /// # Errors
    /// Those of the reader.
    pub async fn next(&mut self) -> io::Result<Option<String>> {
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

    fn take(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let text: String = without_control(text.trim()).collect();
        (!text.is_empty()).then_some(text)
    }
}

/// The characters of what another program says: control characters become spaces, so that it cannot make up lines of a log.
pub fn without_control(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_bounded_and_hold_no_control_characters() {
        let long = "x".repeat(5000);
        let text = format!("a [b] c\r\n\nodd\x1b[1m\n{long}\nlast");
        let mut lines = Lines::new(text.as_bytes());
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        assert_eq!(all, ["a [b] c", "odd [1m", &long[..LONGEST], "last"]);
    }
}
