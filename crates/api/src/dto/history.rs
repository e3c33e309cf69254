//! What was counted over time, and the last probes of a node.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::StateCounts;

/// The question of `GET /api/v1/history`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct HistoryQuery {
    /// The beginning, in milliseconds since the Unix epoch; an hour before the end unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The end, in milliseconds since the Unix epoch; now unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// The length of one point in seconds, a multiple of 60; the shortest that gives at most 500 points unless said. Steps
    /// that are no whole number of hours reach back one day, all others 90 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// Which series, separated by commas: `nodes`, `requests`, `bytes`, `latency`; all unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<String>,
}

/// What was counted over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryDto {
    /// The beginning of the first point's time, in milliseconds since the Unix epoch.
    pub from: u64,
    /// The end, exclusive, in milliseconds since the Unix epoch.
    pub to: u64,
    /// The length of one point in seconds.
    pub step: u64,
    /// The points of times in which something was counted, the oldest first; there are none of times in which nothing ran.
    pub points: Vec<HistoryPointDto>,
}

/// What was counted in one step of time; series that were not asked for are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryPointDto {
    /// When it began, in milliseconds since the Unix epoch.
    pub at: u64,
    /// Nodes per state, on average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<StateCounts>,
    /// Requests by code; `ok` are those that a node served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<BTreeMap<String, u64>>,
    /// Bytes that were moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<HistoryBytesDto>,
    /// How long requests took until their first answer; missing where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<HistoryLatencyDto>,
}

/// Bytes that were moved in one step of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryBytesDto {
    /// From clients to nodes.
    pub up: u64,
    /// From nodes to clients.
    pub down: u64,
}

/// Percentiles of the time until the first answer, read from fixed buckets that are √2 wide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryLatencyDto {
    /// The requests that were answered.
    pub count: u64,
    /// Half of them took no longer, in milliseconds.
    pub p50_ms: u64,
    /// Nine tenths took no longer, in milliseconds.
    pub p90_ms: u64,
    /// 99 of 100 took no longer, in milliseconds.
    pub p99_ms: u64,
}

/// The last probes of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeProbesDto {
    /// The node.
    pub id: String,
    /// Its probes since the start of the instance, the newest first: at most 50, or 4 of a node that has never worked. Of a
    /// very large pool only a part of the nodes is remembered, those that work before the others.
    pub probes: Vec<NodeProbeDto>,
}

/// One probe of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeProbeDto {
    /// When it ended, in milliseconds since the Unix epoch, to the second.
    pub at: u64,
    /// Whether the node answered as it should.
    pub works: bool,
    /// How long that took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// The stage that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The stable code of what went wrong, as in docs/errors.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether it counted for or against the node; it does not while this machine's own connection may be at fault.
    pub counted: bool,
}

/// Whether requests can be served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadyDto {
    /// Whether listeners are open and nodes carry traffic.
    pub ready: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
