//! The shapes of requests and answers: what programs rely on, so a field never changes its meaning.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

/// Filters and the page of `GET /api/v1/nodes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodesQuery {
    /// `new`, `healthy`, `suspect`, `dead`, `unsupported` or `quarantined`.
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
    /// `best` (those that work in front, the fastest first), `latency`, `country`, `name` or `checked` (the last check in front);
    /// as they are stored unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
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
    /// `new`, `healthy`, `suspect`, `dead`, `unsupported` or `quarantined`.
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
    /// The next check, in milliseconds since the Unix epoch; absent for nodes that are not checked.
    #[serde(default)]
    pub next_check: Option<u64>,
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
    /// The code of how it was caught tampering, while it is in quarantine.
    pub quarantine: Option<String>,
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
    /// What to do instead, when there is something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The parameters of `POST /api/v1/nodes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AddQuery {
    /// Whether nodes on private, loopback and link-local addresses are taken.
    pub allow_private: bool,
}

/// The body of `POST /api/v1/probe`: which nodes to probe now. All that is given must fit; without any, all nodes are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeRequest {
    /// Node ids.
    pub ids: Vec<String>,
    /// As in [`NodesQuery::state`].
    pub state: Option<String>,
    /// A link scheme.
    pub scheme: Option<String>,
    /// The name of a source.
    pub source: Option<String>,
    /// An ISO 3166-1 alpha-2 country of the exit.
    pub country: Option<String>,
    /// A text that the label or the server contains.
    pub search: Option<String>,
    /// How many seconds to wait for the results, at most 600; 30 unless said.
    pub wait: Option<u64>,
}

/// The body of `POST /api/v1/fetch`: which sources to read now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// Nodes that were asked for.
    pub asked: usize,
    /// Those that work.
    pub works: usize,
    /// Those that do not.
    pub failed: usize,
    /// Those whose probes go on, or were given up.
    pub pending: usize,
    /// The results, at most [`ProbeReport::MOST_RESULTS`].
    pub nodes: Vec<ProbedDto>,
}

impl ProbeReport {
    /// The most results in one answer; the numbers count all of them.
    pub const MOST_RESULTS: usize = 10_000;
}

/// What the probe of one node found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchReport {
    /// Sources that were asked for.
    pub asked: usize,
    /// Those that are being read.
    pub pending: usize,
    /// What the others gave.
    pub sources: Vec<FetchedDto>,
}

/// What reading one source gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// The answer to `GET /healthz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthDto {
    /// Whether any node carries traffic.
    pub serving: bool,
}

/// Filters of `GET /api/v1/sessions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
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

/// The answer to `POST /api/v1/nodes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveRequest {
    /// The ids to remove: 32 hexadecimal digits, or at least the first 6 where these name one node.
    pub ids: Vec<String>,
    /// Whether they are banned too: no list brings them back until the ban is lifted.
    #[serde(default)]
    pub ban: bool,
}

/// The answer to a removal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveReport {
    /// How many were removed.
    pub removed: usize,
    /// How many were not there.
    pub missing: usize,
    /// How many were banned.
    #[serde(default)]
    pub banned: usize,
}

/// A node that must not come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanDto {
    /// Its id.
    pub id: String,
    /// The published name that it had.
    pub name: String,
    /// When it was banned, in milliseconds since the Unix epoch.
    pub since: u64,
}

/// The body of `DELETE /api/v1/bans`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiftRequest {
    /// The ids of banned nodes, in full or short.
    pub ids: Vec<String>,
}

/// The answer to lifting bans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiftReport {
    /// How many were lifted.
    pub lifted: usize,
    /// How many there were not.
    pub missing: usize,
}

/// The answer to `DELETE /api/v1/sessions/{id}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndReport {
    /// Whether it ran until now.
    pub ended: bool,
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
    /// Nodes that were caught tampering; they count in no other state.
    #[serde(default)]
    pub quarantined: usize,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusDto {
    /// The program's version.
    pub version: String,
    /// Seconds since the start.
    pub uptime_s: u64,
    /// The address clients use.
    pub proxy: String,
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
}

/// How the writing to the store goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoreDto {
    /// For how many seconds writing has failed; `null` while the store can be written.
    pub behind_s: Option<u64>,
    /// Rows that wait in memory to be written, roughly.
    pub pending: usize,
    /// The code of the last failed write, also when writing has succeeded again.
    pub last_error: Option<String>,
    /// Its text.
    pub last_error_text: Option<String>,
    /// Changes written since the start.
    pub written: u64,
    /// Writes that failed and were tried again.
    pub retries: u64,
    /// Changes that the database refused for good: each was dropped alone and named in the log.
    pub lost: u64,
    /// Stored nodes that this version cannot read, by the code of the reason; they are not used, and deleted after 30
    /// days.
    pub unreadable: BTreeMap<String, usize>,
}

/// What a provider says about a subscription; all of it is the provider's word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackReport {
    /// The node that it was noted for.
    pub node: String,
    /// The site that it was noted for: the registrable domain.
    pub site: String,
}

/// The question of `GET /api/v1/explain`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
    /// `tcp` for a connection, `udp` for an association; `tcp` unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// How many candidates, and how many examples of every reason, 1 to 100; default 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<usize>,
}

/// A node that a request could use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateDto {
    /// The node.
    #[serde(flatten)]
    pub node: NodeDto,
    /// Latency in µs × error rate × load, as the strategy `smart` compares nodes; lower is better.
    pub score: f32,
}

/// Nodes that a request could not use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedDto {
    /// `new`, `dead`, `unsupported`, `quarantined`, `datagrams`, `country`, `filter` or `site`.
    pub reason: String,
    /// How many.
    pub count: usize,
    /// The ids of some of them.
    pub examples: Vec<String>,
}

/// The answer to `GET /api/v1/explain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
