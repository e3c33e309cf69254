//! Between our values and SQLite's: integers, texts, error codes.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use hezar_core::{NodeId, Timestamp};

use crate::StoreError;

pub(super) fn from_time(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

pub(super) fn to_time(number: i64) -> Timestamp {
    Timestamp(u64::try_from(number).unwrap_or(0))
}

/// Whole microseconds.
pub(super) fn from_latency(latency: Duration) -> i64 {
    i64::try_from(latency.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn to_latency(number: i64) -> Duration {
    Duration::from_micros(u64::try_from(number).unwrap_or(0))
}

/// Whole milliseconds, rounded up: what lasts 0.3 ms must not last no time at all.
pub(super) fn from_duration(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(i64::MAX)
}

pub(super) fn to_duration(number: i64) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or(0))
}

pub(super) fn from_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn to_count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn to_u32(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

/// A JSON array of ids, for `json_each`.
pub(super) fn id_array<'a>(ids: impl IntoIterator<Item = &'a NodeId>) -> String {
    use std::fmt::Write;
    let ids = ids.into_iter();
    let mut text = String::with_capacity(ids.size_hint().0 * 35 + 2);
    text.push('[');
    for id in ids {
        let separator = if text.len() == 1 { "" } else { "," };
        let _ = write!(text, "{separator}\"{id}\"");
    }
    text.push(']');
    text
}

/// What a failure of SQLx means to the user.
pub(super) fn error(path: &Path, error: sqlx::Error) -> StoreError {
    let path = path.to_owned();
    let error = match error {
        sqlx::Error::PoolClosed => return StoreError::Closed,
        sqlx::Error::PoolTimedOut => return StoreError::Busy { path },
        sqlx::Error::Io(source) => return StoreError::Io { path, source },
        error => error,
    };
    let Some(database) = error.as_database_error() else { return not_from_database(path, error) };
    let extended: i32 = database.code().and_then(|code| code.parse().ok()).unwrap_or(0);
    let text = || database.message().to_owned();
    // The low byte is the primary result code (SQLite result codes §4).
    match extended & 0xff {
        5 | 6 | 15 => StoreError::Busy { path },
        3 | 8 => StoreError::ReadOnly { path },
        11 => StoreError::Corrupt { path, detail: text().into() },
        13 => StoreError::Full { path },
        26 => StoreError::NotADatabase { path },
        // Out of memory, interrupted, I/O, cannot open, no large files: the machine's state, not the change's.
        7 | 9 | 10 | 14 | 22 => StoreError::Io { path, source: std::io::Error::other(text()) },
        _ => StoreError::Query(Box::new(error)),
    }
}

/// A value that cannot be written stays so; everything else is about the connection, and the next one may do better.
fn not_from_database(path: PathBuf, error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Encode(_)
        | sqlx::Error::InvalidArgument(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Configuration(_) => StoreError::Query(Box::new(error)),
        error => StoreError::Io { path, source: std::io::Error::other(error.to_string()) },
    }
}
