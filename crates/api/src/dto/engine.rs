//! The shapes of what the API says of Clash cores that serve in the place of this program.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Clash cores as the engine, and what they tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EngineDto {
    /// `clash`.
    pub name: String,
    /// How the GATEWAY core chooses a node: `round-robin`, `consistent-hashing` or `sticky-sessions`.
    pub strategy: String,
    /// The nodes of the group behind the first listener.
    pub members: u64,
    /// Connections that are open in the GATEWAY core.
    pub connections: u64,
    /// Bytes from clients since the start.
    pub up: u64,
    /// Bytes to clients since the start.
    pub down: u64,
    /// The PROBE core and the GATEWAY core, as far as this instance uses them.
    pub cores: Vec<EngineCoreDto>,
}

/// One core.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EngineCoreDto {
    /// `probe` or `gateway`.
    pub name: String,
    /// `starting`, `up` or `down`; for a core on another machine `elsewhere`, or `unreachable` when it was not there last.
    pub state: String,
    /// Why it is down; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How often it was started.
    pub starts: u64,
    /// Its memory in bytes; 0 while it is down or not known.
    pub memory: u64,
    /// The nodes that it has refused.
    pub refused: u64,
    /// Where its controller listens for others; absent when it is not exposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
}
