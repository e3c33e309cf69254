//! The JSON of how the instance is: health, status, listeners, certificates, troubles.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ConfigStatusDto, EngineDto, SourceDto, StoreDto};

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
    /// `http`, `connect`, `socks4`, `socks5` or `socks5-udp`; at an encrypted listener its protocol, such as `vless`, with `-udp` for datagrams.
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
