//! What an instance counted over time: rows of a minute for a day, rows of an hour for 90 days.

use std::{collections::BTreeMap, time::Duration};

use hezar_core::{LatencyBuckets, Timestamp};

/// How much time one row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HistoryStep {
    /// One minute; kept for a day.
    Minute,
    /// One hour; kept for 90 days.
    Hour,
}

impl HistoryStep {
    /// Every step, the shortest first.
    pub const ALL: [Self; 2] = [Self::Minute, Self::Hour];

    /// The time that one row stands for.
    #[must_use]
    pub const fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Minute => 60,
            Self::Hour => 3600,
        })
    }

    /// How long a row is kept after its time.
    #[must_use]
    pub const fn kept(self) -> Duration {
        Duration::from_secs(match self {
            Self::Minute => 86_400,
            Self::Hour => 90 * 86_400,
        })
    }

    /// The time that one row stands for in whole seconds, as the databases keep it.
    pub(crate) fn seconds(self) -> i64 {
        i64::try_from(self.length().as_secs()).unwrap_or(i64::MAX)
    }

    /// When the row began that a point in time belongs to.
    #[must_use]
    pub fn start_of(self, time: Timestamp) -> Timestamp {
        let length = u64::try_from(self.length().as_millis()).unwrap_or(u64::MAX);
        Timestamp(time.0 - time.0 % length)
    }
}

/// Nodes by state, in numbers; as sums over several countings in a [`HistorySample`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeSums {
    /// Never judged yet.
    pub new: u64,
    /// Healthy.
    pub healthy: u64,
    /// Suspect.
    pub suspect: u64,
    /// Dead.
    pub dead: u64,
    /// No dialer can be built for them.
    pub unsupported: u64,
    /// Caught tampering.
    pub quarantined: u64,
    /// Switched off by an operator.
    pub disabled: u64,
}

impl NodeSums {
    /// The same with each number changed.
    #[must_use]
    pub fn map(self, change: impl Fn(u64) -> u64) -> Self {
        Self {
            new: change(self.new),
            healthy: change(self.healthy),
            suspect: change(self.suspect),
            dead: change(self.dead),
            unsupported: change(self.unsupported),
            quarantined: change(self.quarantined),
            disabled: change(self.disabled),
        }
    }

    fn add(&mut self, other: Self) {
        self.new = self.new.saturating_add(other.new);
        self.healthy = self.healthy.saturating_add(other.healthy);
        self.suspect = self.suspect.saturating_add(other.suspect);
        self.dead = self.dead.saturating_add(other.dead);
        self.unsupported = self.unsupported.saturating_add(other.unsupported);
        self.quarantined = self.quarantined.saturating_add(other.quarantined);
        self.disabled = self.disabled.saturating_add(other.disabled);
    }
}

/// What was counted in some time. Samples of neighbouring times add up to the sample of both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistorySample {
    /// How often the nodes were counted.
    pub samples: u64,
    /// The nodes, summed over the countings.
    pub nodes: NodeSums,
    /// Requests by code.
    pub requests: BTreeMap<Box<str>, u64>,
    /// Bytes from clients to nodes.
    pub up: u64,
    /// Bytes from nodes to clients.
    pub down: u64,
    /// How long requests took until their first answer.
    pub latency: LatencyBuckets,
}

impl HistorySample {
    /// Adds what was counted in another time.
    pub fn add(&mut self, other: &Self) {
        self.samples = self.samples.saturating_add(other.samples);
        self.nodes.add(other.nodes);
        for (code, number) in &other.requests {
            let sum = self.requests.entry(code.clone()).or_default();
            *sum = sum.saturating_add(*number);
        }
        self.up = self.up.saturating_add(other.up);
        self.down = self.down.saturating_add(other.down);
        self.latency.add(&other.latency);
    }

    /// The requests as the databases keep them: `ok=12,timeout=3`.
    pub(crate) fn requests_text(&self) -> String {
        let pairs: Vec<String> = self.requests.iter().map(|(code, number)| format!("{code}={number}")).collect();
        pairs.join(",")
    }

    /// The numbers of the latency's buckets as the databases keep them, with commas between.
    pub(crate) fn latency_text(&self) -> String {
        let numbers: Vec<String> = self.latency.counts().iter().map(u64::to_string).collect();
        numbers.join(",")
    }

    /// The nodes as they were on average; `None` when they were never counted.
    #[must_use]
    pub fn mean_nodes(&self) -> Option<NodeSums> {
        let samples = self.samples;
        // Rounded to the nearest whole node.
        (samples > 0).then(|| self.nodes.map(|sum| sum.saturating_add(samples / 2) / samples))
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// How much time it stands for.
    pub step: HistoryStep,
    /// When that time began.
    pub at: Timestamp,
    /// What was counted.
    pub sample: HistorySample,
}

/// Reads what [`HistorySample::requests_text`] has written; a pair that cannot be understood is left out.
pub(crate) fn requests_from_text(text: &str) -> BTreeMap<Box<str>, u64> {
    let pair = |text: &str| {
        let (code, number) = text.split_once('=')?;
        Some((code.into(), number.parse().ok()?))
    };
    text.split(',').filter_map(pair).collect()
}

/// Reads what [`HistorySample::latency_text`] has written.
pub(crate) fn latency_from_text(text: &str) -> LatencyBuckets {
    LatencyBuckets::from_counts(text.split(',').map(|text| text.parse().unwrap_or(0)))
}
