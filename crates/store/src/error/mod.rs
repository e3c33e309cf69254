//! Why a store could not be opened, read or written, and what to do about it.

mod code;

use std::{
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

pub use code::Retry;

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
    /// What stands between this program and the server does not keep prepared statements.
    #[error(
        "a pooler before PostgreSQL at {server} does not keep prepared statements ({detail}); set store.prepared_statements = false"
    )]
    Pooler {
        /// The server and the database.
        server: Box<str>,
        /// What the server says.
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
