//! How the store and its snapshots go.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How the writing to the store goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// The snapshots of a store in memory; `null` for one that lies on the disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<SnapshotsDto>,
}

/// How the snapshots of a store in memory go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct SnapshotsDto {
    /// For how many seconds the store has no newer snapshot; since the start while there is none.
    pub age_s: u64,
    /// The pause between two snapshots in seconds, as configured.
    pub every_s: u64,
    /// When the newest one was taken, in milliseconds since the Unix epoch; `null` while there is none.
    pub last: Option<u64>,
    /// The file of the newest one.
    pub file: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// How many have been taken since the start.
    pub taken: u64,
    /// How many times it has failed since the start.
    pub failures: u64,
    /// Why the last one could not be taken; `null` when it could.
    pub error: Option<String>,
    /// Its text.
    pub error_text: Option<String>,
    /// Snapshots that could not be read and were set aside, until somebody removes them.
    pub damaged: Vec<String>,
}
