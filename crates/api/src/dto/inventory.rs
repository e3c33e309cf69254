//! The JSON of what nodes are worked with as a set: filters, changes of many, exits, evidence, proxy addresses.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::object::{object, optional_object};

/// Which nodes are meant. All that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NodesFilter {
    /// `new`, `healthy`, `suspect`, `dead`, `unsupported`, `quarantined` or `disabled`.
    pub state: Option<String>,
    /// A link scheme, e.g. `vless`.
    pub scheme: Option<String>,
    /// The name of a source.
    pub source: Option<String>,
    /// An ISO 3166-1 alpha-2 country of the exit.
    pub country: Option<String>,
    /// The number of the autonomous system of the exit, as 13335; known where `geo.asn_mmdb` is set.
    pub asn: Option<u32>,
    /// `elite`, `anonymous` or `transparent`.
    pub anonymity: Option<String>,
    /// A text that the label or the server contains; letter case does not matter.
    pub search: Option<String>,
    /// A tag that an operator has given it.
    pub tag: Option<String>,
    /// The address of its exit.
    pub exit: Option<String>,
}

impl NodesFilter {
    /// Whether it says nothing, so that every node fits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What an operator says about nodes. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NodeMarks {
    /// True: it carries nothing and is not probed.
    pub disabled: Option<bool>,
    /// True: it is never forgotten, however long it is dead and whatever lists it.
    pub pinned: Option<bool>,
    /// The tags, instead of those before: at most 16 words of at most 64 bytes, without white space and without `&`, `|`, `!`, `(`, `)` and `:`.
    #[schema(max_items = 16)]
    pub tags: Option<Vec<String>>,
    /// Tags to add to those before.
    #[schema(max_items = 16)]
    pub add_tags: Vec<String>,
    /// Tags to take away from those before.
    #[schema(max_items = 16)]
    pub remove_tags: Vec<String>,
    /// A text for people, at most 1000 bytes.
    pub note: Option<String>,
}

/// The body of `PATCH /api/v1/nodes`: which nodes, and what is said about them. Either `ids` or `filter` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkRequest {
    /// Node ids, in full or short.
    #[serde(default)]
    pub ids: Vec<String>,
    /// Every node that fits.
    #[serde(default, deserialize_with = "optional_object")]
    pub filter: Option<NodesFilter>,
    /// What is said about them.
    #[serde(deserialize_with = "object")]
    pub set: NodeMarks,
}

/// The answer to `PATCH /api/v1/nodes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MarkReport {
    /// Nodes that were meant.
    pub matched: usize,
    /// Those of which something has changed.
    pub changed: usize,
    /// Ids that name no node.
    pub missing: usize,
}

/// Filters and the page of `GET /api/v1/exits`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ExitsQuery {
    /// An ISO 3166-1 alpha-2 country.
    pub country: Option<String>,
    /// The number of the autonomous system that it belongs to, as 13335; known where `geo.asn_mmdb` is set.
    pub asn: Option<u32>,
    /// A network that it lies in, as `203.0.113.0/24`.
    pub network: Option<String>,
    /// A text that the address begins with.
    pub search: Option<String>,
    /// `ip` (the default), `nodes`, `healthy`, `latency` or `country`; with `-` in front the other way round.
    pub sort: Option<String>,
    /// The cursor of the part to return: `next` of the part before.
    pub cursor: Option<String>,
    /// How many exits to return, 1 to 1000; default 100.
    pub limit: Option<usize>,
}

/// An address from which traffic leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExitDto {
    /// The address.
    pub ip: String,
    /// Its country, ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// The number of the autonomous system that it belongs to, where a database knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// The network that the pool takes for one neighbourhood: the /24, or the /48 of an IPv6 address.
    pub network: String,
    /// The nodes behind it: `GET /api/v1/nodes?exit=…` lists them.
    pub nodes: usize,
    /// Of those, the ones that carry traffic.
    pub healthy: usize,
    /// The best latency of those, in milliseconds.
    pub latency_ms: Option<u64>,
}

/// One part of the list of exits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExitsPage {
    /// How many exits match the filters.
    pub total: usize,
    /// The exits of this part.
    pub items: Vec<ExitDto>,
    /// The cursor of the next part; `null` at the end of the list.
    pub next: Option<String>,
}

/// What is asked of `GET /api/v1/nodes/{id}/sites`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SitesQuery {
    /// The host of a site.
    pub site: String,
}

/// What is known of a node at one site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SiteEvidenceDto {
    /// The site: the registrable domain.
    pub site: String,
    /// Whether the node is left out for requests to the site.
    pub avoided: bool,
    /// How often it has failed there in a row, 0 to 5; 0 when nothing speaks against it.
    pub level: u8,
    /// When this is forgotten, in milliseconds since the Unix epoch.
    pub until: Option<u64>,
}

/// The options of `GET /api/v1/proxy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ProxyQuery {
    /// The name of a listener; the first one unless said.
    pub listener: Option<String>,
    /// `http` or `socks5`; `http` unless said.
    pub scheme: Option<String>,
    /// The user's name; needed where the listener has users.
    pub user: Option<String>,
    /// The user's password, to be put into the address.
    pub password: Option<String>,
    /// Countries of the exit, separated by commas (ISO 3166-1 alpha-2).
    pub country: Option<String>,
    /// The number of the autonomous system of the exit, as 13335; needs `geo.asn_mmdb`.
    pub asn: Option<u32>,
    /// The city of the exit, by its English name; needs `geo.city_mmdb`.
    pub city: Option<String>,
    /// A name that keeps the same exit.
    pub session: Option<String>,
    /// How long the session lasts: minutes, or days as `30d`.
    pub sesstime: Option<String>,
    /// How the node is chosen.
    pub strategy: Option<String>,
    /// The least anonymity: `elite`, `anonymous` or `transparent`.
    pub anonymity: Option<String>,
}

/// A proxy address that is ready to be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProxyDto {
    /// The whole address, with the user name and its options.
    pub url: String,
    /// Its scheme.
    pub scheme: String,
    /// Its host, as this client reaches it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user name with its options; empty when none is needed.
    pub username: String,
    /// Whether a password must be added: the listener has users, and none was given.
    pub password_needed: bool,
    /// How many nodes fit these options now.
    pub fitting: usize,
}
