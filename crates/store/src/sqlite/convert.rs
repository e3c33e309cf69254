//! Between our values and SQLite's: integers, texts, error codes.

use std::path::{Path, PathBuf};

use hezar_core::NodeId;

use crate::StoreError;
pub(super) use crate::numbers::{
    from_count, from_duration, from_latency, from_time, to_count, to_latency, to_time, to_u32,
};

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
