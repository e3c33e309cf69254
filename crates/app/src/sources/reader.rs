//! Reads one source: fetches it, parses what came, merges it into the pool, and says how that went.

use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use hezar_core::{Label, NodeId, NodeSpec, Secret, Timestamp};
use hezar_engine::{Clock, Dialer, TlsClients};
use hezar_fetch::{Document, FetchOutcome, Fetched, Fetcher, SourceKind, Validators};
use hezar_formats::RejectCode;
use hezar_pool::{Applied, LeftOut, PoolChange};
use hezar_store::{SourceError, SourceRow};
use parking_lot::RwLock;
use tokio::task::spawn_blocking;

use super::{
    NO_NODES, PANICKED, Provided, ProvidedLists, Reading, TOR_NOT_READY,
    failure::Failure,
    pool_dialer::FetchRoutes,
    provided::left_by,
    quality,
    status::SourceTable,
    upstream::{FeedContent, Upstream},
};
use crate::{
    config::{SourceConfig, SourceOrigin},
    convert,
    nodes::Nodes,
};

/// The pause before a list that is not provided yet is looked at again.
const PROVIDED_AGAIN: Duration = Duration::from_secs(60);

/// What is in the documents of one fetch.
#[derive(Default)]
struct Content {
    /// Each once.
    nodes: Vec<(NodeId, NodeSpec, Label)>,
    rejects: usize,
    first_reject: Option<RejectCode>,
    /// Nodes that were not even kept for the pool to decide about.
    beyond: usize,
    /// Whether one of the documents has no node and is a web page.
    has_page: bool,
}

/// What one fetch brought.
enum Brought {
    /// Everything is as it was.
    Unchanged,
    /// What another instance tells.
    Feed(Arc<Upstream>, FeedContent),
    /// Nodes.
    Content {
        content: Content,
        /// Whether they are all that the source lists.
        complete: bool,
        validators: Box<str>,
        subscription: Option<Box<str>>,
    },
}

/// One source with what reading it needs. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) source: Arc<SourceConfig>,
    pub(super) routes: FetchRoutes,
    pub(super) fetcher: Arc<Fetcher>,
    pub(super) pool: Arc<Nodes>,
    pub(super) clock: Clock,
    pub(super) table: SourceTable,
    /// Whether the source has been taken away or changed since. Whoever merges a list holds it.
    pub(super) retired: Arc<RwLock<bool>>,
    /// What is listed where nothing is fetched.
    pub(super) provided: ProvidedLists,
    pub(super) tls: TlsClients,
    /// What is known of the other instance that the source is; `None` for sources that are something else.
    pub(super) upstream: Option<Arc<Upstream>>,
}

impl Reader {
    fn row(&self) -> SourceRow {
        let kind = self.source.origin.kind();
        let mut row =
            self.table.row(&self.source.name).unwrap_or_else(|| SourceRow::new(self.source.name.as_str(), kind));
        let origin = convert::source(&self.source).origin();
        if row.origin.as_ref().is_some_and(|known| *known != origin) {
            // Another URL, file, repository or channel under the old name: nothing that was learned is about it.
            row = SourceRow::new(self.source.name.as_str(), kind);
        }
        row.kind = kind.into();
        row.origin = Some(origin);
        row.allow_private = self.source.allow_private;
        row
    }

    /// Whether this is the same reader, not only one of the same name.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source)
    }

    /// Whether the source is read from another place than what is known under its name.
    pub(super) fn moved(&self) -> bool {
        let origin = convert::source(&self.source).origin();
        self.table.row(&self.source.name).and_then(|row| row.origin).is_some_and(|known| known != origin)
    }

    /// Ends the merging: waits for a list that is being merged, and lets no further one in.
    pub(super) fn retire(&self) {
        *self.retired.write() = true;
    }

    pub(super) fn is_retired(&self) -> bool {
        *self.retired.read()
    }

    /// The row at the start, and when the source is due.
    pub(super) fn scheduled(&self, now: Timestamp) -> (SourceRow, Timestamp) {
        let row = self.row();
        // The interval may have become shorter since, and a stored time may come from a clock that was ahead.
        let longest = if quality::is_unproductive(&row) {
            quality::LONGEST_BACKOFF.max(self.source.interval)
        } else {
            self.source.interval
        };
        let due = row.next_fetch.unwrap_or(now).min(now.after(longest));
        (row, due)
    }

    /// The configuration decides what the source's stored nodes may do, from the start.
    pub(super) fn adopt(&self, now: Timestamp) {
        self.table.configure(&self.source.name, self.source.allow_private);
        self.pool.list(&Arc::from(self.source.name.as_str()), self.source.allow_private, Vec::new(), false, now);
    }

    /// Fetches, parses and merges; whatever fails, a panic too, the source keeps its nodes and its row says why.
    pub(super) async fn read(self) -> Reading {
        let reading = AssertUnwindSafe(self.fetch_and_merge()).catch_unwind().await;
        match reading {
            Ok(reading) => reading,
            Err(_) => {
                let mut row = self.row();
                row.last_fetch = Some(self.clock.now());
                let text = "reading it failed by a fault of this program, which the log names";
                self.failed(row, PANICKED, text, FetchOutcome::Failed)
            }
        }
    }

    async fn fetch_and_merge(&self) -> Reading {
        let mut row = self.row();
        let forgotten = self.table.times_forgotten();
        let validators = row.validators.as_deref().map(Validators::from_text).unwrap_or_default();
        let now = self.clock.now();
        row.last_fetch = Some(now);
        match self.bring_somehow(&validators, now).await {
            Ok(Brought::Unchanged) => {
                (row.last_ok, row.error) = (Some(now), None);
                Reading { row, added: 0, left_out: 0, unchanged: true, ended: FetchOutcome::Succeeded }
            }
            Ok(Brought::Feed(upstream, content)) => self.merge_feed(row, upstream, content, now).await,
            Ok(Brought::Content { content, complete, validators, subscription }) => {
                row.validators = (forgotten == self.table.times_forgotten()).then_some(validators);
                row.subscription = subscription;
                self.merge(row, content, complete, now).await
            }
            Err(failure) => self.failed(row, failure.code, &failure.text, failure.ended),
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
                Err(failure) if matches!(failure.ended, FetchOutcome::RateLimited { .. }) => return Err(failure),
                Err(failure) => {
                    tracing::debug!(source = %self.source.name, place, code = failure.code, "fetch route failed");
                    first_failure.get_or_insert(failure);
                }
            }
        }
        Err(first_failure.unwrap_or_else(|| Failure::new(NO_NODES, "there is no way to fetch it".to_owned())))
    }

    async fn bring(&self, via: &dyn Dialer, validators: &Validators, now: Timestamp) -> Result<Brought, Failure> {
        let mut spec = convert::source(&self.source);
        if let (SourceOrigin::Hezar { url, .. }, Some(upstream)) = (&self.source.origin, &self.upstream) {
            let content = self.bring_feed(url, upstream, spec, via, now).await?;
            return Ok(Brought::Feed(Arc::clone(upstream), content));
        }
        if self.is_provided() {
            spec.kind = SourceKind::Inline(self.provided_links()?);
        }
        // Dates in URLs and the times that servers name are those of the wall clock.
        let wall = self.clock.wall();
        let found = match self.fetcher.fetch(&spec, via, validators, wall).await {
            Ok(Fetched::NotModified) => return Ok(Brought::Unchanged),
            Ok(Fetched::Documents(found)) => found,
            Err(error) => return Err(Failure::of_fetch(&error, now, wall)),
        };
        let complete = found.is_complete();
        let validators = found.validators.to_text().into();
        let subscription = found.subscription.map(|info| info.to_text().into());
        let changed = !found.documents.is_empty();
        let pages = found.documents.iter().any(is_page);
        let content = self.parse(found.documents).await;
        if content.nodes.is_empty() && (changed || complete) {
            let first = content.first_reject.map_or("nothing in it", RejectCode::code);
            let hint = if pages {
                "it is a web page; a panel may want user_agent = \"v2rayN/7\" or \"clash.meta\""
            } else {
                "is this a list?"
            };
            let text = format!("no node, {} refused ({first}): {hint}", content.rejects);
            return Err(Failure::new(NO_NODES, text));
        }
        // A file that has become an error page says nothing about the nodes that were in it.
        let complete = complete && !content.has_page;
        Ok(Brought::Content { content, complete, validators, subscription })
    }

    /// Whether a part of this program makes the list.
    fn is_provided(&self) -> bool {
        matches!(self.source.origin, SourceOrigin::Tor(_))
    }

    fn provided_links(&self) -> Result<Vec<Secret>, Failure> {
        match self.provided.get(&self.source.name) {
            Some(Provided::Links(links)) => Ok(links),
            Some(Provided::Nothing { code, text }) => Err(self.not_provided(code, text)),
            None => {
                let text = "its Tor client, which runs with `hezar run`, has not begun yet";
                Err(self.not_provided(TOR_NOT_READY, text.to_owned()))
            }
        }
    }

    /// Whoever makes the list tries again by itself and tells at once when there is one: that it is not there yet is no reason for
    /// growing pauses.
    fn not_provided(&self, code: &'static str, text: String) -> Failure {
        let until = self.clock.now().after(PROVIDED_AGAIN);
        Failure { ended: FetchOutcome::RateLimited { until }, ..Failure::new(code, text) }
    }

    pub(super) fn failed(&self, mut row: SourceRow, code: &str, text: &str, ended: FetchOutcome) -> Reading {
        let nodes = if row.last_ok.is_some() { "; its nodes stay as they were" } else { "" };
        if code == TOR_NOT_READY {
            tracing::info!(source = %row.name, code, "source is not ready{nodes}: {text}");
        } else {
            tracing::warn!(source = %row.name, code, "source cannot be read{nodes}: {text}");
        }
        row.error = Some(SourceError { code: code.into(), text: text.into() });
        Reading { row, added: 0, left_out: 0, unchanged: false, ended }
    }

    async fn merge(&self, mut row: SourceRow, content: Content, complete: bool, now: Timestamp) -> Reading {
        (row.last_ok, row.error) = (Some(now), None);
        row.rejects = u32::try_from(content.rejects).unwrap_or(u32::MAX);
        // Merging a long list takes a core for a while: not on a thread that carries traffic.
        let (pool, name, nodes) = (Arc::clone(&self.pool), Arc::clone(&row.name), content.nodes);
        let (retired, allow_private) = (Arc::clone(&self.retired), self.source.allow_private);
        let is_provided = self.is_provided();
        let merged = spawn_blocking(move || {
            let ids: Vec<NodeId> = nodes.iter().map(|(id, ..)| *id).collect();
            let retired = retired.read();
            let applied =
                if *retired { Applied::default() } else { pool.list(&name, allow_private, nodes, complete, now) };
            if is_provided && applied.unlisted > 0 {
                // Whoever makes the list knows that what it does not name is gone.
                pool.apply(PoolChange::Remove(left_by(&pool, &name)), now);
            }
            let is_listed = |id: &&NodeId| pool.node(**id).is_some_and(|node| node.listed_by(&name));
            (applied, ids.iter().filter(is_listed).count())
        });
        let (applied, listed) = unbroken(merged.await);
        self.pool.leave_out(&row.name, content.beyond);
        let LeftOut { source, server, pool } = applied.left_out;
        if applied.left_out.total() + content.beyond > 0 {
            tracing::warn!(
                source = %row.name, source_full = source + content.beyond, server_full = server, pool_full = pool,
                "nodes left out: the list is longer than [pool] allows"
            );
        }
        row.nodes = u32::try_from(listed).unwrap_or(u32::MAX);
        tracing::info!(
            source = %row.name, nodes = row.nodes, added = applied.added, refused = row.rejects, "source merged"
        );
        let left_out = applied.left_out.total() + content.beyond;
        Reading { row, added: applied.added, left_out, unchanged: false, ended: FetchOutcome::Succeeded }
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
                let parsed = hezar_formats::parse_with(&document.bytes, &convert::hints(&source, &document.name));
                content.has_page |= parsed.nodes.is_empty() && is_page(&document);
                // The text may be as large as what was read of it.
                drop(document);
                content.rejects += parsed.rejects.len();
                content.first_reject =
                    content.first_reject.or_else(|| parsed.rejects.first().map(|reject| reject.code));
                for entry in parsed.nodes {
                    let id = entry.spec.id();
                    let known = || pool.node(id).is_some_and(|node| node.listed_by(&source.name));
                    if content.nodes.len() >= most && !seen.contains(&id) && !known() {
                        content.beyond += 1;
                    } else if seen.insert(id) {
                        content.nodes.push((id, entry.spec, entry.label));
                    }
                }
            }
            content
        });
        unbroken(parsed.await)
    }
}

/// Whether a document looks like a web page.
fn is_page(document: &Document) -> bool {
    document.bytes.trim_ascii_start().starts_with(b"<")
}

/// The result of a blocking task; its panic goes on here, to who reads the source. Such a task is aborted only when the runtime ends.
pub(super) fn unbroken<T: Default>(ended: Result<T, tokio::task::JoinError>) -> T {
    ended.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(payload) => std::panic::resume_unwind(payload),
        Err(_) => T::default(),
    })
}
