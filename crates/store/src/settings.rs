//! The settings of the store.

use std::{path::PathBuf, time::Duration};

use hezar_core::{
    Secret, settings,
    settings::{Given, Optional, SettingValue},
};

settings! {
    /// Where the nodes and what is known about them are kept.
    #[derive(Clone, Debug)]
    pub struct StoreSettings in "store" {
        /// A relative file stands in the data folder. Several instances share a database of PostgreSQL:
        /// `postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full&sslrootcert=/etc/hezar/ca.pem`.
        pub url: StoreUrl = StoreUrl("sqlite:hezar.db".into());
        /// True: the database lies in memory, and snapshots of it on the disk.
        /// Spares SD cards and slow disks. What changed since the last snapshot is lost when the machine stops.
        pub memory: bool = false;
        /// The folder in memory (tmpfs) of such a database.
        /// Absent: `/dev/shm`, or else `$RUNTIME_DIRECTORY` or `$XDG_RUNTIME_DIR`.
        pub memory_folder: Option<PathBuf> = None, example "\"/dev/shm\"";
        /// The pause between two snapshots of a database in memory.
        /// One is taken at the end too, and within a minute after an object or a token was changed.
        pub snapshot_every: Duration [Duration::from_secs(1)..=Duration::from_secs(7 * 86_400)] = Duration::from_secs(3600);
        /// So many snapshots are kept.
        pub snapshots: usize [1..=1000] = 24;
        /// PostgreSQL: so many connections at most.
        pub connections: usize [2..=500] = 8;
        /// PostgreSQL: whether the server keeps prepared statements for a connection.
        /// False behind a pooler in transaction mode that does not (PgBouncer before 1.21, or with `max_prepared_statements = 0`).
        pub prepared_statements: bool = true;
        /// PostgreSQL: where notifications come from, when `store.url` leads to a pooler.
        /// Poolers in transaction mode do not deliver them. Absent: `store.url`.
        pub listen_url: Option<StoreUrl> = None, example "\"postgres://USER:PASSWORD@HOST:5432/DATABASE\"";
    }
}

/// `sqlite:FILE` or `postgres://…`. It is a secret because URLs of other kinds of stores may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUrl(pub Secret);

impl StoreUrl {
    /// Whether several processes may use the store at once, as with PostgreSQL.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        is_postgres(self.0.expose())
    }
}

impl SettingValue for StoreUrl {
    type Range = ();

    fn parse(given: &Given, (): &()) -> Option<Self> {
        let text = given.text()?;
        let is_file = text.strip_prefix("sqlite:").is_some_and(|file| !file.is_empty());
        (is_file || is_postgres(text)).then(|| Self(text.into()))
    }

    fn expected((): &()) -> String {
        "\"sqlite:FILE\" or \"postgres://USER@HOST/DATABASE\"".to_owned()
    }

    fn write(&self) -> Option<Given> {
        let text = self.0.expose();
        let kind = text.split(':').next().unwrap_or_default();
        Some(Given::Text(if kind == "sqlite" { text.to_owned() } else { format!("{kind}:…") }))
    }
}

impl Optional for StoreUrl {
    const EMPTY_IS_NONE: bool = true;
}

/// Whether a store URL names a database of PostgreSQL.
pub(crate) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}
