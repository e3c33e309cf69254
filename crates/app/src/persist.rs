//! Between the pool and the store: rows become nodes at the start, and changes become rows while the program runs.

use std::{sync::Arc, thread, time::Duration};

use anyhow::bail;
use hezar_core::{Label, NodeId};
use hezar_formats::{LinkReader, to_link};
use hezar_pool::{
    Change as PoolChange, Listing, Node, Quarantine, Record, Restored, SourceName, State, Touch, Touched, Watch,
};
use hezar_probe::Geo;
use hezar_store::{Change, Health, NodeRow, NodeState, SourceRow, Writer};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    geo::Countries,
    instance::{Nodes, Payload},
};

/// How often changes are handed to the writer.
const EVERY: Duration = Duration::from_millis(250);
/// How many changed nodes are handed over at a time.
const BATCH: usize = 4096;

/// What was loaded, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loaded {
    /// Nodes that serve or are checked now.
    pub(crate) nodes: usize,
    /// Rows whose link no longer reads.
    pub(crate) unreadable: usize,
}

/// Puts everything that the store held into the pool.
pub(crate) fn restore(
    state: &hezar_store::State,
    rows: &[SourceRow],
    pool: &Nodes,
    geo: Option<&Countries>,
    now: hezar_core::Timestamp,
) -> Loaded {
    let mut sources: std::collections::HashMap<NodeId, Vec<Listing>> = std::collections::HashMap::new();
    let private: std::collections::HashMap<&str, bool> =
        rows.iter().map(|source| (&*source.name, source.allow_private)).collect();
    for listing in &state.listings {
        let allow_private = private.get(&*listing.source).copied().unwrap_or(false);
        for id in &listing.ids {
            let source: SourceName = Arc::clone(&listing.source);
            sources.entry(*id).or_default().push(Listing { source, allow_private });
        }
    }
    let mut restored = read_links(&state.nodes);
    for (id, node) in &mut restored {
        node.sources = sources.remove(id).unwrap_or_default();
        let known = node.record.exit_ip.and_then(|ip| geo?.country(ip));
        node.record.country = known.or(node.record.country);
    }
    let loaded = Loaded { nodes: restored.len(), unreadable: state.nodes.len() - restored.len() };
    pool.apply(PoolChange::Restore(restored.into_iter().map(|(_, node)| node).collect()), now);
    loaded
}

/// Reads all links, on every core: at a start this is what takes time.
fn read_links(rows: &[NodeRow]) -> Vec<(NodeId, Restored)> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(16);
    let share = rows.len().div_ceil(workers).max(1);
    thread::scope(|scope| {
        let handles: Vec<_> = rows.chunks(share).map(|rows| scope.spawn(move || read_rows(rows))).collect();
        handles.into_iter().filter_map(|handle| handle.join().ok()).flatten().collect()
    })
}

fn read_rows(rows: &[NodeRow]) -> Vec<(NodeId, Restored)> {
    // One reader for all: nodes that go through the same chain share it.
    let mut links = LinkReader::default();
    rows.iter().filter_map(|row| read_row(&mut links, row)).collect()
}

fn read_row(links: &mut LinkReader, row: &NodeRow) -> Option<(NodeId, Restored)> {
    let (spec, _) = links.read(row.uri.expose()).ok()?;
    let restored = Restored { spec, label: Label::new(&row.label), sources: Vec::new(), record: record(&row.health) };
    Some((row.id, restored))
}

fn record(health: &Health) -> Record {
    Record {
        state: match health.state {
            NodeState::New => State::New,
            NodeState::Healthy => State::Healthy,
            NodeState::Suspect => State::Suspect,
            NodeState::Dead => State::Dead,
        },
        failures: health.failures,
        first_seen: health.first_seen,
        last_ok: health.last_ok,
        last_checked: health.last_checked,
        latency: health.latency,
        exit_ip: health.exit_ip,
        country: health.country,
        // The store does not keep the moment of death; the last check is the latest it can have been.
        dead_since: if health.state == NodeState::Dead { health.last_checked } else { None },
        quarantine: health
            .quarantine
            .as_ref()
            .map(|(code, since)| Quarantine { code: known_code(code), since: *since }),
        ..Record::default()
    }
}

/// The code as this build knows it; one of another build stays a reason, under the general name.
fn known_code(code: &str) -> &'static str {
    hezar_probe::TAMPERING.iter().find(|known| known.code == code).map_or("tampered-body", |known| known.code)
}

fn health(record: &Record) -> Health {
    Health {
        state: match record.state {
            State::New => NodeState::New,
            State::Healthy => NodeState::Healthy,
            State::Suspect => NodeState::Suspect,
            State::Dead => NodeState::Dead,
        },
        failures: record.failures,
        last_ok: record.last_ok,
        last_checked: record.last_checked,
        first_seen: record.first_seen,
        latency: record.latency,
        exit_ip: record.exit_ip,
        country: record.country,
        last_error: record.failure.map(|failure| failure.code.into()),
        unsupported: record.unsupported.map(Into::into),
        quarantine: record.quarantine.map(|caught| (caught.code.into(), caught.since)),
    }
}

/// The change that writes a node whole.
pub(crate) fn put(node: &Node<Payload>) -> Change {
    Change::PutNode(row(node))
}

fn row(node: &Node<Payload>) -> NodeRow {
    NodeRow {
        id: node.id(),
        uri: to_link(node.spec(), &Label::default()).into(),
        label: node.label().as_str().into(),
        health: health(&node.record()),
    }
}

/// Hands every change of the pool to the writer until `stop`, and then what is left.
///
/// # Errors
/// The writer has ended before.
pub(crate) async fn watch(
    pool: Arc<Nodes>,
    watch: Watch,
    writer: Writer,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = watch.changed() => {}
        }
        if !hand_over(&pool, &watch, &writer).await {
            bail!("the store's writer has ended: changes cannot be kept");
        }
        // Measurements come in by the thousand a second: a pause lets them gather.
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = sleep(EVERY) => {}
        }
    }
    if hand_over(&pool, &watch, &writer).await {
        Ok(())
    } else {
        bail!("the store's writer ended before the last changes")
    }
}

/// Hands over everything that waits; false when the writer has ended.
pub(crate) async fn hand_over(pool: &Nodes, watch: &Watch, writer: &Writer) -> bool {
    loop {
        let touched = watch.take(BATCH);
        if touched.is_empty() {
            return true;
        }
        let changes = touched.into_iter().filter_map(|touched| change(pool, touched)).collect();
        if writer.put(changes).await.is_err() {
            return false;
        }
    }
}

fn change(pool: &Nodes, touched: Touched) -> Option<Change> {
    let Some(node) = pool.node(touched.id) else { return Some(Change::RemoveNode(touched.id)) };
    match touched.kind {
        Touch::Record | Touch::State => Some(Change::PutHealth(touched.id, health(&node.record()))),
        // A node that was removed and added again in between must come back whole.
        Touch::Listing | Touch::Added | Touch::Removed => Some(put(&node)),
    }
}
