//! Reads the level of the lines that a Tor client prints.

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
    pub(crate) fn read(line: &str) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_a_level() {
        let line = TorLogLine::read("Nov 29 12:00:00.000 [warn] a [b] c");
        assert_eq!(line, TorLogLine { level: TorLogLevel::Warn, text: "a [b] c".to_owned() });
        let odd = TorLogLine::read("odd [1m");
        assert_eq!(odd, TorLogLine { level: TorLogLevel::Notice, text: "odd [1m".to_owned() });
    }
}
