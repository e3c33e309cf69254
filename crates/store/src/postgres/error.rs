//! What a failure of PostgreSQL means to the user, and whether it passes.

use std::{io::ErrorKind, path::PathBuf};

use super::Server;
use crate::StoreError;

/// The error to tell. The text of the server is passed on; it never holds the password.
pub(super) fn translate(server: &Server, error: sqlx::Error) -> StoreError {
    let name = || server.name.clone();
    let unreachable = |detail: String| StoreError::Unreachable { server: name(), detail: detail.into() };
    let code = error.as_database_error().and_then(|database| database.code()).map(|code| code.into_owned());
    let Some(code) = code else {
        return match error {
            sqlx::Error::PoolClosed => StoreError::Closed,
            sqlx::Error::PoolTimedOut => unreachable("no connection became free or could be made in time".to_owned()),
            sqlx::Error::Tls(detail) => StoreError::Tls { server: name(), detail: detail.to_string().into() },
            // So rustls says that a certificate is refused.
            sqlx::Error::Io(detail) if detail.kind() == ErrorKind::InvalidData => {
                StoreError::Tls { server: name(), detail: detail.to_string().into() }
            }
            sqlx::Error::Encode(_) | sqlx::Error::InvalidArgument(_) => StoreError::Query(Box::new(error)),
            sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Configuration(_) => {
                StoreError::Query(Box::new(error))
            }
            error => unreachable(error.to_string()),
        };
    };
    let detail = error.as_database_error().map(|database| database.message().to_owned()).unwrap_or_default();
    // PostgreSQL 15, appendix A: error codes.
    match (code.get(..2).unwrap_or_default(), code.as_str()) {
        // Class 40: the transaction was taken back. The other one: a newer version has changed a table, and the connection knows the one
        // before.
        ("40", _) | (_, "0A000") => StoreError::Conflict { server: name(), detail: detail.into() },
        (_, "57014" | "55P03" | "25P03" | "25P04" | "53400") => {
            StoreError::Slow { server: name(), detail: detail.into() }
        }
        (_, "26000" | "42P05") => StoreError::Pooler { server: name(), detail: detail.into() },
        (_, "25006") => StoreError::Standby { server: name() },
        (_, "3D000") => {
            StoreError::NoDatabase { server: name(), database: server.database.clone(), user: server.user.clone() }
        }
        ("28", _) => StoreError::Login { server: name(), user: server.user.clone(), detail: detail.into() },
        (_, "42501" | "3F000") => {
            StoreError::Rights { server: name(), user: server.user.clone(), detail: detail.into() }
        }
        (_, "53100") => StoreError::Full { path: place(server) },
        // A table or column that was there when the store was opened.
        (_, "42P01" | "42703") | ("XX", _) => StoreError::Corrupt { path: place(server), detail: detail.into() },
        // Connections, resources, an administrator's shutdown, the server's own I/O.
        ("08" | "53" | "57" | "58", _) => unreachable(detail),
        _ => StoreError::Query(Box::new(error)),
    }
}

/// The database in the place of a file's name.
pub(super) fn place(server: &Server) -> PathBuf {
    PathBuf::from(server.to_string())
}
