//! What the prober is told: what to ask for, how often, how much at once.

use std::{ops::RangeInclusive, time::Duration};

use hezar_core::settings;
use hezar_core::settings::{Given, Optional, SettingValue, known_url};
use hezar_engine::http::RequestError;
use thiserror::Error;
use url::Url;

use crate::CanaryPage;

/// The range of timeouts.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(600);
/// The range of pauses between two checks.
const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 86_400);

settings! {
    /// The settings of a prober. Every duration is a wall-clock time of at least a millisecond.
    #[derive(Clone, Debug)]
    pub struct ProbeConfig in "probe" {
        /// Asked for through each node, over http or https.
        pub url: Url = known_url(Self::URL), set;
        /// The status that a working node brings back.
        pub expect_status: u16 [100..=599] = 204, set;
        /// A text that the body must contain.
        /// The first 64 KiB of the body count.
        pub expect_body: Option<BodyRule> = None, example "\"text that the body must contain\"";
        /// For one whole check.
        pub timeout: Duration [TIMEOUT] = Duration::from_secs(5), set;
        /// For reaching the node alone.
        /// It is `timeout` unless it is set.
        pub connect_timeout: Duration [TIMEOUT] = Duration::from_secs(5);
        /// Between two checks of a living node; dead ones wait longer and longer.
        pub interval: Duration [INTERVAL] = Duration::from_secs(60), set;
        /// Default: from the open-file limit.
        /// Checks at a time.
        pub concurrency: Option<usize> [1..=100_000] = None, example "1000";
        /// Checks started per second.
        pub per_second: u32 [1..=1_000_000] = 500;
        /// Checks at a time on one server.
        /// Servers on loopback addresses have no such limit.
        pub per_host: usize [1..=10_000] = 8;
        /// Checks started per second on one server; far fewer while nothing there answers.
        /// 0 = no limit. Servers on loopback addresses have no such limit.
        pub per_host_per_second: u32 [0..=1_000_000] = 16;
        /// Exit address and country; "" for none.
        /// A page of `key=value` lines with `ip` and `loc`.
        pub trace_url: Option<Url> = Some(known_url("https://www.cloudflare.com/cdn-cgi/trace"));
        /// The longest pause between probes of a dead node; the pauses double up to it. It is never shorter than `interval`.
        pub dead_interval: Duration [INTERVAL] = Duration::from_secs(1800);
        /// How often a node's exit is looked up.
        pub trace_interval: Duration [INTERVAL] = Duration::from_secs(86_400);
        /// What HTTP proxies give away is read from this page, which echoes the headers of requests; plain http.
        /// It is asked at most as often as the exit is looked up; absent = not asked.
        pub judge_url: Option<Url> = None, example "\"http://judge.example.org/\"";
        /// How long a node that was caught tampering carries nothing after it was last caught.
        pub quarantine: Duration [Duration::from_secs(1)..=Duration::from_secs(365 * 86_400)] = Duration::from_secs(86_400);
        /// Asked directly when many nodes fail at once: is it us?
        /// Any HTTP answer to any of them says that our own uplink works. Empty = nothing is asked directly.
        pub control: Vec<Url> = vec![
            known_url("http://cp.cloudflare.com/generate_204"),
            known_url("http://www.gstatic.com/generate_204"),
        ];
    } and {
        /// The most for each handshake with the node.
        pub handshake_timeout: Duration = Duration::from_secs(5);
        /// The pause after a failure of a node that is not dead yet.
        pub suspect_interval: Duration = Duration::from_secs(10);
        /// The share of a pause by which it is lengthened or shortened at random, 0 to 0.9.
        pub jitter: f32 = 0.15;
        /// Pages whose bytes are known: one of them, or a second one when the first does not come as it should, is fetched
        /// through every node that works, at every check. Empty = tampering with plain HTTP is not looked for.
        pub canaries: Vec<CanaryPage> = Vec::new();
        /// When failures are doubted.
        pub guard: GuardConfig = GuardConfig::default();
    }
}

impl ProbeConfig {
    /// The usual probe URL.
    pub const URL: &'static str = "https://www.gstatic.com/generate_204";
    /// Probes at a time when nothing says how many.
    pub(crate) const CONCURRENCY: usize = 256;

    /// The defaults for a probe URL that answers 204, without any request to another URL.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self { url, trace_url: None, control: Vec::new(), ..Self::default() }
    }
}

/// What the body of a probe's answer must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyRule {
    /// It has this text in it.
    Contains(Box<str>),
    /// It begins with this text.
    StartsWith(Box<str>),
}

/// A text: the body must contain it.
impl SettingValue for BodyRule {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        given.text().map(|text| Self::Contains(text.into()))
    }

    fn expected((): &()) -> String {
        "a text".to_owned()
    }

    fn write(&self) -> Option<Given> {
        let (Self::Contains(text) | Self::StartsWith(text)) = self;
        Some(Given::Text(text.to_string()))
    }
}

impl Optional for BodyRule {}

/// When failures are doubted.
#[derive(Clone, Debug)]
pub struct GuardConfig {
    /// Verdicts over healthy nodes are compared over at most this time.
    pub window: Duration,
    /// The share of failures among them above which the brake is pulled, 0 to 1.
    pub share: f32,
    /// Verdicts needed for that.
    pub least: usize,
    /// After the uplink was seen to work, failures are believed for so long.
    pub trust: Duration,
    /// The pause between control checks during an outage.
    pub recheck: Duration,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            share: 0.5,
            least: 8,
            trust: Duration::from_secs(15),
            recheck: Duration::from_secs(5),
        }
    }
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProbeConfigError {
    /// The probe URL cannot be asked for.
    #[error("the probe URL cannot be used: {0}")]
    Url(#[source] RequestError),
    /// The trace URL cannot be asked for.
    #[error("the trace URL cannot be used: {0}")]
    Trace(#[source] RequestError),
    /// The canary's URL cannot be asked for.
    #[error("the canary URL cannot be used: {0}")]
    Canary(#[source] RequestError),
    /// The judge's URL cannot be asked for, or is not a plain one.
    #[error("the judge URL cannot be used: {0}")]
    Judge(#[source] RequestError),
    /// A control URL cannot be asked for.
    #[error("the control URL {0} cannot be used: {1}")]
    Control(Box<str>, #[source] RequestError),
}
