//! The sources of the configuration: each is read when it is due or when somebody asks, and what leaves the configuration is
//! dropped.

mod elsewhere;
mod factory;
mod failure;
mod feed_reading;
pub(crate) mod pool_dialer;
mod preview;
mod provided;
mod quality;
mod reader;
mod refresh;
pub(crate) mod status;
#[cfg(test)]
mod tests;
mod turns;
mod upstream;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::anyhow;
use hezar_core::{CodeDoc, Role};
use hezar_fetch::{FetchMetrics, FetchOutcome};
use hezar_store::{SourceRow, Writer};
use parking_lot::RwLock;
use tokio::{
    sync::{Mutex, mpsc, watch},
    task::{JoinSet, spawn_blocking},
};
use tokio_util::sync::CancellationToken;

use crate::{
    base::Base,
    cluster::Membership,
    config::{Config, MANUAL_SOURCES, SourceConfig},
    feed_name,
    store_sync::nodes::NodeSync,
};
use factory::{ReaderFactory, is_upstream};
pub(crate) use provided::{Provided, ProvidedLists};
use reader::Reader;
pub(crate) use refresh::FetchNowError;
use refresh::Order;
use status::SourceTable;
use turns::Turns;
pub(crate) use upstream::Upstreams;

/// Sources fetched at a time.
const AT_A_TIME: usize = 4;
/// Demands and changes that wait at most.
const MOST_ORDERS: usize = 16;

/// The codes of what can be wrong with documents that arrived whole.
pub(crate) const SOURCE_CODES: &[CodeDoc] = &[
    CodeDoc::new(
        NO_NODES,
        "The source answered, and nothing in the answer is a node: a web page, an empty list or garbage. The nodes it listed before stay.",
    ),
    CodeDoc::new(
        TOR_NOT_READY,
        "The Tor client of the source cannot build circuits yet: it is starting, or does not reach the Tor network. The text says how far it is.",
    ),
    CodeDoc::new(
        TOR_FAILED,
        "The Tor client of the source cannot be started, cannot be asked, or has ended. It is tried again after a pause.",
    ),
    CodeDoc::new(
        LOOP,
        "The other Hezar is this one, or all that it tells came from this one: instances that take from each other give each other no nodes. Nodes of other sources count as before.",
    ),
    CodeDoc::new(
        PANICKED,
        "Reading the source failed by a fault of this program, which its log names; it is tried again. This is a bug.",
    ),
];
const NO_NODES: &str = "source-no-nodes";
const LOOP: &str = "source-loop";
const PANICKED: &str = "source-internal";
/// The code while a Tor client starts.
pub(crate) const TOR_NOT_READY: &str = "tor-not-ready";
/// The code when a Tor client does not run.
pub(crate) const TOR_FAILED: &str = "tor-failed";

/// What one reading of a source gave.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// Its row as it is noted on the table.
    pub(crate) row: SourceRow,
    /// Nodes that the pool did not know.
    pub(crate) added: usize,
    /// Nodes that were left out because of the bounds in `[pool]`.
    pub(crate) left_out: usize,
    /// Whether nothing had changed since the last time.
    pub(crate) unchanged: bool,
    ended: FetchOutcome,
}

/// Reads the sources. One task works in [`Collector::run`]; others may ask it, change the sources, or look at the table.
pub(crate) struct Collector {
    readers: RwLock<Arc<[Reader]>>,
    factory: ReaderFactory,
    orders: mpsc::Sender<Order>,
    /// Whether this process reads sources; otherwise others do, and this one neither lists nor drops anything.
    reads: bool,
    /// Whose turn it is to read a source; `None` where no other instance reads any.
    turns: Option<Turns>,
    /// How many sources are being read.
    in_progress: AtomicUsize,
    /// Held by the one task that works.
    ordered: Mutex<mpsc::Receiver<Order>>,
    /// Held while the sources are changed.
    changing: Mutex<()>,
    /// Grows when other sources are read.
    changes: watch::Sender<u64>,
}

impl Collector {
    /// Takes the sources of the configuration; those that left it list nothing any more.
    pub(crate) async fn new(base: &mut Base, node_sync: &Arc<NodeSync>, writer: &Writer) -> anyhow::Result<Self> {
        let metrics = FetchMetrics::default();
        metrics.register(&mut base.registry);
        let table = SourceTable::new(base.sources.clone(), writer.clone()).syncing_nodes(Arc::clone(node_sync));
        let table = table.with_unreadable(std::mem::take(&mut base.loaded.unreadable));
        let position = base.follow.as_ref().and_then(|start| start.position.as_ref());
        let factory = ReaderFactory {
            pool: Arc::clone(&base.pool),
            engine: Arc::clone(&base.engine),
            tls: base.native.tls().clone(),
            clock: base.clock,
            metrics,
            table,
            provided: ProvidedLists::default(),
            upstreams: Upstreams::new(feed_name::of_instance(position, &base.config.data)),
        };
        let readers = factory.readers(&base.config, &[], true);
        if !base.config.cluster.roles.has(Role::Fetch) {
            return Ok(Self { reads: false, ..Self::with(readers, factory) });
        }
        let now = base.clock.now();
        for name in factory.table.names() {
            let reader = readers.iter().find(|reader| *reader.source.name == *name);
            let by_hand = MANUAL_SOURCES.contains(&&*name);
            if reader.map_or(!by_hand, Reader::moved) {
                tracing::info!(source = %name, "source left the configuration, or is another one under the same name");
                factory.drop_source(&name, now).await?;
            }
        }
        readers.iter().for_each(|reader| reader.adopt(now));
        Ok(Self::with(readers, factory))
    }

    fn with(readers: Vec<Reader>, factory: ReaderFactory) -> Self {
        let (orders, ordered) = mpsc::channel(MOST_ORDERS);
        let (readers, ordered) = (RwLock::new(readers.into()), Mutex::new(ordered));
        Self {
            readers,
            factory,
            orders,
            reads: true,
            turns: None,
            in_progress: AtomicUsize::new(0),
            ordered,
            changing: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    /// The same collector, which takes turns with the other instances of a shared store.
    pub(crate) fn sharing(self, membership: &Membership) -> Self {
        let turns = membership.shared().map(|shared| Turns {
            shared: Arc::clone(shared),
            holder: Arc::clone(membership.name()),
            draining: membership.draining(),
            requested: membership.requested(),
        });
        Self { turns, ..self }
    }

    /// Takes another configuration over. Sources that it leaves as they are keep their schedule, their nodes and what is being read.
    /// What a source that is gone, switched off or moved to another place alone has listed is not used any more.
    ///
    /// # Errors
    /// The task that reads, or the one that writes to the store, has ended.
    pub(crate) async fn apply(&self, config: &Config, fetch_changed: bool) -> anyhow::Result<()> {
        let _alone = self.changing.lock().await;
        let (old, now) = (self.readers(), self.factory.clock.now());
        let new = self.factory.readers(config, &old, fetch_changed);
        let is_in = |readers: &[Reader], reader: &Reader| readers.iter().any(|other| other.is(reader));
        let retired: Vec<Reader> = old.iter().filter(|reader| !is_in(&new, reader)).cloned().collect();
        let began: Vec<Reader> = new.iter().filter(|reader| !is_in(&old, reader)).cloned().collect();
        let places: HashMap<String, Arc<SourceConfig>> =
            new.iter().map(|reader| (reader.source.name.clone(), Arc::clone(&reader.source))).collect();
        self.factory.provided.keep(|name| places.contains_key(name));
        self.factory.upstreams.keep(|name| places.get(name).is_some_and(|source| is_upstream(source)));
        *self.readers.write() = new.into();
        self.changes.send_modify(|number| *number += 1);
        if !self.reads {
            return Ok(());
        }
        for reader in retired {
            let name: Arc<str> = reader.source.name.as_str().into();
            let stays = places.get(&*name).is_some_and(|source| source.origin.is_same_place(&reader.source.origin));
            // Whoever merges a list now ends first; nothing is merged afterwards.
            spawn_blocking(move || reader.retire()).await?;
            if !stays {
                self.factory.drop_source(&name, now).await?;
            }
        }
        began.iter().for_each(|reader| reader.adopt(now));
        self.orders.send(Order::SourcesChanged).await.map_err(|_| anyhow!("the sources are not read any more"))
    }

    /// Provides what a source lists from now on, and lets it be read.
    ///
    /// # Errors
    /// It is not read now: there is no such source any more, or the readers are busy. What is provided is kept for the next reading.
    pub(crate) fn provide(&self, name: &str, provided: Provided) -> Result<(), FetchNowError> {
        if !self.readers().iter().any(|reader| reader.source.name == name) {
            return Err(FetchNowError::Unknown(name.to_owned()));
        }
        self.factory.provided.set(name, provided);
        self.fetch_now(&[name.to_owned()]).map(drop)
    }

    /// Follows the feeds of other instances until the stop.
    pub(crate) async fn follow_feeds(self: &Arc<Self>, stop: &CancellationToken) {
        if self.reads {
            upstream::follow_all(self, stop).await;
        } else {
            stop.cancelled().await;
        }
    }

    /// Whether this instance is drained: then it reads only what somebody asks it to.
    fn is_drained(&self) -> bool {
        self.turns.as_ref().is_some_and(|turns| *turns.draining.borrow())
    }

    /// The sources that are other instances, with what is known of their nodes.
    pub(crate) fn upstreams(&self) -> Upstreams {
        self.factory.upstreams.clone()
    }

    /// Tells when other sources are read.
    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(crate) fn table(&self) -> SourceTable {
        self.factory.table.clone()
    }

    fn readers(&self) -> Arc<[Reader]> {
        Arc::clone(&self.readers.read())
    }

    /// How many sources are being read now.
    pub(crate) fn reading(&self) -> usize {
        self.in_progress.load(Ordering::Relaxed)
    }

    /// The names of the sources that are read.
    pub(crate) fn names(&self) -> Vec<String> {
        self.readers().iter().map(|reader| reader.source.name.clone()).collect()
    }

    /// The readers of these sources; of all when none is named.
    ///
    /// # Errors
    /// The first of the names that no source has.
    fn named(&self, names: &[String]) -> Result<Vec<Reader>, String> {
        let readers = self.readers();
        if let Some(unknown) = names.iter().find(|name| !readers.iter().any(|reader| reader.source.name == **name)) {
            return Err(unknown.clone());
        }
        let wanted = |reader: &&Reader| names.is_empty() || names.contains(&reader.source.name);
        Ok(readers.iter().filter(wanted).cloned().collect())
    }

    /// Reads the named sources (all of them when none is named) once; `each` is told of every end.
    pub(crate) async fn once(&self, names: &[String], mut each: impl FnMut(&Reading)) -> anyhow::Result<Vec<Reading>> {
        let unknown = |name| anyhow!("the configuration has no source named {name:?}, or it is switched off");
        let mut waiting = self.named(names).map_err(unknown)?;
        waiting.reverse();
        let mut running = JoinSet::new();
        let mut readings = Vec::with_capacity(waiting.len());
        loop {
            while running.len() < AT_A_TIME
                && let Some(reader) = waiting.pop()
            {
                running.spawn(async move { reader.read().await });
            }
            let Some(ended) = running.join_next().await else { break };
            let reading = ended?;
            // The writer ends after this command has.
            let _ = self.factory.table.note(reading.row.clone()).await;
            each(&reading);
            readings.push(reading);
        }
        Ok(readings)
    }
}
