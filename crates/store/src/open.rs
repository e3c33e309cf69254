//! From a store URL to a store.

use std::{path::Path, sync::Arc};

use crate::{Access, Sqlite, Store, StoreError};

/// Opens the store that `url` names: `sqlite:FILE` or `sqlite://FILE`, where a relative file lies in `directory`.
///
/// # Errors
/// [`StoreError`]: what is wrong with the URL or the file, and what to do.
pub async fn open(url: &str, directory: &Path, access: Access) -> Result<Arc<dyn Store>, StoreError> {
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    if scheme != "sqlite" || rest.is_empty() {
        return Err(StoreError::Url { url: format!("{scheme}:…").into() });
    }
    let file = rest.strip_prefix("//").unwrap_or(rest);
    Ok(Arc::new(Sqlite::open(&directory.join(file), access).await?))
}
