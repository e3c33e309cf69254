//! From the pool to the store: what changes becomes rows while the program runs.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use hezar_core::Label;
use hezar_formats::to_link;
use hezar_pool::{ChangeKind, ChangedNode, Node, Watch};
use hezar_store::{Change, NodeRow, Writer, WriterClosed, WriterPlace};
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::nodes::{Nodes, Payload};

/// How often changes are handed to the writer.
const EVERY: Duration = Duration::from_millis(250);
/// How many changed nodes are handed over at a time.
const BATCH: usize = 4096;
/// How many changed nodes one portion of [`NodeSync::write_all`] holds.
const PORTION: usize = 16_384;
/// How long the store may take for a portion.
const PATIENCE: Duration = Duration::from_secs(30);

/// The changes that write a node whole, with who lists it.
fn put(node: &Node<Payload>) -> Vec<Change> {
    let sources = node.sources().into_iter().map(|listing| listing.source).collect();
    vec![Change::PutNode(row(node)), Change::ListNode { id: node.id(), sources }]
}

/// What the store keeps of a node.
pub(super) fn row(node: &Node<Payload>) -> NodeRow {
    NodeRow {
        id: node.id(),
        uri: to_link(node.spec(), &Label::default()).into(),
        label: node.label().as_str().into(),
        kept_from: node.kept_from().map(|kept| kept.source),
        unreadable_since: None,
        record: node.record(),
    }
}

/// The way from the pool's changes to the writer. Whoever hands over does so alone: what was looked at later must not be
/// written first.
pub(crate) struct NodeSync {
    pool: Arc<Nodes>,
    watch: Watch,
    writer: Writer,
    order: Mutex<()>,
}

impl NodeSync {
    pub(crate) fn new(pool: Arc<Nodes>, watch: Watch, writer: Writer) -> Self {
        Self { pool, watch, writer, order: Mutex::new(()) }
    }

    /// Hands every change over until `stop`, and then what is left.
    ///
    /// # Errors
    /// The writer has ended before.
    pub(crate) async fn run(&self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = self.watch.changed() => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                written = self.write_all() => written.context("changes cannot be kept")?,
            }
            // Measurements come in by the thousand a second: a pause lets them gather.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = sleep(EVERY) => {}
            }
        }
        self.all().await.context("the last changes cannot be kept")
    }

    /// Hands everything over in portions, each of which is in the store before the next one is made, so that memory stays
    /// bounded however much has changed. When the store does not take a portion for [`PATIENCE`], the rest waits in memory.
    /// Nothing is lost when the caller gives up waiting.
    ///
    /// # Errors
    /// The writer has ended.
    pub(crate) async fn write_all(&self) -> Result<(), WriterClosed> {
        if self.watch.len() > PORTION {
            // Portions of neighbours touch few pages of the store's tables; portions of a million random ids touch all of them.
            self.watch.sort();
        }
        while self.watch.len() > PORTION {
            {
                let _alone = self.order.lock().await;
                let place = self.writer.place().await?;
                self.hand_over(place, PORTION);
            }
            if timeout(PATIENCE, self.writer.flush()).await.is_err() {
                break;
            }
        }
        self.all().await
    }

    /// Hands over everything that has changed until now. Nothing is lost when the caller gives up waiting.
    ///
    /// # Errors
    /// The writer has ended.
    pub(crate) async fn all(&self) -> Result<(), WriterClosed> {
        let _alone = self.order.lock().await;
        loop {
            let place = self.writer.place().await?;
            if !self.hand_over(place, BATCH) {
                return Ok(());
            }
        }
    }

    /// Hands over at most `most` changed nodes; false when there was none.
    fn hand_over(&self, place: WriterPlace<'_>, most: usize) -> bool {
        let changed = self.watch.take(most);
        let any = !changed.is_empty();
        if any {
            place.put(changed.into_iter().flat_map(|changed| changes(&self.pool, changed)).collect());
        }
        any
    }
}

/// What has to be written about a node that changed.
pub(crate) fn changes(pool: &Nodes, changed: ChangedNode) -> Vec<Change> {
    let Some(node) = pool.node(changed.id) else { return vec![Change::RemoveNode(changed.id)] };
    match changed.kind {
        ChangeKind::Record | ChangeKind::State => {
            vec![Change::PutRecord(changed.id, node.record())]
        }
        // A node that was removed and added again in between must come back whole.
        ChangeKind::Listing | ChangeKind::Relisted | ChangeKind::Added | ChangeKind::Removed => put(&node),
    }
}
