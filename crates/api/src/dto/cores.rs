//! The JSON of installed cores that dial what this program does not speak.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer to `GET /api/v1/cores`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CoresDto {
    /// The cores that are installed and allowed.
    pub cores: Vec<CoreDto>,
    /// The cores that nodes wait for.
    pub missing: Vec<MissingCoreDto>,
    /// Nodes that a core has refused, at most 1000.
    pub refused: Vec<RefusedNodeDto>,
}

/// One core.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CoreDto {
    /// `mihomo` or `xray`.
    pub name: String,
    /// Its program.
    pub program: String,
    /// Its version, once it has served.
    pub version: Option<String>,
    /// `idle` (no node has needed it for a while), `up` or `down`.
    pub state: String,
    /// How it has ended, while it is down.
    pub trouble: Option<String>,
    /// How often it was started.
    pub starts: u64,
    /// Its memory in bytes; 0 while it does not run, and where the system does not tell.
    pub memory_bytes: u64,
    /// The nodes that it has now.
    pub nodes: usize,
    /// Those that are dialled or carry something now.
    pub nodes_in_use: usize,
    /// The most nodes that it may have at a time.
    pub most_nodes: usize,
    /// Changes of nodes that it has taken.
    pub reloads: u64,
    /// How long it took for the last of them, in milliseconds.
    pub last_reload_ms: u64,
    /// How many nodes it has refused.
    pub refused: u64,
}

/// A core that is not there, and could dial nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MissingCoreDto {
    /// `mihomo` or `xray`.
    pub name: String,
    /// How many nodes it could dial.
    pub nodes: usize,
    /// What to do.
    pub advice: String,
}

/// A node that a core has refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedNodeDto {
    /// `mihomo` or `xray`.
    pub core: String,
    /// The node's id: 32 hexadecimal digits.
    pub node: String,
    /// What the core says.
    pub reason: String,
}
