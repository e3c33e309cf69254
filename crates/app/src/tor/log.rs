//! Puts the warnings of a Tor client into our log: so many in a while, the others are counted. Its other lines are for debugging.

use std::time::Instant;

use hezar_child::LineLimit;
use hezar_tor::{TorLogLevel, TorLogLine};

/// The beginning of a warning that explains no end.
const AS_ROOT: &str = "You are running Tor as root";

/// The log of one client.
#[derive(Debug)]
pub(super) struct TorLog {
    source: String,
    limit: LineLimit,
    /// The last warning or error, to explain the end of the client.
    last_trouble: Option<String>,
}

impl TorLog {
    pub(super) fn new(source: &str) -> Self {
        Self { source: source.to_owned(), limit: LineLimit::new(Instant::now()), last_trouble: None }
    }

    /// Writes a line, or counts it.
    pub(super) fn write(&mut self, line: TorLogLine) {
        let TorLogLine { level, text } = line;
        if level == TorLogLevel::Notice {
            tracing::debug!(source = self.source, "tor: {text}");
            return;
        }
        if let Some(left_out) = self.limit.admit(Instant::now()) {
            if left_out > 0 {
                tracing::warn!(source = self.source, lines = left_out, "lines of tor's log were left out");
            }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_trouble_is_kept() {
        let mut log = TorLog::new("t");
        log.write(TorLogLine { level: TorLogLevel::Warn, text: "x".to_owned() });
        log.write(TorLogLine { level: TorLogLevel::Notice, text: "y".to_owned() });
        log.write(TorLogLine { level: TorLogLevel::Warn, text: format!("{AS_ROOT}; why?") });
        assert_eq!(log.last_trouble(), Some("x"));
    }
}
