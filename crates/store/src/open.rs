//! From a store URL to a store.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{Access, Sqlite, Store, StoreError, file};

/// Opens the store that `url` names: `sqlite:FILE` or `sqlite://FILE`, where a relative file lies in `directory`.
///
/// # Errors
/// [`StoreError`]: what is wrong with the URL or the file, and what to do.
pub async fn open(url: &str, directory: &Path, access: Access) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(Sqlite::open(&file_of(url, directory)?, access).await?))
}

/// Says which instance has the store open for writing, as [`StoreError::InUse`]; `None` when none has, or when there is no store.
/// `url` and `directory` are as in [`open`].
#[must_use]
pub fn in_use(url: &str, directory: &Path) -> Option<StoreError> {
    file::in_use(&file_of(url, directory).ok()?)
}

fn file_of(url: &str, directory: &Path) -> Result<PathBuf, StoreError> {
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    if scheme != "sqlite" || rest.is_empty() {
        return Err(StoreError::Url { url: format!("{scheme}:…").into() });
    }
    Ok(directory.join(rest.strip_prefix("//").unwrap_or(rest)))
}
