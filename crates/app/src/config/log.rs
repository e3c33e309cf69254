//! What may be said about the log.

use hezar_core::settings::{Given, SettingValue};

/// A level such as `info`, or a filter such as `hezar_probe=debug,info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLevel(pub String);

impl SettingValue for LogLevel {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        given.text().filter(|text| is_log_filter(text)).map(|text| Self(text.to_owned()))
    }

    fn expected((): &()) -> String {
        "error, warn, info, debug, trace, or a filter such as \"hezar_probe=debug,info\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(self.0.clone()))
    }
}

/// Whether a text says what is logged. One word that is no level would name a module and silence all the others.
fn is_log_filter(text: &str) -> bool {
    let is_level =
        |word: &str| !word.trim().is_empty() && word.trim().parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    let is_word = |part: &str| part.trim().bytes().all(|byte| byte.is_ascii_alphanumeric());
    tracing_subscriber::EnvFilter::try_new(text).is_ok() && text.split(',').all(|part| is_level(part) || !is_word(part))
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For programs.
    Json,
}

impl LogFormat {
    const ALL: [(&'static str, Self); 2] = [("pretty", Self::Pretty), ("json", Self::Json)];
}

impl SettingValue for LogFormat {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let text = given.text()?;
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, format)| *format)
    }

    fn expected((): &()) -> String {
        "\"pretty\" or \"json\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        let name = Self::ALL.iter().find(|(_, format)| format == self).map(|(name, _)| (*name).to_owned());
        name.map(Given::Text)
    }

    fn choices() -> Vec<&'static str> {
        Self::ALL.iter().map(|(name, _)| *name).collect()
    }
}

/// How a line of the access log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// A JSON object.
    Json,
    /// The Combined Log Format of Apache's HTTP server.
    Combined,
}

impl AccessLogFormat {
    const ALL: [(&'static str, Self); 2] = [("json", Self::Json), ("combined", Self::Combined)];
}

impl SettingValue for AccessLogFormat {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let text = given.text()?;
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, format)| *format)
    }

    fn expected((): &()) -> String {
        "\"json\" or \"combined\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        let name = Self::ALL.iter().find(|(_, format)| format == self).map(|(name, _)| (*name).to_owned());
        name.map(Given::Text)
    }

    fn choices() -> Vec<&'static str> {
        Self::ALL.iter().map(|(name, _)| *name).collect()
    }
}
