//! Why a store could not be opened, read or written, and what to do about it.

use std::{
    io,
    path::{Path, PathBuf},
};

use hezar_core::CodeDoc;
use thiserror::Error;

/// A failure of the store. The text says what to do.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The URL names no kind of store that this program has.
    #[error(
        "the store URL {url:?} is not understood; write sqlite:FILE, for example sqlite:hezar.db, or postgres://USER@HOST/DATABASE"
    )]
    Url {
        /// The URL without what follows its scheme, which may hold a password.
        url: Box<str>,
    },
    /// The URL of a database of PostgreSQL cannot be used.
    #[error(
        "the store URL cannot be used: {detail}; write postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full"
    )]
    ServerUrl {
        /// What is wrong, without the URL, which may hold a password.
        detail: Box<str>,
    },
    /// The database server does not answer, or ended the connection.
    #[error(
        "PostgreSQL at {server} cannot be reached ({detail}); see whether it runs and whether store.url names its address"
    )]
    Unreachable {
        /// The server and the database.
        server: Box<str>,
        /// What happened.
        detail: Box<str>,
    },
    /// The database server needs too long.
    #[error(
        "PostgreSQL at {server} takes too long ({detail}); look at its load and at what waits for locks (pg_stat_activity)"
    )]
    Slow {
        /// The server and the database.
        server: Box<str>,
        /// What happened.
        detail: Box<str>,
    },
    /// The database server took a change back, because it met the change of another instance.
    #[error("PostgreSQL at {server} took a change back that met another one ({detail}); it is written again")]
    Conflict {
        /// The server and the database.
        server: Box<str>,
        /// What happened.
        detail: Box<str>,
    },
    /// The database server does not let the user in.
    #[error(
        "PostgreSQL at {server} refuses the user {user:?} ({detail}); check the user and password of store.url, and pg_hba.conf"
    )]
    Login {
        /// The server and the database.
        server: Box<str>,
        /// The user.
        user: Box<str>,
        /// What the server says.
        detail: Box<str>,
    },
    /// The server has no such database.
    #[error("there is no database {database:?} at {server}; create it: createdb --owner {user} {database}")]
    NoDatabase {
        /// The server and the database.
        server: Box<str>,
        /// The database.
        database: Box<str>,
        /// The user that is to own it.
        user: Box<str>,
    },
    /// The user may not do what the store needs.
    #[error("the user {user:?} has not the rights it needs at {server} ({detail}); it should own the database")]
    Rights {
        /// The server and the database.
        server: Box<str>,
        /// The user.
        user: Box<str>,
        /// What the server says.
        detail: Box<str>,
    },
    /// The database server takes no changes: it is a standby, or it was told so.
    #[error(
        "PostgreSQL at {server} takes no changes now (a standby, or set to read only); store.url must lead to the primary server"
    )]
    Standby {
        /// The server and the database.
        server: Box<str>,
    },
    /// No TLS connection to the database server.
    #[error("no TLS connection to PostgreSQL at {server}: {detail}; check sslmode and sslrootcert in store.url")]
    Tls {
        /// The server and the database.
        server: Box<str>,
        /// Why.
        detail: Box<str>,
    },
    /// The database server is too old.
    #[error("PostgreSQL at {server} is version {found}; this program needs version 13 or newer")]
    OldServer {
        /// The server and the database.
        server: Box<str>,
        /// Its version.
        found: Box<str>,
    },
    /// The target of a copy holds something.
    #[error("{store} holds something already; choose another target, or give up what it holds with --replace")]
    NotEmpty {
        /// The target.
        store: Box<str>,
    },
    /// A copy is not what was read.
    #[error(
        "the copy is not what was read (read: {read}; found: {found}); an instance that writes to the target must be stopped first"
    )]
    CopyDiffers {
        /// What was read, in numbers.
        read: Box<str>,
        /// What is there now, in numbers.
        found: Box<str>,
    },
    /// Something that only a store in a file can do.
    #[error("{what} is for a store in a file, and this one is in PostgreSQL; {instead}")]
    FileOnly {
        /// What was asked for.
        what: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// The directory of the file does not exist.
    #[error("the directory {} does not exist; create it or choose another with --data", path.display())]
    DirectoryMissing {
        /// The directory.
        path: PathBuf,
    },
    /// There is no file, and none may be created.
    #[error("there is no store at {}; start hezar once to create it", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is not an SQLite database.
    #[error("{} is not an SQLite database; move it away or choose another file", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database of some other program.
    #[error("{} is a database of another program; choose another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of this program has written the file.
    #[error("{} was written by a newer hezar (schema {found}, this one knows {known}); update hezar", path.display())]
    Newer {
        /// The file, or the database of PostgreSQL with its server.
        path: PathBuf,
        /// The schema version in the file.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// The file needs an upgrade, and it was opened for reading only.
    #[error("{} has an older schema; start hezar once to upgrade it", path.display())]
    Older {
        /// The file.
        path: PathBuf,
    },
    /// The file or its directory cannot be written.
    #[error("{} cannot be written; check the owner and mode of the file and of its directory", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// Another instance has the file open.
    #[error("{} is in use by another hezar{}; stop that one or choose another data directory", path.display(),
        pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    InUse {
        /// The file.
        path: PathBuf,
        /// The other process, when it said so.
        pid: Option<u32>,
    },
    /// The disk is full.
    #[error("the disk that holds {} is full; free some space", path.display())]
    Full {
        /// The file, or the database of PostgreSQL with its server.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("{} is damaged ({detail}); move it away and restore a backup, or start with an empty one", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: Box<str>,
    },
    /// Another connection held a lock for too long.
    #[error("{} is locked by another program; close what has it open", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// No folder in memory can be used for the database.
    #[error("{detail}; name a folder in memory (tmpfs) with store.memory_folder, or set store.memory = false")]
    Memory {
        /// What is wrong.
        detail: Box<str>,
    },
    /// The target of a backup exists.
    #[error("{} exists already; choose another name, or replace it with --force", path.display())]
    BackupExists {
        /// The file.
        path: PathBuf,
    },
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// The operating system failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database refused a statement for some other reason: a mistake of this program.
    #[error("the database refused a statement: {0}")]
    Query(#[source] Box<sqlx::Error>),
    /// The schema could not be brought up to date.
    #[error("the schema of {} could not be upgraded: {source}", path.display())]
    Migrate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<sqlx::migrate::MigrateError>,
    },
}

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

    /// The same about another file, when it says that a file cannot be used: what was looked at was a copy of that file, which is gone.
    pub(crate) fn about(self, path: &Path) -> Self {
        let path = path.to_owned();
        match self {
            Self::Corrupt { detail, .. } => Self::Corrupt { path, detail },
            Self::NotADatabase { .. } => Self::NotADatabase { path },
            Self::Foreign { .. } => Self::Foreign { path },
            Self::Newer { found, known, .. } => Self::Newer { path, found, known },
            other => other,
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

/// Why a write failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteFailure {
    /// The stable code; one of [`StoreError::CODES`].
    pub code: &'static str,
    /// The text, which says what to do.
    pub text: Box<str>,
}

impl From<&StoreError> for WriteFailure {
    fn from(error: &StoreError) -> Self {
        Self { code: error.code(), text: error.to_string().into() }
    }
}
