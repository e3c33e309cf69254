//! The JSON of requests that change something, and of their answers: add, remove, ban, probe, fetch.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::NodesFilter;

/// A refused line of an added text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RejectDto {
    /// Its 1-based line.
    pub line: usize,
    /// The stable code.
    pub reject: String,
    /// Its first characters.
    pub excerpt: String,
    /// What to do instead, when there is something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The parameters of `POST /api/v1/nodes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct AddQuery {
    /// Whether nodes on private, loopback and link-local addresses are taken.
    pub allow_private: bool,
}

/// The body of `POST /api/v1/probe`: which nodes to probe now. All that is given must fit; without any, all nodes are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeRequest {
    /// Node ids.
    pub ids: Vec<String>,
    /// `new`, `healthy`, `suspect`, `dead`, `unsupported` or `quarantined`.
    pub state: Option<String>,
    /// A link scheme.
    pub scheme: Option<String>,
    /// The name of a source.
    pub source: Option<String>,
    /// An ISO 3166-1 alpha-2 country of the exit.
    pub country: Option<String>,
    /// The number of the autonomous system of the exit, as 13335; known where `geo.asn_mmdb` is set.
    pub asn: Option<u32>,
    /// A text that the label or the server contains.
    pub search: Option<String>,
    /// A tag that an operator has given it.
    pub tag: Option<String>,
    /// The address of its exit.
    pub exit: Option<String>,
    /// How many seconds to wait for the results, at most 600; 30 unless said.
    pub wait: Option<u64>,
}

/// The body of `POST /api/v1/fetch`: which sources to read now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FetchRequest {
    /// Their names; all sources unless said.
    pub sources: Vec<String>,
    /// How many seconds to wait for the results, at most 600; 30 unless said.
    pub wait: Option<u64>,
}

/// The longest wait for the results of work that was asked for, in seconds.
pub(crate) const LONGEST_WAIT: u64 = 600;

impl ProbeRequest {
    /// The filter in it.
    #[must_use]
    pub fn filter(&self) -> NodesFilter {
        let Self { state, scheme, source, country, asn, search, tag, exit, .. } = self.clone();
        NodesFilter { state, scheme, source, country, asn, search, tag, exit, anonymity: None }
    }

    /// How long to wait for the results.
    #[must_use]
    pub fn patience(&self) -> Duration {
        patience(self.wait)
    }
}

impl FetchRequest {
    /// How long to wait for the results.
    #[must_use]
    pub fn patience(&self) -> Duration {
        patience(self.wait)
    }
}

fn patience(seconds: Option<u64>) -> Duration {
    Duration::from_secs(seconds.unwrap_or(30).min(LONGEST_WAIT))
}

/// The answer to `POST /api/v1/probe`: 200 when all results are in, 202 when some probes go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProbeReport {
    /// Nodes that were asked for.
    pub asked: usize,
    /// Those that work.
    pub works: usize,
    /// Those that do not.
    pub failed: usize,
    /// Those whose probes go on, or were given up.
    pub pending: usize,
    /// The job that follows those: `GET /api/v1/jobs/{id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The results, at most 10,000.
    pub nodes: Vec<ProbedDto>,
}

impl ProbeReport {
    /// The most results in one answer; the numbers count all of them.
    pub const MOST_RESULTS: usize = 10_000;
}

/// What the probe of one node found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProbedDto {
    /// The node.
    pub id: String,
    /// Whether it answered as it should.
    pub works: bool,
    /// How long it took, in milliseconds.
    pub latency_ms: Option<u64>,
    /// Why it does not work: a stable code.
    pub error: Option<String>,
    /// How far the probe came.
    pub stage: Option<String>,
}

/// The answer to `POST /api/v1/fetch`: 200 when all sources were read, 202 when some are being read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FetchReport {
    /// Sources that were asked for.
    pub asked: usize,
    /// Those that are being read.
    pub pending: usize,
    /// The job that follows those: `GET /api/v1/jobs/{id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// What the others gave.
    pub sources: Vec<FetchedDto>,
}

/// What reading one source gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FetchedDto {
    /// Its name.
    pub source: String,
    /// Nodes it lists.
    pub nodes: u32,
    /// Nodes that were not known before.
    pub added: usize,
    /// Refused lines.
    pub refused: u32,
    /// Nodes that were not taken in, because of the bounds in `[pool]`.
    #[serde(default)]
    pub left_out: usize,
    /// Whether nothing had changed since the last time.
    pub unchanged: bool,
    /// The last successful fetch, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub last_ok: Option<u64>,
    /// The code of the failure.
    pub error: Option<String>,
    /// Its text.
    pub message: Option<String>,
}

/// The answer to `POST /api/v1/nodes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AddReport {
    /// Nodes that were not known before.
    pub added: usize,
    /// Nodes that were known.
    pub known: usize,
    /// Nodes that were not taken in, because of the bounds in `[pool]`.
    #[serde(default)]
    pub left_out: usize,
    /// The ids of all of them, in order.
    pub ids: Vec<String>,
    /// What was refused.
    pub rejects: Vec<RejectDto>,
}

/// The body of `DELETE /api/v1/nodes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveRequest {
    /// The ids to remove: 32 hexadecimal digits, or at least the first 6 where these name one node.
    #[serde(default)]
    pub ids: Vec<String>,
    /// Every node that fits is removed as well; it must say something.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "super::object::optional_object")]
    pub filter: Option<NodesFilter>,
    /// Whether they are banned too: no list brings them back until the ban is lifted.
    #[serde(default)]
    pub ban: bool,
}

/// The answer to a removal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemoveReport {
    /// How many were removed.
    pub removed: usize,
    /// How many were not there.
    pub missing: usize,
    /// How many were banned.
    #[serde(default)]
    pub banned: usize,
}

/// The answer to a change of a Tor circuit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RotateReport {
    /// The id of the node that was.
    pub node: String,
    /// The id of the node that takes its place: the same circuit's number with another login.
    pub replacement: String,
}

/// A node that must not come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BanDto {
    /// Its id.
    pub id: String,
    /// The published name that it had.
    pub name: String,
    /// When it was banned, in milliseconds since the Unix epoch.
    pub since: u64,
}

/// The body of `DELETE /api/v1/bans`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LiftRequest {
    /// The ids of banned nodes, in full or short.
    pub ids: Vec<String>,
}

/// The answer to `POST /api/v1/reload`: what differed from the configuration in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReloadReport {
    /// What was applied, in words: keys such as `proxy.attempts`, sources and listeners.
    pub changed: Vec<String>,
    /// Keys that take effect at the next start only.
    pub restart: Vec<String>,
}

/// The answer to lifting bans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LiftReport {
    /// How many were lifted.
    pub lifted: usize,
    /// How many there were not.
    pub missing: usize,
}

/// The answer to `DELETE /api/v1/sessions/{id}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndReport {
    /// Whether it ran until now.
    pub ended: bool,
}
