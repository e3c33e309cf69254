//! Nodes, as lists and links of them show them.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::NodesFilter;

/// Filters and the page of `GET /api/v1/nodes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct NodesQuery {
    /// `new`, `healthy`, `suspect`, `dead`, `unsupported`, `quarantined` or `disabled`.
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
    /// The number of the autonomous system of the exit, as 13335; known where `geo.asn_mmdb` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// `elite`, `anonymous` or `transparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anonymity: Option<String>,
    /// A text that the label or the server contains; letter case does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// A tag that an operator has given it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The address of its exit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<String>,
    /// `id` (the default), `best` (those that work in front, the fastest first), `latency`, `country`, `name`, `checked` (the last check in
    /// front), `success`, `traffic`, `throughput`, `state` or `in_flight`; with `-` in front the other way round. What has no value comes last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
    /// The cursor of the part to return: `next` of the part before. Nodes that come and go meanwhile neither repeat nor skip others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The first node to return, counted from 0; `cursor` is better, because numbers move when nodes come and go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
    /// How many nodes to return, 1 to 1000; default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl NodesQuery {
    /// The most nodes on one page.
    pub const MAX_LIMIT: usize = 1000;

    /// The filter in it.
    #[must_use]
    pub fn filter(&self) -> NodesFilter {
        let Self { state, scheme, source, country, asn, anonymity, search, tag, exit, .. } = self.clone();
        NodesFilter { state, scheme, source, country, asn, anonymity, search, tag, exit }
    }

    /// The page size asked for, within its bounds.
    #[must_use]
    pub fn page_size(&self) -> usize {
        self.limit.unwrap_or(100).clamp(1, Self::MAX_LIMIT)
    }
}

/// One node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeDto {
    /// The identity: 32 hexadecimal digits.
    pub id: String,
    /// The published name.
    pub name: String,
    /// `new`, `healthy`, `suspect`, `dead`, `unsupported`, `quarantined` or `disabled`.
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
    /// Whether it takes any certificate: whoever sits between can read and change what it carries.
    #[serde(default)]
    pub insecure: bool,
    /// What an HTTP proxy is known to carry: `plain` requests, tunnels to port `443`, to `any-port`, separated by commas;
    /// absent while nothing is known, and for other protocols.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carries: Option<String>,
    /// How much it gives away to the targets of plain requests: `elite` (nothing), `anonymous` (that it is a proxy) or
    /// `transparent` (our own address); absent while that is not known. Nodes that tunnel everything are `elite`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymity: Option<String>,
    /// The last measured latency in milliseconds.
    pub latency_ms: Option<u64>,
    /// The smoothed speed of clients' transfers in bytes a second, of those behind its exit while the node itself has moved
    /// little; absent while little was moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput_bytes_per_second: Option<u64>,
    /// Failures in a row.
    pub failures: u32,
    /// Connections open through it now.
    pub in_flight: u32,
    /// The last success, in milliseconds since the Unix epoch.
    pub last_ok: Option<u64>,
    /// The last check, in milliseconds since the Unix epoch.
    pub last_checked: Option<u64>,
    /// The next check, in milliseconds since the Unix epoch; absent for nodes that are not checked.
    #[serde(default)]
    pub next_check: Option<u64>,
    /// The code of the last failure since the last success.
    pub last_error: Option<String>,
    /// The address that sites see.
    pub exit_ip: Option<String>,
    /// The exit's country, ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// The number of the autonomous system that the exit belongs to, where a database knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// The exit's city, where a database knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// The sources that list it.
    pub sources: Vec<String>,
    /// What dials it: `native`, or an installed core, `mihomo` or `xray`; absent when nothing can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Why it is never dialled, when its protocol is not implemented.
    pub unsupported: Option<String>,
    /// The code of how it was caught tampering, while it is in quarantine.
    pub quarantine: Option<String>,
    /// The smoothed share of successes, 0 to 1; `null` before the first check.
    #[serde(default)]
    pub success_rate: Option<f32>,
    /// Bytes to it since the start of the process.
    #[serde(default)]
    pub up: u64,
    /// Bytes from it since the start of the process.
    #[serde(default)]
    pub down: u64,
    /// When it was first listed, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub first_seen: u64,
    /// Whether an operator has switched it off: it carries nothing and is not probed.
    #[serde(default)]
    pub disabled: bool,
    /// Whether it is never forgotten.
    #[serde(default)]
    pub pinned: bool,
    /// What an operator calls it, for the expressions of listeners.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What an operator says about it.
    #[serde(default)]
    pub note: String,
}

/// The answer to `GET /api/v1/nodes/{id}/link`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkDto {
    /// The share link of the node, with its credentials.
    pub link: String,
}

/// One page of nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodesPage {
    /// How many nodes match the filters.
    pub total: usize,
    /// The first of this page, counted from 0.
    pub offset: usize,
    /// The page.
    pub nodes: Vec<NodeDto>,
    /// The cursor of the next part; `null` at the end of the list.
    #[serde(default)]
    pub next: Option<String>,
}
