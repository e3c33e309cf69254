//! The feed: what one instance tells another one of the nodes that work.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Whose feed is asked for, and since when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct FeedQuery {
    /// The `cursor` of the answer before: only what has changed since is told. Where that is not known any more, or without it,
    /// everything is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The name that the asking instance has in feeds: nodes that came from it are not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reader: Option<String>,
}

/// Which change of the feed is waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct FeedChangesQuery {
    /// The `cursor` of an answer of the feed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many seconds the answer may wait for a change, 0 to 30; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
}

impl FeedChangesQuery {
    /// The longest time that an answer waits, in seconds.
    pub const MAX_WAIT: u64 = 30;

    /// How long the answer may wait, in seconds.
    #[must_use]
    pub fn wait_seconds(&self) -> u64 {
        self.wait.unwrap_or(0).min(Self::MAX_WAIT)
    }
}

/// Whether the feed has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FeedChangesDto {
    /// Whether there is anything new behind `after`.
    pub changed: bool,
}

/// The first line of a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FeedHeadDto {
    /// The name of the answering instance in feeds; it stays the same over restarts.
    pub instance: String,
    /// What `after` of the next question is.
    pub cursor: String,
    /// Whether the lines are all nodes that work, and not only what has changed.
    pub whole: bool,
    /// How many nodes work here and are not told, because they came from the asking instance; 0 where only changes are told.
    #[serde(default)]
    pub from_reader: usize,
}

/// A line of a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum FeedLineDto {
    /// The first line.
    Head(FeedHeadDto),
    /// Each further line.
    Node(FeedNodeDto),
}

/// A further line of a feed: one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FeedNodeDto {
    /// The identity: 32 hexadecimal digits.
    pub id: String,
    /// Its share link; absent when it does not work any more or is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The milliseconds that have passed since it last worked, so that no two clocks are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// How long a probe through it takes, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// The address that sites see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_ip: Option<String>,
    /// The exit's country, ISO 3166-1 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The instances over whose feeds it came to the answering one; absent when that has it from a source of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<String>,
}
