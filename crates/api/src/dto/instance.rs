//! The JSON of instances that share a store.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A process of this installation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceDto {
    /// Its id, which changes at every start.
    pub id: String,
    /// Its name, which no other living instance has.
    pub name: String,
    /// What it does: some of `fetch`, `probe`, `gateway` and `api`.
    pub roles: Vec<String>,
    /// Where it stands; empty when there is one region.
    pub region: String,
    /// `living`, `draining` (an operator takes it out of use) or `gone` (it has not been heard for ten seconds).
    pub state: String,
    /// The name of its machine.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// The program's version.
    pub version: String,
    /// When it started, in milliseconds since the Unix epoch.
    pub started: u64,
    /// When it was heard last, in milliseconds since the Unix epoch.
    pub seen: u64,
    /// Whether it is the one that answers.
    pub own: bool,
    /// Where its first listener listens; `null` when it has none.
    pub proxy: Option<String>,
    /// Where its API listens; `null` when it has none.
    pub api: Option<String>,
    /// Open tunnels and associations.
    pub tunnels: u64,
    /// Nodes in its pool that may carry traffic.
    pub routable: u64,
    /// Nodes that it probes.
    pub owned: u64,
    /// Changes that wait to be written to the store.
    pub queue: u64,
    /// Sources that it reads now.
    pub claims: u64,
    /// How far behind the changes of the others it is, in milliseconds; `null` when it follows none.
    pub lag_ms: Option<u64>,
    /// Processor time in percent of one processor; `null` where it cannot be measured.
    pub cpu_percent: Option<u64>,
    /// Memory in bytes; `null` where it cannot be measured.
    pub memory_bytes: Option<u64>,
}

/// The answer to draining an instance, and to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainReport {
    /// The name of the instance.
    pub name: String,
    /// Whether it is drained from now on. Another instance than the one that answers learns so within two seconds.
    pub draining: bool,
}
