//! A copy of the shared store on the disk of a gateway: what it serves from when it starts while the database is away.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hezar_core::Timestamp;
use hezar_store::{Access, Change, Store, StoreError};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    nodes::{Nodes, Payload},
    store_sync::nodes as node_rows,
};

/// The copy, and the one that is being written; in the data folder.
const FILE: &str = "cluster-copy.db";
const PARTIAL: &str = "cluster-copy.partial.db";
/// When the first copy is written, and the pause between two.
const FIRST: Duration = Duration::from_secs(20);
const EVERY: Duration = Duration::from_secs(300);
/// Writing a copy takes at most this share of the time: after one that took long the pause is longer.
const SHARE: u32 = 50;
/// How long the last copy may take.
const LAST: Duration = Duration::from_secs(20);
/// Nodes that are written in one transaction.
const PART: usize = 8192;

/// Writes the copy now and then.
pub(crate) struct LocalCopy {
    data: PathBuf,
    store: Arc<dyn Store>,
    pool: Arc<Nodes>,
}

/// A copy that is read.
pub(crate) struct OpenedCopy {
    pub(crate) contents: Arc<dyn Store>,
    /// When it was complete.
    pub(crate) written: Timestamp,
}

impl OpenedCopy {
    /// The copy in a data folder, if there is one.
    ///
    /// # Errors
    /// There is one, and it cannot be read.
    pub(crate) async fn open(data: &Path) -> Result<Option<Self>, StoreError> {
        let Ok(about) = fs::metadata(data.join(FILE)) else { return Ok(None) };
        let written = about.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let written = Timestamp(u64::try_from(written.unwrap_or_default().as_millis()).unwrap_or(u64::MAX));
        let contents = hezar_store::open(&url(FILE), data, Access::ReadOnly).await?;
        Ok(Some(Self { contents, written }))
    }
}

impl LocalCopy {
    pub(crate) const fn new(data: PathBuf, store: Arc<dyn Store>, pool: Arc<Nodes>) -> Self {
        Self { data, store, pool }
    }

    /// Writes copies until `stop`, and a last one then.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let mut pause = FIRST;
        while stop.run_until_cancelled(sleep(pause)).await.is_some() {
            let began = Instant::now();
            self.write().await;
            pause = EVERY.max(began.elapsed() * SHARE);
        }
        // The program ends all the same when the database is away.
        let _ = timeout(LAST, self.write()).await;
    }

    async fn write(&self) {
        match self.try_to_write().await {
            Ok(nodes) => tracing::debug!(nodes, "the local copy of the shared store is written"),
            // The older one stays.
            Err(error) => {
                tracing::debug!(%error, code = error.code(), "the local copy of the shared store is not written now")
            }
        }
    }

    /// Writes a whole copy, which then takes the place of the older one. What a person or a session made comes from the database, the
    /// nodes from memory.
    pub(crate) async fn try_to_write(&self) -> Result<usize, StoreError> {
        let first = self.store.load_all_but_nodes().await?;
        let (control, usage) = (self.store.load_control().await?, self.store.usage_totals().await?);
        let partial = self.data.join(PARTIAL);
        remove(&partial);
        let copy = hezar_store::open(&url(PARTIAL), &self.data, Access::Exclusive).await?;
        let written = async {
            copy.write(&first.into_changes()).await?;
            copy.write_control(&control.into_changes()).await?;
            copy.add_usage(&usage).await?;
            self.write_nodes(&*copy).await
        };
        let written = written.await;
        copy.close().await;
        drop(copy);
        let nodes = written.inspect_err(|_| remove(&partial))?;
        let path = self.data.join(FILE);
        fs::rename(&partial, &path).map_err(|source| StoreError::Io { path, source })?;
        remove(&partial);
        Ok(nodes)
    }

    async fn write_nodes(&self, copy: &dyn Store) -> Result<usize, StoreError> {
        let nodes: Vec<_> = self.pool.snapshot().nodes().cloned().collect();
        let count = nodes.len();
        let mut rest = nodes.into_iter();
        loop {
            let part: Vec<Arc<hezar_pool::Node<Payload>>> = rest.by_ref().take(PART).collect();
            if part.is_empty() {
                return Ok(count);
            }
            // Making links takes a core for a moment.
            let made = spawn_blocking(move || part.iter().map(|node| Change::PutNode(node_rows::row(node))).collect());
            let changes: Vec<Change> = made.await.unwrap_or_default();
            copy.write(&changes).await?;
        }
    }
}

fn url(file: &str) -> String {
    format!("sqlite:{file}")
}

/// Takes a database away, with the files that SQLite and the store's lock put beside it.
fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = %Path::new(&name).display(), %error, "a file of an old copy cannot be removed");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use hezar_core::Label;
    use hezar_pool::{PoolChange, Rules};
    use hezar_store::{ControlChange, ObjectRow, Sqlite, UsageRow};

    use super::*;

    #[tokio::test]
    async fn a_copy_holds_the_nodes_of_memory_and_what_else_the_store_has() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> =
            Arc::new(Sqlite::open(&folder.path().join("hezar.db"), Access::Exclusive).await.unwrap());
        let pool = Arc::new(Nodes::new(Rules::default()));
        let spec = hezar_formats::parse_link("socks5://11.0.0.1:1080").unwrap().0;
        let nodes = vec![(spec.clone(), Label::new("one"))];
        pool.apply(PoolChange::List { source: "s".into(), allow_private: false, nodes, complete: true }, Timestamp(1));
        let object = ObjectRow { kind: "user".into(), name: "bob".into(), value: "{}".into(), changed: Timestamp(5) };
        store.write_control(&[ControlChange::PutObject(object.clone())]).await.unwrap();
        let listing = Change::SetListing { source: "s".into(), ids: vec![spec.id()], complete: true };
        store.write(&[listing]).await.unwrap();
        let usage = UsageRow { user: "bob".into(), day: hezar_core::UtcDay(20_000), up: 1, down: 2 };
        store.add_usage(std::slice::from_ref(&usage)).await.unwrap();
        let copy = LocalCopy::new(folder.path().to_owned(), store, Arc::clone(&pool));
        assert!(OpenedCopy::open(folder.path()).await.unwrap().is_none());
        for _ in 0..2 {
            assert_eq!(copy.try_to_write().await.unwrap(), 1);
        }
        let opened = OpenedCopy::open(folder.path()).await.unwrap().unwrap();
        assert!(opened.written > Timestamp(0));
        let contents = opened.contents.load().await.unwrap();
        assert_eq!((contents.nodes.len(), contents.nodes[0].id), (1, spec.id()));
        assert_eq!(contents.listings.len(), 1);
        assert_eq!(opened.contents.load_control().await.unwrap().objects, [object]);
        assert_eq!(opened.contents.usage_totals().await.unwrap(), [usage]);
        opened.contents.close().await;
        // A store that cannot be read leaves the older copy as it is.
        copy.store.close().await;
        assert!(copy.try_to_write().await.is_err());
        assert!(OpenedCopy::open(folder.path()).await.unwrap().is_some());
    }
}
