//! Between our values and SQLite's: integers, texts, error codes.

use std::{path::Path, time::Duration};

use hezar_core::{NodeId, Timestamp};

use crate::StoreError;

pub(super) fn from_time(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

pub(super) fn to_time(number: i64) -> Timestamp {
    Timestamp(u64::try_from(number).unwrap_or(0))
}

/// Whole milliseconds, rounded up: a latency of 0.3 ms must not become "none at all".
pub(super) fn from_latency(latency: Duration) -> i64 {
    i64::try_from(latency.as_micros().div_ceil(1000)).unwrap_or(i64::MAX)
}

pub(super) fn to_latency(number: i64) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or(0))
}

pub(super) fn to_u32(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

/// A JSON array of ids, for `json_each`.
pub(super) fn id_array<'a>(ids: impl IntoIterator<Item = &'a NodeId>) -> String {
    use std::fmt::Write;
    let mut text = String::from("[");
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
    let Some(database) = error.as_database_error() else { return StoreError::Query(Box::new(error)) };
    let extended: i32 = database.code().and_then(|code| code.parse().ok()).unwrap_or(0);
    // The low byte is the primary result code (SQLite result codes §4).
    match extended & 0xff {
        5 | 6 => StoreError::Busy { path },
        3 | 8 => StoreError::ReadOnly { path },
        11 => StoreError::Corrupt { path, detail: database.message().into() },
        13 => StoreError::Full { path },
        26 => StoreError::NotADatabase { path },
        10 | 14 => {
            let text = database.message().to_owned();
            StoreError::Io { path, source: std::io::Error::other(text) }
        }
        _ => StoreError::Query(Box::new(error)),
    }
}
