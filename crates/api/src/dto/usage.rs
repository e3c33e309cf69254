//! The JSON about what users have moved.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which days of `GET /api/v1/usage` are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct UsageParameters {
    /// Only this user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The first day (UTC), such as `2027-01-31`; 29 days before the last one unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The last day (UTC); today unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Where the next part of the list begins, as the last part said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many entries to return, 1 to 1000; default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl UsageParameters {
    /// The most entries of one part.
    pub const MAX_LIMIT: usize = 1000;

    /// The number of entries asked for, within its bounds.
    #[must_use]
    pub fn part_size(&self) -> usize {
        self.limit.unwrap_or(100).clamp(1, Self::MAX_LIMIT)
    }
}

/// What a user has moved on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageDayDto {
    /// The user.
    pub user: String,
    /// The day (UTC), such as `2027-01-31`.
    pub day: String,
    /// Bytes from the client to the nodes.
    pub up: u64,
    /// Bytes from the nodes to the client.
    pub down: u64,
}

/// Bytes in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BytesDto {
    /// Bytes from the client to the nodes.
    pub up: u64,
    /// Bytes from the nodes to the client.
    pub down: u64,
}

/// What a user has moved so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserUsageDto {
    /// The user.
    pub user: String,
    /// Since 00:00 UTC.
    pub today: BytesDto,
    /// Since the first day of the calendar month (UTC).
    pub month: BytesDto,
    /// In all.
    pub total: BytesDto,
}
