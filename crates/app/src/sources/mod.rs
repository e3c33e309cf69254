//! The sources of the configuration: each is read when it is due or when somebody asks, and what left the configuration is
//! dropped.

pub(crate) mod pool_dialer;
mod quality;
mod reader;
mod refresh;
pub(crate) mod status;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, sync::Arc};

use anyhow::anyhow;
use hezar_core::{CodeDoc, NodeId, Timestamp};
use hezar_engine::{AddressPolicy, Clock, Dialer};
use hezar_fetch::{FetchMetrics, FetchOutcome, Fetcher, Via};
use hezar_pool::PoolChange;
use hezar_store::{SourceRow, Writer};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use crate::{
    base::Base,
    config::{MANUAL_SOURCES, SourceConfig},
    convert,
    nodes::Nodes,
    store_sync::nodes::NodeSync,
};
use pool_dialer::{FetchRoutes, PoolDialer};
use reader::Reader;
use refresh::Demand;
pub(crate) use refresh::FetchNowError;
use status::SourceTable;

/// Sources fetched at a time.
const AT_A_TIME: usize = 4;
/// Demands to read sources at once that wait at most.
const MOST_DEMANDS: usize = 16;

/// The codes of what can be wrong with documents that arrived whole.
pub const SOURCE_CODES: &[CodeDoc] = &[
    CodeDoc::new(
        NO_NODES,
        "The source answered, and nothing in the answer is a node: a web page, an empty list or garbage. The nodes it listed before stay.",
    ),
    CodeDoc::new(
        PANICKED,
        "Reading the source failed by a fault of this program, which its log names; it is tried again. This is a bug.",
    ),
];
const NO_NODES: &str = "source-no-nodes";
const PANICKED: &str = "source-internal";

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

/// Reads the sources. One task works in [`Collector::run`]; others may ask it, or look at the table.
pub(crate) struct Collector {
    readers: Vec<Reader>,
    table: SourceTable,
    pool: Arc<Nodes>,
    clock: Clock,
    demands: mpsc::Sender<Demand>,
    /// Held by the one task that works.
    demanded: Mutex<mpsc::Receiver<Demand>>,
}

impl Collector {
    /// Takes the sources of the configuration; those that left it list nothing any more.
    pub(crate) async fn new(base: &mut Base, node_sync: &Arc<NodeSync>, writer: &Writer) -> anyhow::Result<Self> {
        let metrics = FetchMetrics::default();
        metrics.register(&mut base.registry);
        let fetcher = Arc::new(Fetcher::new(convert::fetch(&base.config), base.native.tls().clone(), metrics));
        let table = SourceTable::new(base.sources.clone(), writer.clone()).syncing_nodes(Arc::clone(node_sync));
        let table = table.with_unreadable(std::mem::take(&mut base.loaded.unreadable));
        let via: Arc<dyn Dialer> =
            Arc::new(PoolDialer { pool: Arc::clone(&base.pool), engine: Arc::clone(&base.engine), clock: base.clock });
        let direct = |source: &SourceConfig| base.engine.direct(AddressPolicy::allowing_private(source.allow_private));
        let reader = |source: &SourceConfig| Reader {
            routes: match source.via {
                Via::Pool => FetchRoutes::only(Arc::clone(&via)),
                // A node is a stranger: over it goes only what TLS protects.
                Via::Auto if source.origin.is_protected(&base.config.fetch) => {
                    FetchRoutes::either(direct(source), Arc::clone(&via))
                }
                Via::Direct | Via::Auto => FetchRoutes::only(direct(source)),
            },
            source: Arc::new(source.clone()),
            fetcher: Arc::clone(&fetcher),
            pool: Arc::clone(&base.pool),
            clock: base.clock,
            table: table.clone(),
        };
        let readers: Vec<Reader> = base.config.sources.iter().filter(|source| source.enabled).map(reader).collect();
        let now = base.clock.now();
        readers.iter().for_each(|reader| reader.adopt(now));
        let collector = Self::with(readers, table, Arc::clone(&base.pool), base.clock);
        collector.drop_strangers(now).await?;
        Ok(collector)
    }

    fn with(readers: Vec<Reader>, table: SourceTable, pool: Arc<Nodes>, clock: Clock) -> Self {
        let (demands, demanded) = mpsc::channel(MOST_DEMANDS);
        Self { readers, table, pool, clock, demands, demanded: Mutex::new(demanded) }
    }

    pub(crate) fn table(&self) -> SourceTable {
        self.table.clone()
    }

    /// Sources that were taken out of the configuration: nothing of them stays in use.
    async fn drop_strangers(&self, now: Timestamp) -> anyhow::Result<()> {
        let known: HashSet<&str> =
            self.readers.iter().map(|reader| reader.source.name.as_str()).chain(MANUAL_SOURCES).collect();
        for name in self.table.names() {
            if !known.contains(&*name) {
                tracing::info!(source = %name, "source left the configuration");
                self.pool.apply(PoolChange::Remove(only_from(&self.pool, &name)), now);
                self.pool.apply(PoolChange::DropSource(Arc::clone(&name)), now);
                self.table.forget(&name).await.map_err(|_| anyhow!("the store's writer has ended"))?;
            }
        }
        Ok(())
    }

    /// The first of these names that no source has.
    fn unknown<'n>(&self, names: &'n [String]) -> Option<&'n String> {
        names.iter().find(|name| !self.readers.iter().any(|reader| reader.source.name == **name))
    }

    /// The readers of these sources; of all when none is named.
    fn named(&self, names: &[String]) -> impl DoubleEndedIterator<Item = &Reader> {
        self.readers.iter().filter(move |reader| names.is_empty() || names.contains(&reader.source.name))
    }

    /// Reads the named sources (all of them when none is named) once; `each` is told of every end.
    pub(crate) async fn once(&self, names: &[String], mut each: impl FnMut(&Reading)) -> anyhow::Result<Vec<Reading>> {
        if let Some(unknown) = self.unknown(names) {
            return Err(anyhow!("the configuration has no source named {unknown:?}, or it is switched off"));
        }
        let mut waiting: Vec<Reader> = self.named(names).rev().cloned().collect();
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
            each(&reading);
            readings.push(reading);
        }
        Ok(readings)
    }
}

/// The nodes that this source alone lists, or was the last to list.
fn only_from(pool: &Nodes, name: &str) -> Vec<NodeId> {
    let snapshot = pool.snapshot();
    let only = snapshot.nodes().filter(|node| match node.sources().as_slice() {
        [] => node.kept_from().is_some_and(|kept| &*kept.source == name),
        [listing] => &*listing.source == name,
        _ => false,
    });
    only.map(|node| node.id()).collect()
}
