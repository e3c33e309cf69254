//! Where a store of each kind lies, so that every test of the suite runs over all of them.

use std::{path::Path, sync::Arc};

use crate::{Access, Store, open};

/// A place for one store, empty at first. To open it again is another run of the program.
pub(super) struct Place {
    folder: tempfile::TempDir,
    url: String,
    /// Whether several instances can share it.
    pub(super) is_shared: bool,
}

impl Place {
    /// One of every kind; without PostgreSQL where it is not installed, and then a line says so.
    pub(super) fn all(test: &str) -> Vec<Self> {
        std::iter::once(Self::sqlite()).chain(Self::postgres(test)).collect()
    }

    pub(super) fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), url: "sqlite:hezar.db".to_owned(), is_shared: false }
    }

    /// An empty database of PostgreSQL.
    pub(super) fn postgres(test: &str) -> Option<Self> {
        let url = hezar_lab::postgres::empty_database(test).unwrap()?;
        Some(Self { folder: tempfile::tempdir().unwrap(), url, is_shared: true })
    }

    pub(super) async fn open(&self) -> Arc<dyn Store> {
        open(&self.url, self.folder.path(), Access::Exclusive).await.unwrap()
    }

    pub(super) async fn open_for_reading(&self) -> Arc<dyn Store> {
        open(&self.url, self.folder.path(), Access::ReadOnly).await.unwrap()
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }
}
