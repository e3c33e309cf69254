//! The stable code of each failure of the store, and whether the write that failed with it is tried again.

use hezar_core::CodeDoc;

use super::StoreError;

impl StoreError {
    /// Every code with its meaning, for docs/errors.md.
    pub const CODES: &'static [CodeDoc] = &[
        CodeDoc::new("store-url", "The store URL names no kind of store that this program has."),
        CodeDoc::new("store-server-url", "The URL of a database of PostgreSQL cannot be used."),
        CodeDoc::new(
            "store-unreachable",
            "The database server cannot be reached, or it ended the connection; the program serves on from memory, and writing is tried again.",
        ),
        CodeDoc::new(
            "store-slow",
            "The database server takes too long, or a lock was held too long; writing is tried again.",
        ),
        CodeDoc::new(
            "store-conflict",
            "The database server took a change back, because it met the change of another instance; writing is tried again.",
        ),
        CodeDoc::new(
            "store-login",
            "The database server does not let the user in; writing is tried again every minute.",
        ),
        CodeDoc::new("store-no-database", "The database server has no such database."),
        CodeDoc::new("store-rights", "The user of the database may not do what the store needs."),
        CodeDoc::new(
            "store-standby",
            "The database server takes no changes now: it is a standby, or set to read only; writing is tried again.",
        ),
        CodeDoc::new("store-tls", "No TLS connection to the database server could be made."),
        CodeDoc::new(
            "store-pooler",
            "A pooler before the database server does not keep prepared statements: `store.prepared_statements` must be false. Writing is tried again every minute.",
        ),
        CodeDoc::new("store-old-server", "The database server is older than this program can use."),
        CodeDoc::new("store-not-empty", "The target of `hezar store copy` holds something already."),
        CodeDoc::new("store-copy-differs", "What `hezar store copy` has written is not what it has read."),
        CodeDoc::new("store-file-only", "What was asked for is for a store in a file, and this one is in PostgreSQL."),
        CodeDoc::new("store-directory", "The directory of the store file does not exist."),
        CodeDoc::new("store-missing", "There is no store file, and the command does not create one."),
        CodeDoc::new(
            "store-not-a-database",
            "The store file is not an SQLite database. When that happens while it is in use, the program serves on from memory, and writing is tried again every minute.",
        ),
        CodeDoc::new("store-foreign", "The store file is a database of another program."),
        CodeDoc::new("store-newer", "The store file was written by a newer version of this program."),
        CodeDoc::new("store-older", "The store file needs an upgrade, and the command only reads it."),
        CodeDoc::new(
            "store-read-only",
            "The store file or its directory cannot be written; while it is in use writing is tried again.",
        ),
        CodeDoc::new("store-in-use", "Another instance has the store file open."),
        CodeDoc::new("store-full", "The disk that holds the store file is full; writing is tried again."),
        CodeDoc::new(
            "store-corrupt",
            "The store file is damaged. While it is in use the program serves on from memory, and writing is tried again every minute.",
        ),
        CodeDoc::new("store-busy", "Another program holds a lock on the store file; writing is tried again."),
        CodeDoc::new(
            "store-memory",
            "The database is to lie in memory (`store.memory`), and no folder in memory can be used.",
        ),
        CodeDoc::new("store-backup-exists", "The target of a backup exists already."),
        CodeDoc::new("store-closed", "The store was used after it had been closed."),
        CodeDoc::new("store-io", "The operating system failed on the store file; writing is tried again."),
        CodeDoc::new(
            "store-query",
            "The database refused a change for good; it alone is dropped, counted and named in the log. This is a bug.",
        ),
        CodeDoc::new("store-migrate", "The schema of the store could not be brought up to date."),
    ];

    /// The stable code; one of [`StoreError::CODES`].
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Url { .. } => "store-url",
            Self::ServerUrl { .. } => "store-server-url",
            Self::Unreachable { .. } => "store-unreachable",
            Self::Slow { .. } => "store-slow",
            Self::Conflict { .. } => "store-conflict",
            Self::Login { .. } => "store-login",
            Self::NoDatabase { .. } => "store-no-database",
            Self::Rights { .. } => "store-rights",
            Self::Standby { .. } => "store-standby",
            Self::Tls { .. } => "store-tls",
            Self::Pooler { .. } => "store-pooler",
            Self::OldServer { .. } => "store-old-server",
            Self::NotEmpty { .. } => "store-not-empty",
            Self::CopyDiffers { .. } => "store-copy-differs",
            Self::FileOnly { .. } => "store-file-only",
            Self::DirectoryMissing { .. } => "store-directory",
            Self::Missing { .. } => "store-missing",
            Self::NotADatabase { .. } => "store-not-a-database",
            Self::Foreign { .. } => "store-foreign",
            Self::Newer { .. } => "store-newer",
            Self::Older { .. } => "store-older",
            Self::ReadOnly { .. } => "store-read-only",
            Self::InUse { .. } => "store-in-use",
            Self::Full { .. } => "store-full",
            Self::Corrupt { .. } => "store-corrupt",
            Self::Busy { .. } => "store-busy",
            Self::Memory { .. } => "store-memory",
            Self::BackupExists { .. } => "store-backup-exists",
            Self::Closed => "store-closed",
            Self::Io { .. } => "store-io",
            Self::Query(_) => "store-query",
            Self::Migrate { .. } => "store-migrate",
        }
    }

    /// Whether and when the write that failed with it is tried again.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Query(_)
            | Self::Closed
            | Self::Url { .. }
            | Self::ServerUrl { .. }
            | Self::FileOnly { .. }
            | Self::NotEmpty { .. }
            | Self::CopyDiffers { .. }
            | Self::BackupExists { .. } => Retry::Never,
            Self::Corrupt { .. }
            | Self::NotADatabase { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::Login { .. }
            | Self::NoDatabase { .. }
            | Self::Rights { .. }
            | Self::Tls { .. }
            | Self::Pooler { .. }
            | Self::OldServer { .. }
            | Self::Migrate { .. } => Retry::Seldom,
            Self::DirectoryMissing { .. }
            | Self::Missing { .. }
            | Self::Unreachable { .. }
            | Self::Slow { .. }
            | Self::Conflict { .. }
            | Self::Standby { .. }
            | Self::ReadOnly { .. }
            | Self::InUse { .. }
            | Self::Full { .. }
            | Self::Busy { .. }
            | Self::Memory { .. }
            | Self::Io { .. } => Retry::Soon,
        }
    }
}

/// When a write that failed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Soon and until it succeeds: the reason passes (disk full, locked, I/O error, read-only file system).
    Soon,
    /// Seldom: the file is damaged or not ours any more, and a person has to act.
    Seldom,
    /// Never: the same change can never be written.
    Never,
}
