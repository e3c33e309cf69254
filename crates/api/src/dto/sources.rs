//! The JSON of sources of nodes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
