//! What the prober is told: what to ask for, how often, how much at once.

use std::time::Duration;

use hezar_engine::http::RequestError;
use thiserror::Error;
use url::Url;

use crate::CanaryPage;

/// The settings of a prober. Every duration is a wall-clock time of at least a millisecond.
#[derive(Clone, Debug)]
pub struct ProbeConfig {
    /// What is asked for through a node, `http` or `https`.
    pub url: Url,
    /// The status a working node brings back.
    pub expect_status: u16,
    /// What the first 64 KiB of the answer's body must have in them.
    pub expect_body: Option<BodyRule>,
    /// The most that one probe may take.
    pub timeout: Duration,
    /// The most for finding and reaching the node's server.
    pub connect_timeout: Duration,
    /// The most for each handshake with it.
    pub handshake_timeout: Duration,
    /// The pause between probes of a healthy node.
    pub interval: Duration,
    /// The pause after a failure of a node that is not dead yet.
    pub suspect_interval: Duration,
    /// The longest pause between probes of a dead node; the pauses double up to it.
    pub dead_interval: Duration,
    /// The share of a pause by which it is lengthened or shortened at random, 0 to 0.9.
    pub jitter: f32,
    /// Probes at a time, at least 1.
    pub concurrency: usize,
    /// Probes started per second; 0 = no limit.
    pub per_second: u32,
    /// Probes at a time to one server host, at least 1. Loopback hosts are exempt.
    pub per_host: usize,
    /// Probes started per second at one server host; 0 = no limit. Loopback hosts are exempt.
    pub per_host_per_second: u32,
    /// Where the exit address is read: a page of `key=value` lines with `ip` and `loc`, as `/cdn-cgi/trace` serves.
    pub trace_url: Option<Url>,
    /// How often a node's exit is looked up.
    pub trace_interval: Duration,
    /// A plain `http` page that echoes the headers of requests: what HTTP proxies give away is read from it. Asked at most
    /// as often as the exit is looked up; absent = not asked.
    pub judge_url: Option<Url>,
    /// Pages whose bytes are known: one of them, or a second one when the first does not come as it should, is fetched
    /// through every node that works, at every check. Empty = tampering with plain HTTP is not looked for.
    pub canaries: Vec<CanaryPage>,
    /// How long a node that was caught tampering stays in quarantine after it was last caught.
    pub quarantine: Duration,
    /// What is asked for directly, without any node, when failures pile up: any HTTP answer to any of them says that
    /// our uplink works. Empty = nothing is ever sent directly, and only the brake guards the pool.
    pub control: Vec<Url>,
    /// When failures are doubted.
    pub guard: GuardConfig,
}

impl ProbeConfig {
    /// The usual probe URL.
    pub const URL: &str = "https://www.gstatic.com/generate_204";

    /// The defaults for a probe URL that answers 204.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self {
            url,
            expect_status: 204,
            expect_body: None,
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(5),
            interval: Duration::from_secs(60),
            suspect_interval: Duration::from_secs(10),
            dead_interval: Duration::from_secs(1800),
            jitter: 0.15,
            concurrency: 256,
            per_second: 500,
            per_host: 8,
            per_host_per_second: 16,
            trace_url: None,
            trace_interval: Duration::from_secs(24 * 3600),
            judge_url: None,
            canaries: Vec::new(),
            quarantine: Duration::from_secs(24 * 3600),
            control: Vec::new(),
            guard: GuardConfig::default(),
        }
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
