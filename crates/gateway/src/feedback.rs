//! Rules that read the answers to plain HTTP requests: which of them say that a site refuses the exit, and what follows.

use std::time::Duration;

use hezar_core::{
    Host, settings,
    settings::{Given, Mistake, Optional, SettingValue},
};
use http::StatusCode;
use regex::bytes::{Regex, RegexBuilder};

use crate::{HostPatterns, PortSet};

/// How much of a body is looked at, in bytes.
pub(crate) const LOOKED_AT: usize = 32 * 1024;
/// The longest pattern, and the most memory that a compiled one may take, in bytes.
const LONGEST_PATTERN: usize = 1024;
const LARGEST_PROGRAM: usize = 1 << 20;
/// The most rules of a listener.
pub const MOST_FEEDBACK_RULES: usize = 64;

settings! {
    /// An answer that says that a site refuses the exit, and what follows. A rule has a status, a body, or both.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct FeedbackRule in "feedback" {
        /// Only answers of these hosts; absent = all.
        pub hosts: Option<HostPatterns> = None;
        /// Only answers with one of these statuses, such as `[403, 429, "500-599"]`.
        pub status: Option<StatusSet> = None;
        /// Only answers whose first 32 KiB fit this regular expression; compressed bodies fit none.
        pub body: Option<BodyPattern> = None;
        /// For so long the exit is not used for the site.
        pub ban: Duration [Duration::from_secs(1)..=Duration::from_secs(30 * 86_400)] = Duration::from_secs(3600);
        /// True: the request goes to another exit, when it can be repeated (GET, HEAD and OPTIONS without a body).
        pub retry: bool = true;
    }
}

impl FeedbackRule {
    /// Whether it says anything.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.status.is_some() || self.body.is_some()
    }

    /// Whether it fits an answer, as far as its head says.
    pub(crate) fn fits_head(&self, host: &Host, status: StatusCode) -> bool {
        self.hosts.as_ref().is_none_or(|hosts| hosts.matches(host))
            && self.status.as_ref().is_none_or(|statuses| statuses.0.contains(status.as_u16()))
    }

    /// Whether it fits the beginning of a body; absent where the body cannot be read.
    pub(crate) fn fits_body(&self, beginning: Option<&[u8]>) -> bool {
        match (&self.body, beginning) {
            (None, _) => true,
            (Some(pattern), Some(beginning)) => pattern.0.is_match(beginning),
            (Some(_), None) => false,
        }
    }
}

/// A set of HTTP statuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSet(PortSet);

impl SettingValue for StatusSet {
    type Range = ();
    const JSON_TYPES: &'static [&'static str] = PortSet::JSON_TYPES;

    fn parse(given: &Given, (): &()) -> Option<Self> {
        PortSet::parse(given, &()).filter(|set| set.is_within(100, 599)).map(Self)
    }

    fn expected((): &()) -> String {
        "a list of HTTP statuses and ranges of them, such as [403, \"500-599\"]".to_owned()
    }

    fn write(&self) -> Option<Given> {
        self.0.write()
    }
}

impl Optional for StatusSet {}

/// A regular expression over the bytes of a body. It takes a time that is linear in the body, whatever the pattern.
#[derive(Clone, Debug)]
pub struct BodyPattern(Regex);

impl PartialEq for BodyPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for BodyPattern {}

impl SettingValue for BodyPattern {
    type Range = ();

    fn read(given: &Given, range: &()) -> Result<Self, Vec<Mistake>> {
        let text = given.text().filter(|text| (1..=LONGEST_PATTERN).contains(&text.len()));
        let text = text.ok_or_else(|| vec![Mistake::Expected(Self::expected(range))])?;
        let pattern = RegexBuilder::new(text).size_limit(LARGEST_PROGRAM).dfa_size_limit(LARGEST_PROGRAM).build();
        pattern.map(Self).map_err(|error| {
            // The error draws the place beneath the pattern; its last line says what is wrong.
            let text = error.to_string();
            let what = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            vec![Mistake::Message(format!("it is no regular expression: {what}"))]
        })
    }

    fn parse(given: &Given, range: &()) -> Option<Self> {
        Self::read(given, range).ok()
    }

    fn expected((): &()) -> String {
        format!("a regular expression of 1 to {LONGEST_PATTERN} bytes, such as \"(?i)captcha|access denied\"")
    }

    fn write(&self) -> Option<Given> {
        Some(Given::Text(self.0.as_str().to_owned()))
    }
}

impl Optional for BodyPattern {}

#[cfg(test)]
mod tests {
    use hezar_core::Target;

    use super::*;

    fn text(text: &str) -> Given {
        Given::Text(text.to_owned())
    }

    #[test]
    fn a_rule_fits_by_host_status_and_body() {
        let rule = FeedbackRule {
            hosts: HostPatterns::read([".shop.example"]),
            status: StatusSet::parse(&Given::List(vec![Given::Integer(403), text("500-503")]), &()),
            body: BodyPattern::parse(&text("(?i)captcha|blocked"), &()),
            ..FeedbackRule::default()
        };
        let host = |name: &str| Target::parse(&format!("{name}:80")).unwrap().host().clone();
        let head = |name: &str, status: u16| rule.fits_head(&host(name), StatusCode::from_u16(status).unwrap());
        assert!(head("www.shop.example", 403) && head("shop.example", 502));
        assert!(!head("www.shop.example", 200) && !head("other.example", 403));
        assert!(
            rule.fits_body(Some(b"<h1>CAPTCHA \xff</h1>"))
                && !rule.fits_body(Some(b"welcome"))
                && !rule.fits_body(None)
        );
        assert!(rule.is_complete() && !FeedbackRule::default().is_complete());
        assert!(FeedbackRule::default().fits_body(None));
    }

    #[test]
    fn patterns_are_bounded() {
        let read = |pattern: &str| BodyPattern::read(&text(pattern), &());
        assert!(read("a{1,1000}{1,1000}").is_err() && read(&"a".repeat(2000)).is_err() && read("").is_err());
        let message = format!("{:?}", read("(").unwrap_err());
        assert!(message.contains("no regular expression: unclosed group"), "{message}");
        for status in ["99", "600", "0"] {
            assert!(StatusSet::parse(&text(status), &()).is_none(), "{status}");
        }
    }
}
