//! The JSON of alerts that the instance sends itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An `[[alert]]` of the configuration with the state of its troubles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertDto {
    /// Its name.
    pub name: String,
    /// False: nothing is told.
    pub enabled: bool,
    /// `webhook`, `telegram` or `ntfy`.
    pub receiver: String,
    /// How messages leave: `pool`, `auto` or `direct`.
    pub via: String,
    /// Every trouble that it tells of.
    pub troubles: Vec<AlertTroubleDto>,
    /// When the last message was sent or failed, in milliseconds since the Unix epoch.
    pub last_message: Option<u64>,
    /// Why the last message did not arrive; absent when it did.
    pub last_error: Option<String>,
}

/// The state of one trouble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertTroubleDto {
    /// `healthy-fall`, `pool-empty`, `success`, `source-dead`, `store-behind`, `certificate`, `disk` or `outage`.
    pub condition: String,
    /// `quiet`, `pending` (it holds, not yet long enough) or `firing`.
    pub state: String,
    /// Since when it holds, in milliseconds since the Unix epoch.
    pub since: Option<u64>,
    /// What is wrong, while something is.
    pub text: Option<String>,
}

/// How the test of an alert ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlertTestReport {
    /// Whether the receiver has taken the message.
    pub sent: bool,
    /// Why not.
    pub error: Option<String>,
}
