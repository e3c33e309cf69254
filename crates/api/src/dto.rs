//! The shapes of requests and answers: what programs rely on, so a field never changes its meaning.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Filters and the page of `GET /api/v1/nodes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodesQuery {
    /// `new`, `healthy`, `suspect`, `dead` or `unsupported`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// A link scheme, e.g. `vless`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// The name of a source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// An ISO 3166-1 alpha-2 country of the exit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// A text that the label or the server contains; letter case does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// The first node to return, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// How many nodes to return, 1 to 1000; default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl NodesQuery {
    /// The most nodes on one page.
    pub const MAX_LIMIT: usize = 1000;

    /// The page size asked for, within its bounds.
    #[must_use]
    pub fn page_size(&self) -> usize {
        self.limit.unwrap_or(100).clamp(1, Self::MAX_LIMIT)
    }
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDto {
    /// The identity: 32 hexadecimal digits.
    pub id: String,
    /// The published name.
    pub name: String,
    /// `new`, `healthy`, `suspect`, `dead` or `unsupported`.
    pub state: String,
    /// The link scheme.
    pub scheme: String,
    /// The server's host.
    pub server: String,
    /// The server's port.
    pub port: u16,
    /// The transport.
    pub transport: String,
    /// The security layer.
    pub security: String,
    /// The last measured latency in milliseconds.
    pub latency_ms: Option<u64>,
    /// Failures in a row.
    pub failures: u32,
    /// Connections open through it now.
    pub in_flight: u32,
    /// The last success, in milliseconds since the Unix epoch.
    pub last_ok: Option<u64>,
    /// The last check, in milliseconds since the Unix epoch.
    pub last_checked: Option<u64>,
    /// The code of the last failure since the last success.
    pub last_error: Option<String>,
    /// The address that sites see.
    pub exit_ip: Option<String>,
    /// The exit's country, ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// The sources that list it.
    pub sources: Vec<String>,
    /// Why it is never dialled, when its protocol is not implemented.
    pub unsupported: Option<String>,
}

/// One page of nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodesPage {
    /// How many nodes match the filters.
    pub total: usize,
    /// The first of this page, counted from 0.
    pub offset: usize,
    /// The page.
    pub nodes: Vec<NodeDto>,
}

/// A refused line of an added text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectDto {
    /// Its 1-based line.
    pub line: usize,
    /// The stable code.
    pub reject: String,
    /// Its first characters.
    pub excerpt: String,
}

/// The answer to `POST /api/v1/nodes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddReport {
    /// Nodes that were not known before.
    pub added: usize,
    /// Nodes that were known.
    pub known: usize,
    /// The ids of all of them, in order.
    pub ids: Vec<String>,
    /// What was refused.
    pub rejects: Vec<RejectDto>,
}

/// The body of `DELETE /api/v1/nodes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveRequest {
    /// The ids to remove.
    pub ids: Vec<String>,
}

/// The answer to a removal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveReport {
    /// How many were removed.
    pub removed: usize,
    /// How many were not there.
    pub missing: usize,
}

/// Nodes per state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct StateCounts {
    pub new: usize,
    pub healthy: usize,
    pub suspect: usize,
    pub dead: usize,
    /// Nodes whose protocol is not implemented; they count in no other state.
    pub unsupported: usize,
}

/// One source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDto {
    /// Its name.
    pub name: String,
    /// `url`, `file`, `github`, `telegram` or `links`.
    pub kind: String,
    /// Nodes it lists now.
    pub nodes: usize,
    /// Of those, the ones that carry traffic.
    pub healthy: usize,
    /// Lines refused at the last reading.
    pub rejected: usize,
    /// The last successful fetch, in milliseconds since the Unix epoch.
    pub last_ok: Option<u64>,
    /// The code of the last failure since then.
    pub error: Option<String>,
    /// Its text.
    pub error_text: Option<String>,
    /// The next fetch, in milliseconds since the Unix epoch.
    pub next: Option<u64>,
}

/// The answer to `GET /api/v1/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusDto {
    /// The program's version.
    pub version: String,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// The address clients use.
    pub proxy: String,
    /// Nodes per state.
    pub nodes: StateCounts,
    /// Nodes per scheme.
    pub schemes: BTreeMap<String, usize>,
    /// The sources.
    pub sources: Vec<SourceDto>,
}
