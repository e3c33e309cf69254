//! The JSON of what goes on now: connections, events, the log, versions, codes.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::StateCounts;

/// Which connections are meant. All that is given must fit; without any, all are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionsFilter {
    /// The user's name.
    pub user: Option<String>,
    /// The name of a listener.
    pub listener: Option<String>,
    /// `http`, `connect`, `socks4`, `socks5` or `socks5-udp`; at an encrypted listener its protocol, such as `vless`, with `-udp` for datagrams.
    pub inbound: Option<String>,
    /// The address of the client.
    pub client: Option<String>,
    /// A text that the target contains; letter case does not matter.
    pub target: Option<String>,
    /// The id of the node that serves them.
    pub node: Option<String>,
    /// The exit address of the node.
    pub exit: Option<String>,
}

/// Filters and the page of `GET /api/v1/connections`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct ConnectionsQuery {
    /// The user's name.
    pub user: Option<String>,
    /// The name of a listener.
    pub listener: Option<String>,
    /// `http`, `connect`, `socks4`, `socks5` or `socks5-udp`; at an encrypted listener its protocol, such as `vless`, with `-udp` for datagrams.
    pub inbound: Option<String>,
    /// The address of the client.
    pub client: Option<String>,
    /// A text that the target contains; letter case does not matter.
    pub target: Option<String>,
    /// The id of the node that serves them.
    pub node: Option<String>,
    /// The exit address of the node.
    pub exit: Option<String>,
    /// `since` (the oldest in front; the default), `up`, `down`, `rate` (bytes a second both ways) or `user`; with `-` in front the other way round.
    pub sort: Option<String>,
    /// The cursor of the part to return: `next` of the part before.
    pub cursor: Option<String>,
    /// How many connections to return, 1 to 1000; default 100.
    pub limit: Option<usize>,
}

impl ConnectionsQuery {
    /// The filter in it.
    #[must_use]
    pub fn filter(&self) -> ConnectionsFilter {
        let Self { user, listener, inbound, client, target, node, exit, .. } = self.clone();
        ConnectionsFilter { user, listener, inbound, client, target, node, exit }
    }
}

/// A request, tunnel or association that is alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionDto {
    /// Its number, which no other connection of this process has.
    pub id: u64,
    /// The user; empty when the client gave no name.
    pub user: String,
    /// The listener that the client came to.
    pub listener: String,
    /// How it came in: `http`, `connect`, `socks4`, `socks5` or `socks5-udp`; at an encrypted listener its protocol, such as `vless`, with `-udp` for datagrams.
    pub inbound: String,
    /// The address of the client.
    pub client: String,
    /// Where it goes; `null` for an association, whose datagrams each name their own target.
    pub target: Option<String>,
    /// The id of the node that serves it; `null` while none is connected.
    pub node: Option<String>,
    /// The published name of the node.
    pub node_name: Option<String>,
    /// The address that sites see.
    pub exit_ip: Option<String>,
    /// The exit's country, ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// When the request came, in milliseconds since the Unix epoch.
    pub since: u64,
    /// Bytes from the client to the node so far.
    pub up: u64,
    /// Bytes from the node to the client so far.
    pub down: u64,
    /// Bytes a second from the client lately; `null` until it has been watched for a second.
    pub up_rate: Option<u64>,
    /// Bytes a second to the client lately; `null` until it has been watched for a second.
    pub down_rate: Option<u64>,
}

/// One part of the list of connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionsPage {
    /// How many connections match the filters.
    pub total: usize,
    /// The connections of this part.
    pub items: Vec<ConnectionDto>,
    /// The cursor of the next part; `null` at the end of the list.
    pub next: Option<String>,
}

/// The answer to ending connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionsEnded {
    /// How many were ended.
    pub ended: usize,
}

/// What is asked of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// The least level: `error`, `warn`, `info`, `debug` or `trace`; all levels unless said. `log.level` decides what is logged at all.
    pub level: Option<String>,
    /// A text that the line contains; letter case does not matter.
    pub search: Option<String>,
    /// Only lines behind the one with this number.
    pub after: Option<u64>,
    /// How many lines to return at most, 1 to 1000; default 100. Without `after` the newest ones are returned.
    pub limit: Option<usize>,
    /// How many seconds to wait for a line when there is none, at most 60; 0 unless said.
    pub wait: Option<u64>,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLineDto {
    /// Its number.
    pub number: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// The part of the program that says it.
    pub target: String,
    /// What it says.
    pub message: String,
    /// The fields beside it, as `name=value`.
    pub fields: Vec<String>,
}

/// Lines of the log, the oldest in front.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogPage {
    /// The lines.
    pub items: Vec<LogLineDto>,
    /// What `after` is for the lines that follow.
    pub last: u64,
}

/// The answer to `GET /api/v1/version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionDto {
    /// The program's version.
    pub version: String,
    /// The commit that was built, when it is known.
    pub commit: Option<String>,
    /// The machine that it was built for, as `architecture-system`.
    pub platform: String,
    /// The version of this API.
    pub api: String,
}

/// A stable code and what it means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CodeDto {
    /// The code.
    pub code: String,
    /// Where it occurs, as a heading of docs/errors.md.
    pub area: String,
    /// What it means.
    pub meaning: String,
    /// What to do about it.
    pub advice: String,
}

/// What is asked of `GET /api/v1/events`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// The topics, separated by commas: `counts`, `traffic`, `nodes`, `jobs`, `alerts`, `log`; all but `log` unless said.
    pub topics: Option<String>,
}

/// The data of an event, by its topic. The first event of a reader that has missed some is named `reset` and carries `{}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum EventData {
    /// `counts`
    Counts(CountsEvent),
    /// `traffic`
    Traffic(TrafficEvent),
    /// `nodes`
    Nodes(NodesEvent),
    /// `jobs`
    Jobs(JobDto),
    /// `alerts`
    Alerts(AlertEvent),
    /// `log`
    Log(LogLineDto),
}

/// Nodes per state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountsEvent {
    /// Nodes per state.
    pub nodes: StateCounts,
    /// The different exits behind the nodes that carry traffic.
    pub exits: usize,
}

/// What flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TrafficEvent {
    /// When, in milliseconds since the Unix epoch.
    pub at: u64,
    /// Bytes a second from clients to nodes.
    pub up_rate: u64,
    /// Bytes a second from nodes to clients.
    pub down_rate: u64,
    /// Bytes from clients to nodes since the start.
    pub up: u64,
    /// Bytes from nodes to clients since the start.
    pub down: u64,
    /// Requests that a node served since the start.
    pub ok: u64,
    /// Requests that no node could serve since the start.
    pub failed: u64,
    /// Requests that were refused since the start.
    pub refused: u64,
    /// Tunnels open now.
    pub tunnels: u64,
    /// Client connections open now.
    pub connections: u64,
}

/// Nodes that changed their state or their listings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodesEvent {
    /// How many changed since the event before.
    pub changed: usize,
    /// Some of them, at most 100.
    pub nodes: Vec<NodeChange>,
}

/// How a node has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeChange {
    /// Its id.
    pub id: String,
    /// Its state now; `null` when it is gone.
    pub state: Option<String>,
    /// The last measured latency in milliseconds.
    pub latency_ms: Option<u64>,
}

/// Something that an operator should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertEvent {
    /// `no-service` (no request can be served) or `store-behind` (the store cannot be written).
    pub alert: String,
    /// Whether it holds now; false when it is over.
    pub active: bool,
    /// What it is about, for people.
    pub text: String,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobProgress {
    /// How much is done.
    pub done: usize,
    /// How much there is.
    pub total: usize,
}

/// Work that goes on after the answer to the request for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobDto {
    /// Its id.
    pub id: String,
    /// `probe` or `fetch`.
    pub kind: String,
    /// `running`, `done` or `failed`.
    pub state: String,
    /// How far it is.
    pub progress: JobProgress,
    /// What came out of it: for `probe` a `ProbeReport`, for `fetch` a `FetchReport`; `null` while it runs.
    pub result: Option<serde_json::Value>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it began, in milliseconds since the Unix epoch.
    pub started: u64,
    /// When it ended, in milliseconds since the Unix epoch.
    pub ended: Option<u64>,
}
