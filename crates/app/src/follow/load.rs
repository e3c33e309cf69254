//! Reading everything anew: at the first connection, after a failover, and when too much has changed meanwhile.

use std::{collections::HashSet, sync::Arc, time::Duration};

use hezar_core::NodeId;
use hezar_store::{ChangePosition, Contents, NodeRow, StoreError};
use tokio::{sync::mpsc, task::spawn_blocking, time::timeout};

use super::Follower;
use crate::store_sync::restore::StoredListings;

/// How long the changes of this process may take to be in the store before everything is read anew.
const FLUSH: Duration = Duration::from_secs(20);

impl Follower {
    /// Reads everything, and takes away what is not in the store. Returns where the following goes on, and how many rows there were.
    pub(super) async fn load_anew(&self) -> Result<(ChangePosition, usize), StoreError> {
        tracing::info!("everything is read anew from the store that instances share");
        self.status.note_load();
        let before: HashSet<NodeId> = self.nodes.pool.snapshot().nodes().map(|node| node.id()).collect();
        // What this process has changed is in the store first, or it would be taken for removed.
        let flush = async { (self.node_sync.write_all().await.is_ok(), self.writer.flush().await.is_ok()) };
        let _ = timeout(FLUSH, flush).await;
        self.database_clock.learn(&*self.shared, self.clock).await?;
        let position = self.shared.position().await?;
        let (parts, received) = mpsc::channel(2);
        let (loaded, taken) = tokio::join!(self.shared.load_in_parts(parts), self.take_parts(received));
        loaded?;
        let usage = self.shared.usage_totals().await?;
        let (seen, count) = taken;
        // What this process has not handed over yet is in no store, and not gone.
        let is_gone = |id: &NodeId| !seen.contains(id) && !self.node_sync.is_changing(*id);
        let gone: Vec<NodeId> = before.into_iter().filter(is_gone).collect();
        let pool = Arc::clone(&self.nodes.pool);
        let _ = spawn_blocking(move || pool.adopt_removals(&gone)).await;
        self.adopt_usage(usage, self.clock.now()).await;
        self.membership.set_copy_of(None);
        Ok((position, count))
    }

    /// Takes over the parts of a whole store; returns the nodes that were in it, and the number of rows.
    async fn take_parts(&self, mut received: mpsc::Receiver<Contents>) -> (HashSet<NodeId>, usize) {
        let (mut seen, mut count) = (HashSet::new(), 0);
        let Some(mut first) = received.recv().await else { return (seen, count) };
        let now = self.clock.now();
        let (nodes, listings) = (std::mem::take(&mut first.nodes), std::mem::take(&mut first.listings));
        let listings = Arc::new(StoredListings::of_rows(listings));
        let mut changes = self.rows.differences(first, now);
        count += changes.len();
        self.rows.apply_sources(&mut changes, now);
        self.rows.apply(changes);
        let mut next = Some(nodes);
        while let Some(nodes) = next {
            seen.extend(nodes.iter().map(|row| row.id));
            count += nodes.len();
            let (target, listings, ownership) =
                (self.nodes.clone(), Arc::clone(&listings), self.ownership.borrow().clone());
            let taking = spawn_blocking(move || {
                let listed = |row: NodeRow| {
                    let sources = listings.sources_of(row.id);
                    (row, sources)
                };
                target.adopt(nodes.into_iter().map(listed).collect(), &ownership, now);
            });
            let _ = taking.await;
            next = received.recv().await.map(|part| part.nodes);
        }
        (seen, count)
    }
}
