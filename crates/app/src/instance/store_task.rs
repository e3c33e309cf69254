//! The task that writes to the store, with what feeds it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use hezar_probe::Ownership;
use hezar_store::{Store, WriteSummary, Writer, WriterConfig};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{base::Base, store_sync::nodes::NodeSync, supervise};

/// How long a change waits at most while others wait for it.
const EVERY_SHARED: Duration = Duration::from_millis(100);

/// The writer and its task.
pub(crate) struct StoreTask {
    pub(crate) writer: Writer,
    pub(crate) node_sync: Arc<NodeSync>,
    task: JoinHandle<WriteSummary>,
    stop: CancellationToken,
    /// Cancelled when the task ends, however it does.
    ended: CancellationToken,
}

impl StoreTask {
    /// For a command, which may measure any node.
    pub(crate) fn start(base: &mut Base) -> Self {
        Self::start_among(base, watch::channel(Ownership::everything()).1)
    }

    /// For an instance, which measures the nodes that it owns. Others may write to the same store, and wait for what this one writes.
    pub(crate) fn start_among(base: &mut Base, measured: watch::Receiver<Ownership>) -> Self {
        if base.store.shared().is_none() {
            return Self::start_with(base, WriterConfig::default(), |node_sync| node_sync);
        }
        let config = WriterConfig { every: EVERY_SHARED, ..WriterConfig::default() };
        Self::start_with(base, config, |node_sync| node_sync.among_others(measured))
    }

    fn start_with(base: &mut Base, config: WriterConfig, change: impl FnOnce(NodeSync) -> NodeSync) -> Self {
        let (writer, behind) = Writer::new(Arc::clone(&base.store), config);
        let behind = behind.beginning_with(std::mem::take(&mut base.loaded.repairs));
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let (stopped, guard) = (stop.clone(), ended.clone().drop_guard());
        let task = tokio::spawn(supervise::named("store writer", async move {
            let _guard = guard;
            behind.run(stopped).await
        }));
        let watch = base.watch.take().unwrap_or_else(|| base.pool.watch_own());
        let node_sync = Arc::new(change(NodeSync::new(Arc::clone(&base.pool), watch, writer.clone())));
        Self { writer, node_sync, task, stop, ended }
    }

    /// Fails when the writing task ends before `stop`.
    pub(super) fn fails_early(&self, stop: CancellationToken) -> impl Future<Output = anyhow::Result<()>> + 'static {
        let ended = self.ended.clone();
        async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => Ok(()),
                () = ended.cancelled() => bail!("nothing is written to the store any more"),
            }
        }
    }

    /// Ends without writing: another process has the store.
    pub(crate) async fn abandon(self) {
        self.task.abort();
        // What it was doing is of no use any more.
        let _ = self.task.await;
    }

    /// Writes what is left and closes the store.
    pub(crate) async fn finish(self, store: &dyn Store) -> anyhow::Result<()> {
        self.stop.cancel();
        let summary = self.task.await.context("the writing task failed")?;
        store.close().await;
        tracing::info!(written = summary.written, batches = summary.batches, lost = summary.lost, "store closed");
        if summary.lost > 0 {
            bail!("{} changes could not be written to the store", summary.lost);
        }
        Ok(())
    }
}
