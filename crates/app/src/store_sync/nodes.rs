//! From the pool to the store: what changes becomes rows while the program runs.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use hezar_core::Label;
use hezar_formats::to_link;
use hezar_pool::{ChangeKind, ChangedNode, Node, Watch};
use hezar_store::{Change, NodeRow, Writer, WriterClosed};
use tokio::{sync::Mutex, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::nodes::{Nodes, Payload};

/// How often changes are handed to the writer.
const EVERY: Duration = Duration::from_millis(250);
/// How many changed nodes are handed over at a time.
const BATCH: usize = 4096;

/// The changes that write a node whole, with who lists it.
fn put(node: &Node<Payload>) -> Vec<Change> {
    let sources = node.sources().into_iter().map(|listing| listing.source).collect();
    vec![Change::PutNode(row(node)), Change::ListNode { id: node.id(), sources }]
}

fn row(node: &Node<Payload>) -> NodeRow {
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
            self.all().await.context("changes cannot be kept")?;
            // Measurements come in by the thousand a second: a pause lets them gather.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = sleep(EVERY) => {}
            }
        }
        self.all().await.context("the last changes cannot be kept")
    }

    /// Hands over everything that has changed until now. Nothing is lost when the caller gives up waiting.
    ///
    /// # Errors
    /// The writer has ended.
    pub(crate) async fn all(&self) -> Result<(), WriterClosed> {
        let _alone = self.order.lock().await;
        loop {
            let place = self.writer.place().await?;
            let changed = self.watch.take(BATCH);
            if changed.is_empty() {
                return Ok(());
            }
            place.put(changed.into_iter().flat_map(|changed| changes(&self.pool, changed)).collect());
        }
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
