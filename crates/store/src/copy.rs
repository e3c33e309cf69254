//! Moving everything from one store into another, whatever their kinds: checked by counts and a digest, whole or not at all.

use std::path::PathBuf;

use crate::{
    Access, CopyCounts, CopyReport, Postgres, Store, StoreError, StoreSettings,
    open::{file_of, open_configured},
    transfer::{copy_into, into_file},
};

/// Where a store is.
#[derive(Clone, Debug)]
pub struct StorePlace {
    /// How it is opened.
    pub settings: StoreSettings,
    /// Where a relative file lies.
    pub directory: PathBuf,
}

/// Copies everything that one store holds into another one, which is empty or is replaced. `progress` is told what has been read until
/// then, about every second. Whoever gives up half-way leaves the target as it was.
///
/// The histories of several instances become one, and of a node that was measured from several regions the freshest record is taken.
///
/// # Errors
/// [`StoreError::NotEmpty`] when the target holds something and `replace` is not set, [`StoreError::CopyDiffers`], or what is wrong with
/// one of the two. Then the target is as it was.
pub async fn copy_store(
    from: &StorePlace,
    to: &StorePlace,
    replace: bool,
    progress: &(dyn Fn(CopyCounts) + Send + Sync),
) -> Result<CopyReport, StoreError> {
    let source = open_configured(&from.settings, &from.directory, Access::ReadOnly).await?;
    let copied = if to.settings.url.is_shared() {
        into_postgres(&*source, &to.settings, replace, progress).await
    } else {
        into_file_of(&*source, to, replace, progress).await
    };
    source.close().await;
    copied
}

async fn into_file_of(
    source: &dyn Store,
    to: &StorePlace,
    replace: bool,
    progress: &(dyn Fn(CopyCounts) + Send + Sync),
) -> Result<CopyReport, StoreError> {
    if to.settings.memory {
        return Err(StoreError::Memory { detail: "a copy is written to a file on the disk".into() });
    }
    into_file(source, &file_of(to.settings.url.0.expose(), &to.directory)?, replace, progress).await
}

async fn into_postgres(
    source: &dyn Store,
    to: &StoreSettings,
    replace: bool,
    progress: &(dyn Fn(CopyCounts) + Send + Sync),
) -> Result<CopyReport, StoreError> {
    let target = Postgres::open(to, Access::Exclusive).await?;
    copy_into(source, &target, progress, |received| target.fill(received, replace)).await
}
