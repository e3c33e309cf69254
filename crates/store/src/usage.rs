//! What users have moved, by days.

use hezar_core::UtcDay;

/// Days that are told one by one when everything is read: more than a calendar month.
pub(crate) const RECENT_DAYS: i64 = 62;

/// The bytes that a user has moved on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// The user.
    pub user: Box<str>,
    /// The day; 1970-01-01 stands for everything that is too old to be kept by day.
    pub day: UtcDay,
    /// Bytes from the client to the node.
    pub up: u64,
    /// Bytes from the node to the client.
    pub down: u64,
}

/// Which rows are wanted, in the order of day and user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageQuery {
    /// Only this user.
    pub user: Option<Box<str>>,
    /// The first day.
    pub from: UtcDay,
    /// The last day.
    pub to: UtcDay,
    /// Only rows behind the one of this day and user.
    pub after: Option<(UtcDay, Box<str>)>,
    /// The most rows.
    pub limit: u32,
}
