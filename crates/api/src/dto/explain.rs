//! The JSON of why a node is chosen.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::NodeDto;

/// The question of `GET /api/v1/explain`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ExplainQuery {
    /// A user name with its options, as a client would send it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The host that a client would ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The listener that a client would come to; the first one unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// `tcp` for a connection, `http` for a plain request to port 80, `udp` for an association; `tcp` unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// How many candidates, and how many examples of every reason, 1 to 100; default 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<usize>,
}

/// A node that a request could use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CandidateDto {
    /// The node.
    #[serde(flatten)]
    pub node: NodeDto,
    /// Latency in µs × error rate × load, as the strategy `smart` compares nodes; lower is better.
    pub score: f32,
}

/// Nodes that a request could not use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExcludedDto {
    /// `new`, `dead`, `disabled`, `unsupported`, `quarantined`, `datagrams`, `country`, `filter` or `site`.
    pub reason: String,
    /// How many.
    pub count: usize,
    /// The ids of some of them.
    pub examples: Vec<String>,
}

/// The answer to `GET /api/v1/explain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ExplainDto {
    /// The listener.
    pub listener: String,
    /// The user without options.
    pub user: String,
    /// The strategy that would choose.
    pub strategy: String,
    /// The country that was asked for.
    pub country: Option<String>,
    /// The session that was asked for.
    pub session: Option<String>,
    /// The site that evidence is looked up for.
    pub site: Option<String>,
    /// All the nodes.
    pub nodes: usize,
    /// Those that fit.
    pub fitting: usize,
    /// The different exits behind them.
    pub exits: usize,
    /// The node that the session keeps to.
    pub pinned: Option<String>,
    /// Whether that node fits now.
    pub pinned_fits: Option<bool>,
    /// The best of those that fit.
    pub candidates: Vec<CandidateDto>,
    /// The others.
    pub excluded: Vec<ExcludedDto>,
}
