//! From the pool to the store: what changes becomes rows while the program runs.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use futures_util::future::join;
use hezar_core::{Label, NodeId, Record};
use hezar_formats::to_link;
use hezar_pool::{ChangeKind, ChangedNode, Node, OwnList, Watch};
use hezar_probe::Ownership;
use hezar_store::{Change, NodeRow, Writer, WriterClosed, WriterPlace};
use tokio::{
    sync::{Mutex, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::nodes::{Nodes, Payload};

/// How often changes are handed to the writer.
const EVERY: Duration = Duration::from_millis(250);
/// The same where other processes wait for them.
const EVERY_SHARED: Duration = Duration::from_millis(100);
/// How many changed nodes are handed over at a time.
const BATCH: usize = 4096;
/// The size of a portion unless a test sets another one.
const PORTION: usize = 16_384;
/// How long the store may take for a portion.
const PATIENCE: Duration = Duration::from_secs(30);

/// The changes that write a node whole, with who lists it.
pub(crate) fn put(node: &Node<Payload>) -> Vec<Change> {
    let sources = node.sources().into_iter().map(|listing| listing.source).collect();
    vec![Change::PutNode(row(node)), Change::ListNode { id: node.id(), sources }]
}

/// What the store keeps of a node.
pub(crate) fn row(node: &Node<Payload>) -> NodeRow {
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
    /// How many changed nodes one portion of [`NodeSync::write_all`] holds.
    portion: usize,
    /// Which nodes this process measures, where others write to the same store: only their records are written, and what a source lists
    /// is written by its source, so that nobody replaces what another one has listed.
    measured: Option<watch::Receiver<Ownership>>,
}

impl NodeSync {
    pub(crate) fn new(pool: Arc<Nodes>, watch: Watch, writer: Writer) -> Self {
        Self { pool, watch, writer, order: Mutex::new(()), portion: PORTION, measured: None }
    }

    /// The same for a store that other processes write to as well; this one measures the nodes that it owns.
    pub(crate) fn among_others(self, measured: watch::Receiver<Ownership>) -> Self {
        self.pool.keep_own_lists();
        Self { measured: Some(measured), ..self }
    }

    /// Whether this process has changed the description of a node or who lists it, and has not handed that over yet.
    pub(crate) fn is_changing(&self, id: NodeId) -> bool {
        self.watch.pending(id).is_some_and(|kind| kind >= ChangeKind::Listing)
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
                () = sleep(if self.measured.is_some() { EVERY_SHARED } else { EVERY }) => {}
            }
        }
        self.all().await.context("the last changes cannot be kept")
    }

    /// Hands everything over in portions. While the store writes one, the next one is made, and no third one before the first is in
    /// the store, so that memory stays bounded however much has changed. When the store does not take a portion for [`PATIENCE`],
    /// the rest waits in memory. Nothing is lost when the caller gives up waiting.
    ///
    /// # Errors
    /// The writer has ended.
    pub(crate) async fn write_all(&self) -> Result<(), WriterClosed> {
        if self.watch.len() > self.portion {
            // Portions of neighbours touch few pages of the store's tables; portions of a million random ids touch all of them.
            self.watch.sort();
        }
        let mut more = self.hand_over_portion().await?;
        while more {
            // The writer is asked first, so that its answer is about the portions before the next one.
            let (written, next) = join(timeout(PATIENCE, self.writer.flush()), self.hand_over_portion()).await;
            more = next?;
            if written.is_err() {
                break;
            }
        }
        self.all().await
    }

    /// Hands over one portion; false when what has changed is less than that.
    async fn hand_over_portion(&self) -> Result<bool, WriterClosed> {
        if self.watch.len() <= self.portion {
            return Ok(false);
        }
        let _alone = self.order.lock().await;
        self.hand_over_lists().await?;
        let place = self.writer.place().await?;
        Ok(self.hand_over(place, self.portion))
    }

    /// Hands over everything that has changed until now. Nothing is lost when the caller gives up waiting.
    ///
    /// # Errors
    /// The writer has ended.
    pub(crate) async fn all(&self) -> Result<(), WriterClosed> {
        let _alone = self.order.lock().await;
        self.hand_over_lists().await?;
        loop {
            let place = self.writer.place().await?;
            if !self.hand_over(place, BATCH) {
                break;
            }
        }
        Ok(())
    }

    /// Hands over what sources list, before the nodes: a node that nobody lists would soon be forgotten by another process.
    async fn hand_over_lists(&self) -> Result<(), WriterClosed> {
        if self.measured.is_none() {
            return Ok(());
        }
        let place = self.writer.place().await?;
        let lists = self.pool.take_own_lists();
        if !lists.is_empty() {
            place.put(lists.into_iter().map(set_listing).collect());
        }
        Ok(())
    }

    /// Hands over at most `most` changed nodes; false when there was none.
    fn hand_over(&self, place: WriterPlace<'_>, most: usize) -> bool {
        let changed = self.watch.take(most);
        let any = !changed.is_empty();
        if any {
            place.put(changed.into_iter().flat_map(|changed| self.changes(changed)).collect());
        }
        any
    }

    fn changes(&self, changed: ChangedNode) -> Vec<Change> {
        let Some(measured) = &self.measured else { return changes(&self.pool, changed) };
        let is_owned = |id| self.pool.node(id).is_some_and(|node| measured.borrow().owns_node(&node));
        let shared = |change: Change| match change {
            // The removal before it has taken the node off the lists that were handed over.
            Change::ListNode { id, sources } if changed.kind == ChangeKind::Replaced => {
                let add = |source| Change::SetListing { source, ids: vec![id], complete: false };
                sources.into_iter().map(add).collect()
            }
            Change::ListNode { .. } => Vec::new(),
            Change::PutRecord(id, _) if !is_owned(id) => Vec::new(),
            // What is known here of it was measured by another process, in another region perhaps, or by requests.
            Change::PutNode(row) if !is_owned(row.id) => vec![Change::PutNode(without_measurements(row))],
            change => vec![change],
        };
        changes(&self.pool, changed).into_iter().flat_map(shared).collect()
    }
}

fn without_measurements(row: NodeRow) -> NodeRow {
    let Record { first_seen, unlisted_since, .. } = row.record;
    NodeRow { record: Record { first_seen, unlisted_since, ..Record::default() }, ..row }
}

fn set_listing(list: OwnList) -> Change {
    let OwnList { source, ids, complete } = list;
    Change::SetListing { source, ids, complete }
}

/// What has to be written about a node that changed.
pub(crate) fn changes(pool: &Nodes, changed: ChangedNode) -> Vec<Change> {
    let Some(node) = pool.node(changed.id) else {
        // A node that another process has removed is gone as well, and is not removed again: it may have come back.
        let removed = changed.kind == ChangeKind::Removed;
        return if removed { vec![Change::RemoveNode(changed.id)] } else { Vec::new() };
    };
    match changed.kind {
        ChangeKind::Record | ChangeKind::State => {
            vec![Change::PutRecord(changed.id, node.record())]
        }
        ChangeKind::Listing | ChangeKind::Relisted | ChangeKind::Added => put(&node),
        // Nothing of the old node may stay: in a shared store its record would count as newer than none.
        ChangeKind::Replaced | ChangeKind::Removed => {
            [Change::RemoveNode(changed.id)].into_iter().chain(put(&node)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use hezar_core::{NodeSpec, Outbound, SocksProxy, SocksVersion, Target, Timestamp};
    use hezar_pool::{Origin, Outcome, PoolChange, Rules};
    use hezar_store::{Access, WriterConfig};

    use super::*;

    fn spec(n: u32) -> NodeSpec {
        let [_, b, c, d] = n.to_be_bytes();
        let socks = SocksProxy { version: SocksVersion::V5, credentials: None, tls: None };
        NodeSpec::new(Target::parse(&format!("11.{b}.{c}.{d}:1080")).unwrap(), Outbound::Socks(socks))
    }

    #[tokio::test]
    async fn a_long_list_is_written_whole_and_what_changes_meanwhile_too() {
        let folder = tempfile::tempdir().unwrap();
        let store = hezar_store::open("sqlite:x.db", folder.path(), Access::Exclusive).await.unwrap();
        let (writer, behind) = Writer::new(store, WriterConfig::default());
        let stop = CancellationToken::new();
        let writing = tokio::spawn(behind.run(stop.clone()));
        let pool = Arc::new(Nodes::new(Rules::default()));
        let sync = NodeSync { portion: 64, ..NodeSync::new(Arc::clone(&pool), pool.watch(), writer.clone()) };
        let nodes = (0..500).map(|n| (spec(n), Label::default())).collect();
        let list = PoolChange::List { source: "list".into(), allow_private: false, nodes, complete: true };
        pool.apply(list, Timestamp(1_000));
        let ok = Outcome::success(Origin::Probe, Duration::from_millis(40));
        let changing = async {
            for n in 0..100 {
                pool.report(spec(n).id(), &ok, Timestamp(2_000));
                tokio::task::yield_now().await;
            }
        };
        let (written, ()) = join(sync.write_all(), changing).await;
        written.unwrap();
        sync.write_all().await.unwrap();
        writer.flush().await.unwrap();
        stop.cancel();
        writing.await.unwrap();
        let store = hezar_store::open("sqlite:x.db", folder.path(), Access::Exclusive).await.unwrap();
        let stored = store.load().await.unwrap();
        assert_eq!(stored.nodes.len(), 500);
        for row in &stored.nodes {
            assert_eq!(row.record, pool.node(row.id).unwrap().record());
        }
        let mut listed: Vec<NodeId> = stored.listings.into_iter().flat_map(|listing| listing.ids).collect();
        listed.sort_unstable();
        let mut all: Vec<NodeId> = (0..500).map(|n| spec(n).id()).collect();
        all.sort_unstable();
        assert_eq!(listed, all);
    }
}
