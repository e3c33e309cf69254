//! A copy in a file of SQLite: written beside its name, checked, and then renamed.

use std::path::Path;

use tokio::sync::mpsc;

use super::{Batch, CopyCounts, CopyReport, copy_into};
use crate::{
    Access, Sqlite, Store, StoreError, file,
    snapshot::{Pace, write_compressed},
    sqlite::{blocking, verify},
};

/// Copies a store into the file `to`. The file that was there is kept under another name when it is replaced.
pub(crate) async fn into_file(
    source: &dyn Store,
    to: &Path,
    replace: bool,
    progress: &(dyn Fn(CopyCounts) + Send + Sync),
) -> Result<CopyReport, StoreError> {
    let _lock = file::lock(to)?;
    if file::last_written(to).is_some() && !replace {
        return Err(StoreError::NotEmpty { store: to.display().to_string().into() });
    }
    let partial = file::reserve(to)?;
    let published = async {
        let mut report = fill(source, &partial, progress).await?;
        verify(&partial).await?;
        report.kept = file::move_aside(to)?;
        file::publish(&partial, to, true)?;
        file::give_to_owner_of_folder(to);
        Ok(report)
    };
    let published = published.await;
    if published.is_err() {
        let _ = blocking(move || file::remove(&partial)).await;
    }
    published
}

async fn fill(
    source: &dyn Store,
    partial: &Path,
    progress: &(dyn Fn(CopyCounts) + Send + Sync),
) -> Result<CopyReport, StoreError> {
    let target = Sqlite::open_locked(partial, Access::Exclusive, None, None).await?;
    copy_into(source, &target, progress, |received| write_all(&target, received)).await
}

async fn write_all(target: &Sqlite, mut batches: mpsc::Receiver<Batch>) -> Result<(), StoreError> {
    while let Some(batch) = batches.recv().await {
        match batch {
            Batch::Changes(changes) => target.write(&changes).await?,
            Batch::Control(changes) => target.write_control(&changes).await?,
            Batch::Usage(rows) => target.add_usage(&rows).await?,
            Batch::End => {}
        }
    }
    Ok(())
}

/// Writes a copy to a file, as [`Store::backup`] says; a name that ends with `.zst` gets a compressed one.
pub(crate) async fn backup(source: &dyn Store, to: &Path, replace: bool) -> Result<(), StoreError> {
    if to.exists() && !replace {
        return Err(StoreError::BackupExists { path: to.to_owned() });
    }
    let is_compressed = to.extension().is_some_and(|end| end == "zst");
    let partial = file::reserve(&if is_compressed { to.with_extension("") } else { to.to_owned() })?;
    let (to, copy) = (to.to_owned(), partial.clone());
    let written = async {
        fill(source, &partial, &|_| {}).await?;
        blocking(move || match is_compressed {
            true => write_compressed(&copy, &to, Pace::Unlimited, replace),
            false => file::publish(&copy, &to, replace),
        })
        .await
    };
    let written = written.await;
    let removed = blocking(move || file::remove(&partial)).await;
    written.and(removed)
}
