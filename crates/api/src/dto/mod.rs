//! The JSON of requests and answers. Programs rely on it, so a field never changes its meaning.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

mod actions;
mod alerts;
mod cores;
mod engine;
mod feed;
mod history;
mod instance;
mod inventory;
mod live;
mod nodes;
mod object;
mod objects;
mod site_bans;
mod store;
mod trial;
mod usage;

pub use actions::*;
pub use alerts::*;
pub use cores::*;
pub use engine::*;
pub use feed::*;
pub use history::*;
pub use instance::*;
pub use inventory::*;
pub use live::*;
pub use nodes::*;
pub use objects::*;
pub use site_bans::*;
pub use store::*;
pub use trial::*;
pub use usage::*;

/// The answer to `GET /healthz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthzDto {
    /// Always `ok`: the program answers.
    pub status: String,
    /// Whether any node carries traffic.
    pub serving: bool,
}

/// Whether it works, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthDto {
    /// Whether any node carries traffic.
    pub serving: bool,
}

/// Filters of `GET /api/v1/sessions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct SessionsQuery {
    /// The name that clients gave the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The user's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The name of a listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
}

/// Nodes per state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateCounts {
    /// Nodes that were never probed.
    pub new: usize,
    /// Nodes that work.
    pub healthy: usize,
    /// Nodes that failed lately and are still used.
    pub suspect: usize,
    /// Nodes that failed too often in a row.
    pub dead: usize,
    /// Nodes whose protocol is not implemented; they count in no other state.
    pub unsupported: usize,
    /// Nodes that were caught tampering; they count in no other state.
    #[serde(default)]
    pub quarantined: usize,
    /// Nodes that an operator has switched off; they count in no other state.
    #[serde(default)]
    pub disabled: usize,
}

/// One source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceDto {
    /// Its name.
    pub name: String,
    /// `url`, `file`, `github`, `telegram`, `links`, `tor` or `hezar`.
    pub kind: String,
    /// Nodes it lists now.
    pub nodes: usize,
    /// Of those, the ones that carry traffic.
    pub healthy: usize,
    /// The different exits behind those.
    #[serde(default)]
    pub exits: usize,
    /// Of these exits, the ones that no other source gives.
    #[serde(default)]
    pub unique_exits: usize,
    /// After this many seconds half of its working nodes have died, as far as that could be watched.
    #[serde(default)]
    pub half_life_s: Option<u64>,
    /// Whether it is fetched rarely because nothing in it worked the last times.
    #[serde(default)]
    pub quarantined: bool,
    /// Lines refused at the last reading.
    pub rejected: usize,
    /// What the provider says about the subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionDto>,
    /// Nodes of its last list that were not taken in, because of the bounds in `[pool]`.
    #[serde(default)]
    pub left_out: usize,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusDto {
    /// The program's version.
    pub version: String,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// The address clients use.
    pub proxy: String,
    /// The listeners that are open, the first one in front.
    #[serde(default)]
    pub listeners: Vec<ListenerStatusDto>,
    /// Why no request can be served now, in one line for people; absent while nodes carry traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Nodes per state.
    pub nodes: StateCounts,
    /// The different exits behind the nodes that carry traffic.
    #[serde(default)]
    pub exits: usize,
    /// Nodes per scheme.
    pub schemes: BTreeMap<String, usize>,
    /// The sources.
    pub sources: Vec<SourceDto>,
    /// What has passed through since the start.
    #[serde(default)]
    pub traffic: TrafficDto,
    /// The last requests that were not served, the newest in front.
    #[serde(default)]
    pub troubles: Vec<TroubleDto>,
    /// How the writing to the store goes.
    #[serde(default)]
    pub store: StoreDto,
    /// How the configuration is.
    #[serde(default)]
    pub config: ConfigStatusDto,
    /// The certificates of the ports that speak TLS.
    #[serde(default)]
    pub certificates: Vec<CertificateDto>,
    /// The troubles of alerts that hold, each as `ALERT/CONDITION: text`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<String>,
    /// The Clash cores that serve; absent while this program itself does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineDto>,
    /// Processes that drain after this one has taken over from them (`hezar upgrade`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub draining: Vec<DrainingDto>,
}

/// The certificate of a port that speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateDto {
    /// The port: `proxy`, `api` or the name of a listener.
    pub port: String,
    /// Where it comes from: `files` or `acme`.
    pub origin: String,
    /// The names and addresses that it is for; empty while there is none.
    pub names: Vec<String>,
    /// Who signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Until when it is good, in milliseconds since 1970; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<u64>,
    /// The SHA-256 hash of the certificate, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Why there is none, or why reading or renewing it fails; absent while all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A process that serves what was open when another one took over from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainingDto {
    /// Its process id.
    pub pid: u32,
    /// Requests, tunnels and associations that are open there.
    pub connections: usize,
    /// Since when it drains, in milliseconds since the Unix epoch.
    pub since: u64,
}

/// A listener that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListenerStatusDto {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: String,
    /// The further ports at the same address, each of which is a session: `24000-24099`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<String>,
    /// Whether it speaks TLS.
    #[serde(default)]
    pub tls: bool,
}

/// What a provider says about a subscription; all of it is the provider's word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct SubscriptionDto {
    /// Its name.
    pub title: Option<String>,
    /// Bytes used so far, both ways.
    pub used: Option<u64>,
    /// Bytes that may be used in all.
    pub total: Option<u64>,
    /// Bytes that are left.
    pub left: Option<u64>,
    /// When it ends, in milliseconds since the Unix epoch.
    pub expires: Option<u64>,
    /// The provider's page for it.
    pub web_page: Option<String>,
    /// Where the provider can be asked for help.
    pub support: Option<String>,
}

/// What has passed through since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct TrafficDto {
    /// Requests that a node served.
    pub ok: u64,
    /// Requests that no node could serve.
    pub failed: u64,
    /// Requests that were refused by the client's own fault.
    pub refused: u64,
    /// Bytes from clients to nodes.
    pub up: u64,
    /// Bytes from nodes to clients.
    pub down: u64,
    /// Tunnels open now.
    pub tunnels: u64,
    /// Client connections open now.
    pub connections: u64,
}

/// A request that ended badly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TroubleDto {
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// `http`, `connect`, `socks4` or `socks5`.
    pub inbound: String,
    /// Who asked.
    pub user: String,
    /// For what.
    pub target: Option<String>,
    /// The node that was used last.
    pub node: Option<String>,
    /// The stable code.
    pub code: String,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionDto {
    /// 16 hexadecimal digits, for asking about it.
    pub id: String,
    /// The listener that its user came to.
    pub listener: String,
    /// Its user.
    pub user: String,
    /// Its name.
    pub session: String,
    /// The country that was asked for.
    pub country: Option<String>,
    /// The node that it uses.
    pub node: Option<String>,
    /// The address that sites see.
    pub exit_ip: Option<String>,
    /// Its first request, in milliseconds since the Unix epoch.
    pub began: u64,
    /// When it ends, in milliseconds since the Unix epoch.
    pub ends: u64,
}

/// The body of `POST /api/v1/feedback`: what a client saw at a site. Exactly one of `node` and `session` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackRequest {
    /// The id of a node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The id of a session: the node that it uses is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The host of the site.
    pub site: String,
    /// `ok`, `failed` (once may be chance) or `blocked` (the site refused this exit).
    pub verdict: String,
}

/// The answer to a feedback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FeedbackReport {
    /// The node that it was noted for.
    pub node: String,
    /// The site that it was noted for: the registrable domain.
    pub site: String,
}

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
