//! Puts the warnings of a Tor client into our log: so many in a while, the others are counted. Its other lines are for debugging.

use std::time::{Duration, Instant};

use hezar_tor::{TorLogLevel, TorLogLine};

/// The most lines …
const MOST: u32 = 30;
/// … in this time.
const WINDOW: Duration = Duration::from_secs(60);

/// The beginning of a warning that explains no end.
const AS_ROOT: &str = "You are running Tor as root";

/// The log of one client.
#[derive(Debug)]
pub(super) struct TorLog {
    source: String,
    began: Instant,
    lines: u32,
    left_out: u64,
    /// The last warning or error, to explain the end of the client.
    last_trouble: Option<String>,
}

impl TorLog {
    pub(super) fn new(source: &str) -> Self {
        Self { source: source.to_owned(), began: Instant::now(), lines: 0, left_out: 0, last_trouble: None }
    }

    /// Writes a line, or counts it.
    pub(super) fn write(&mut self, line: TorLogLine) {
        let TorLogLine { level, text } = line;
        if level == TorLogLevel::Notice {
            tracing::debug!(source = self.source, "tor: {text}");
            return;
        }
        if self.admits(Instant::now()) {
            tracing::warn!(source = self.source, "tor: {text}");
        }
        if !text.starts_with(AS_ROOT) {
            self.last_trouble = Some(text);
        }
    }

    /// The last warning or error.
    pub(super) fn last_trouble(&self) -> Option<&str> {
        self.last_trouble.as_deref()
    }

    fn admits(&mut self, now: Instant) -> bool {
        if now.duration_since(self.began) >= WINDOW {
            if self.left_out > 0 {
                tracing::warn!(source = self.source, lines = self.left_out, "lines of tor's log were left out");
            }
            (self.began, self.lines, self.left_out) = (now, 0, 0);
        }
        self.lines = self.lines.saturating_add(1);
        let admitted = self.lines <= MOST;
        self.left_out += u64::from(!admitted);
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_are_written_in_a_while() {
        let mut log = TorLog::new("t");
        let now = Instant::now();
        let admitted = (0..100).filter(|_| log.admits(now)).count();
        assert_eq!((admitted, log.left_out), (30, 70));
        assert!(log.admits(now + WINDOW) && log.left_out == 0);
        log.write(TorLogLine { level: TorLogLevel::Warn, text: "x".to_owned() });
        log.write(TorLogLine { level: TorLogLevel::Notice, text: "y".to_owned() });
        assert_eq!(log.last_trouble(), Some("x"));
    }
}
