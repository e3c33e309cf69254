//! Sources into the pool: fetch when due, parse, merge, and note on the board what each source gave.

mod rounds;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc};

use anyhow::anyhow;
use futures_util::FutureExt;
use hezar_core::{CodeDoc, Label, NodeId, NodeSpec, Timestamp};
use hezar_engine::{Clock, Dialer};
use hezar_fetch::{Document, Ended, Fetched, Fetcher, Metrics, Validators, Via};
use hezar_formats::RejectCode;
use hezar_pool::{Change as PoolChange, LeftOut};
use hezar_store::{SourceError, SourceRow};
use tokio::{
    sync::{Mutex, mpsc},
    task::{JoinSet, spawn_blocking},
};

use crate::{
    board::Board,
    by_hand,
    config::SourceConfig,
    instance::{Base, Disk, Nodes},
    spec,
    via::{FetchRoutes, PoolDialer},
    yields,
};
use rounds::Demand;
pub(crate) use rounds::FetchNowError;

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
    /// Its row as it is noted on the board.
    pub(crate) row: SourceRow,
    /// Nodes that the pool did not know.
    pub(crate) added: usize,
    /// Nodes that were left out because of the bounds in `[pool]`.
    pub(crate) left_out: usize,
    /// Whether nothing had changed since the last time.
    pub(crate) unchanged: bool,
    ended: Ended,
}

/// What is in the documents of one fetch.
#[derive(Default)]
struct Content {
    nodes: Vec<(NodeSpec, Label)>,
    ids: Vec<NodeId>,
    rejects: usize,
    first_reject: Option<RejectCode>,
    /// Nodes that were not even kept for the pool to decide about.
    beyond: usize,
}

/// What one fetch brought.
enum Brought {
    /// Everything is as it was.
    Unchanged,
    /// Nodes.
    Content {
        content: Content,
        /// Whether they are all that the source lists.
        complete: bool,
        validators: Box<str>,
        subscription: Option<Box<str>>,
    },
}

/// Why a fetch brought nothing useful.
struct Failure {
    code: &'static str,
    text: String,
    ended: Ended,
}

impl Failure {
    const fn new(code: &'static str, text: String) -> Self {
        Self { code, text, ended: Ended::Failed }
    }
}

/// One source with what reading it needs. Cheap to clone.
#[derive(Clone)]
struct Reader {
    source: Arc<SourceConfig>,
    routes: FetchRoutes,
    fetcher: Arc<Fetcher>,
    pool: Arc<Nodes>,
    clock: Clock,
    board: Board,
}

/// Reads the sources. One task works in [`Collector::run`]; others may ask it, or look at the board.
pub(crate) struct Collector {
    readers: Vec<Reader>,
    board: Board,
    pool: Arc<Nodes>,
    clock: Clock,
    demands: mpsc::Sender<Demand>,
    /// Held by the one task that works.
    demanded: Mutex<mpsc::Receiver<Demand>>,
}

impl Collector {
    /// Takes the sources of the configuration; those that left it list nothing any more.
    pub(crate) async fn new(base: &mut Base, disk: &Disk) -> anyhow::Result<Self> {
        let metrics = Metrics::default();
        metrics.register(&mut base.registry);
        let fetcher = Arc::new(Fetcher::new(spec::fetch(&base.config), base.outbounds.tls().clone(), metrics));
        let board = Board::new(base.sources.clone(), disk.writer.clone()).handing_over(Arc::clone(&disk.handover));
        let board = board.with_unreadable(std::mem::take(&mut base.loaded.unreadable));
        let via: Arc<dyn Dialer> =
            Arc::new(PoolDialer { pool: Arc::clone(&base.pool), outbounds: base.outbounds.clone(), clock: base.clock });
        let reader = |source: &SourceConfig| Reader {
            routes: match source.via {
                Via::Pool => FetchRoutes::only(Arc::clone(&via)),
                // A node is a stranger: over it goes only what TLS protects.
                Via::Auto if source.origin.is_protected(&base.config.fetch) => {
                    FetchRoutes::either(base.outbounds.direct(source.allow_private), Arc::clone(&via))
                }
                Via::Direct | Via::Auto => FetchRoutes::only(base.outbounds.direct(source.allow_private)),
            },
            source: Arc::new(source.clone()),
            fetcher: Arc::clone(&fetcher),
            pool: Arc::clone(&base.pool),
            clock: base.clock,
            board: board.clone(),
        };
        let readers: Vec<Reader> = base.config.sources.iter().filter(|source| source.enabled).map(reader).collect();
        let now = base.clock.now();
        readers.iter().for_each(|reader| reader.adopt(now));
        let collector = Self::with(readers, board, Arc::clone(&base.pool), base.clock);
        collector.drop_strangers(now).await?;
        Ok(collector)
    }

    fn with(readers: Vec<Reader>, board: Board, pool: Arc<Nodes>, clock: Clock) -> Self {
        let (demands, demanded) = mpsc::channel(MOST_DEMANDS);
        Self { readers, board, pool, clock, demands, demanded: Mutex::new(demanded) }
    }

    pub(crate) fn board(&self) -> Board {
        self.board.clone()
    }

    /// Sources that were taken out of the configuration: nothing of them stays in use.
    async fn drop_strangers(&self, now: Timestamp) -> anyhow::Result<()> {
        let known: HashSet<&str> =
            self.readers.iter().map(|reader| reader.source.name.as_str()).chain(by_hand::NAMES).collect();
        for name in self.board.names() {
            if !known.contains(&*name) {
                tracing::info!(source = %name, "source left the configuration");
                self.pool.apply(PoolChange::Remove(only_from(&self.pool, &name)), now);
                self.pool.apply(PoolChange::DropSource(Arc::clone(&name)), now);
                self.board.forget(&name).await.map_err(|_| anyhow!("the store's writer has ended"))?;
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

impl Reader {
    fn row(&self) -> SourceRow {
        let kind = self.source.origin.kind();
        let mut row =
            self.board.row(&self.source.name).unwrap_or_else(|| SourceRow::new(self.source.name.as_str(), kind));
        let origin = spec::source(&self.source).origin();
        if row.origin.as_ref().is_some_and(|known| *known != origin) {
            // Another URL, file, repository or channel under the old name: nothing that was learned is about it.
            row = SourceRow::new(self.source.name.as_str(), kind);
        }
        row.kind = kind.into();
        row.origin = Some(origin);
        row.allow_private = self.source.allow_private;
        row
    }

    /// The row at the start, and when the source is due.
    fn scheduled(&self, now: Timestamp) -> (SourceRow, Timestamp) {
        let row = self.row();
        // The interval may have become shorter since, and a stored time may come from a clock that was ahead.
        let longest =
            if yields::barren(&row) { yields::RAREST.max(self.source.interval) } else { self.source.interval };
        let due = row.next_fetch.unwrap_or(now).min(now.after(longest));
        (row, due)
    }

    /// The configuration decides what the source's stored nodes may do, from the start.
    fn adopt(&self, now: Timestamp) {
        self.pool.apply(self.list(Vec::new(), false), now);
    }

    fn list(&self, nodes: Vec<(NodeSpec, Label)>, complete: bool) -> PoolChange {
        let source = Arc::from(self.source.name.as_str());
        PoolChange::List { source, allow_private: self.source.allow_private, nodes, complete }
    }

    /// Fetches, parses and merges; whatever fails, a panic too, the source keeps its nodes and its row says why.
    async fn read(self) -> Reading {
        let reading = AssertUnwindSafe(self.fetch_and_merge()).catch_unwind().await;
        match reading {
            Ok(reading) => reading,
            Err(_) => {
                let mut row = self.row();
                row.last_fetch = Some(self.clock.now());
                let text = "reading it failed by a fault of this program, which the log names";
                self.failed(row, PANICKED, text, Ended::Failed).await
            }
        }
    }

    async fn fetch_and_merge(&self) -> Reading {
        let mut row = self.row();
        let validators = row.validators.as_deref().map(Validators::from_text).unwrap_or_default();
        let now = self.clock.now();
        row.last_fetch = Some(now);
        match self.bring_somehow(&validators, now).await {
            Ok(Brought::Unchanged) => {
                (row.last_ok, row.error) = (Some(now), None);
                let _ = self.board.note(row.clone()).await;
                Reading { row, added: 0, left_out: 0, unchanged: true, ended: Ended::Good }
            }
            Ok(Brought::Content { content, complete, validators, subscription }) => {
                row.validators = Some(validators);
                row.subscription = subscription;
                self.merge(row, content, complete, now).await
            }
            Err(failure) => self.failed(row, failure.code, &failure.text, failure.ended).await,
        }
    }

    /// Brings what the source holds over the first route that gives anything useful. When none does, the failure of the
    /// first one counts: it is the one that a person can do something about.
    async fn bring_somehow(&self, validators: &Validators, now: Timestamp) -> Result<Brought, Failure> {
        let mut first_failure = None;
        for (place, dialer) in self.routes.in_order().iter().enumerate() {
            match self.bring(&**dialer, validators, now).await {
                Ok(brought) => {
                    self.routes.worked(place);
                    return Ok(brought);
                }
                // A server that asks us to come back later is not asked again by another way.
                Err(failure) if matches!(failure.ended, Ended::Limited { .. }) => return Err(failure),
                Err(failure) => {
                    tracing::debug!(source = %self.source.name, place, code = failure.code, "fetch route failed");
                    first_failure.get_or_insert(failure);
                }
            }
        }
        Err(first_failure.unwrap_or_else(|| Failure::new(NO_NODES, "there is no way to fetch it".to_owned())))
    }

    async fn bring(&self, via: &dyn Dialer, validators: &Validators, now: Timestamp) -> Result<Brought, Failure> {
        let spec = spec::source(&self.source);
        // Dates in URLs and the times that servers name are those of the wall clock.
        let wall = self.clock.wall();
        let found = match self.fetcher.fetch(&spec, via, validators, wall).await {
            Ok(Fetched::NotModified) => return Ok(Brought::Unchanged),
            Ok(Fetched::Documents(found)) => found,
            Err(error) => {
                let until = error.retry_at().map(|until| now.after(until.since(wall)));
                let ended = until.map_or(Ended::Failed, |until| Ended::Limited { until });
                return Err(Failure { ended, ..Failure::new(error.code(), error.to_string()) });
            }
        };
        let complete = found.is_complete();
        let validators = found.validators.to_text().into();
        let subscription = found.subscription.map(|info| info.to_text().into());
        let changed = !found.documents.is_empty();
        let is_page = found.documents.iter().any(|document| document.bytes.trim_ascii_start().starts_with(b"<"));
        let content = self.parse(found.documents).await;
        if content.ids.is_empty() && (changed || complete) {
            let first = content.first_reject.map_or("nothing in it", RejectCode::code);
            let hint = if is_page {
                "it is a web page; a panel may want user_agent = \"v2rayN/7\" or \"clash.meta\""
            } else {
                "is this a list?"
            };
            let text = format!("no node, {} refused ({first}): {hint}", content.rejects);
            return Err(Failure::new(NO_NODES, text));
        }
        Ok(Brought::Content { content, complete, validators, subscription })
    }

    async fn failed(&self, mut row: SourceRow, code: &str, text: &str, ended: Ended) -> Reading {
        tracing::warn!(source = %row.name, code, "source keeps its nodes: {text}");
        row.error = Some(SourceError { code: code.into(), text: text.into() });
        let _ = self.board.note(row.clone()).await;
        Reading { row, added: 0, left_out: 0, unchanged: false, ended }
    }

    async fn merge(&self, mut row: SourceRow, mut content: Content, complete: bool, now: Timestamp) -> Reading {
        (row.last_ok, row.error) = (Some(now), None);
        row.rejects = u32::try_from(content.rejects).unwrap_or(u32::MAX);
        // Merging a long list takes a core for a while: not on a thread that carries traffic.
        let (pool, change) = (Arc::clone(&self.pool), self.list(content.nodes, complete));
        let applied = unbroken(spawn_blocking(move || pool.apply(change, now)).await);
        self.pool.leave_out(&row.name, content.beyond);
        let LeftOut { source, server, pool } = applied.left_out;
        if applied.left_out.total() + content.beyond > 0 {
            tracing::warn!(
                source = %row.name, source_full = source + content.beyond, server_full = server, pool_full = pool,
                "nodes left out: the list is longer than [pool] allows"
            );
        }
        content.ids.retain(|id| self.pool.node(*id).is_some_and(|node| node.listed_by(&row.name)));
        row.nodes = u32::try_from(content.ids.len()).unwrap_or(u32::MAX);
        tracing::info!(
            source = %row.name, nodes = row.nodes, added = applied.added, refused = row.rejects, "source merged"
        );
        // The row comes after the nodes: its validators say that they need not be read again.
        let _ = self.board.note(row.clone()).await;
        let left_out = applied.left_out.total() + content.beyond;
        Reading { row, added: applied.added, left_out, unchanged: false, ended: Ended::Good }
    }

    /// Parsing takes a core for a while: not on a thread that carries traffic.
    async fn parse(&self, documents: Vec<Document>) -> Content {
        let (source, pool) = (Arc::clone(&self.source), Arc::clone(&self.pool));
        // Of what the pool would leave out anyway only so much is kept in memory; what it has stays, wherever it stands.
        let most = 2 * pool.rules().bounds.per_source;
        let parsed = spawn_blocking(move || {
            let mut content = Content::default();
            let mut seen = HashSet::new();
            for document in documents {
                let parsed = hezar_formats::parse_with(&document.bytes, &spec::hints(&source, &document.name));
                content.rejects += parsed.rejects.len();
                content.first_reject =
                    content.first_reject.or_else(|| parsed.rejects.first().map(|reject| reject.code));
                for entry in parsed.nodes {
                    let id = entry.spec.id();
                    let known = || pool.node(id).is_some_and(|node| node.listed_by(&source.name));
                    if content.nodes.len() >= most && !seen.contains(&id) && !known() {
                        content.beyond += 1;
                    } else if seen.insert(id) {
                        content.ids.push(id);
                        content.nodes.push((entry.spec, entry.label));
                    }
                }
            }
            content
        });
        unbroken(parsed.await)
    }
}

/// The result of a blocking task; its panic goes on here, to who reads the source. Such a task is aborted only when the runtime ends.
fn unbroken<T: Default>(ended: Result<T, tokio::task::JoinError>) -> T {
    ended.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(payload) => std::panic::resume_unwind(payload),
        Err(_) => T::default(),
    })
}
