//! Moving everything that a store holds: as batches of changes, with a tally of what was moved.

mod batch;
mod file;
mod tally;

use std::path::PathBuf;

use tokio::sync::mpsc;

use crate::{Store, StoreError};

pub(crate) use batch::Batch;
pub(crate) use file::{backup, into_file};
pub use tally::CopyCounts;
use tally::Tally;

/// How many batches wait between who reads and who writes.
const WAITING: usize = 2;

/// What has been copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyReport {
    /// How many there are of each kind, the same in both stores.
    pub counts: CopyCounts,
    /// A digest of all rows, the same of both stores: 32 hexadecimal digits.
    pub digest: String,
    /// Nodes that could not be understood and stay behind.
    pub strange: u64,
    /// Where the store that was at the target is kept, when it was a file.
    pub kept: Option<PathBuf>,
}

/// Reads everything of a store and sends it in batches, and then the end, without which nothing stays.
async fn read(
    source: &dyn Store,
    batches: mpsc::Sender<Batch>,
    progress: &(dyn Fn(CopyCounts) + Send + Sync),
) -> Result<CopyReport, StoreError> {
    let mut tally = Tally::of(progress);
    batch::read_store(source, &mut tally, &batches).await?;
    // Who receives no more has failed, and says why.
    let _ = batches.send(Batch::End).await;
    Ok(tally.report())
}

/// Reads everything of a store while `fill` writes it into `target`, compares the two, and closes the target.
pub(crate) async fn copy_into<F>(
    source: &dyn Store,
    target: &dyn Store,
    progress: &(dyn Fn(CopyCounts) + Send + Sync),
    fill: impl FnOnce(mpsc::Receiver<Batch>) -> F,
) -> Result<CopyReport, StoreError>
where
    F: Future<Output = Result<(), StoreError>>,
{
    let copied = async {
        let (batches, received) = mpsc::channel(WAITING);
        let (read, filled) = tokio::join!(read(source, batches, progress), fill(received));
        let report = read.and_then(|report| filled.map(|()| report))?;
        check(&report, target).await?;
        Ok(report)
    };
    let copied = copied.await;
    target.close().await;
    copied
}

/// Reads the copy, and compares.
async fn check(report: &CopyReport, copy: &dyn Store) -> Result<(), StoreError> {
    let (batches, mut received) = mpsc::channel(WAITING);
    let discard = async { while received.recv().await.is_some() {} };
    let (found, ()) = tokio::join!(read(copy, batches, &|_| {}), discard);
    let found = found?;
    if (&found.counts, &found.digest) == (&report.counts, &report.digest) {
        return Ok(());
    }
    Err(StoreError::CopyDiffers {
        read: format!("{}", report.counts).into(),
        found: format!("{}", found.counts).into(),
    })
}
