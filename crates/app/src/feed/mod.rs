//! The feed for other instances: the nodes that work here, with what is known of them, as a whole and as changes.

mod journal;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use hezar_api::{FeedHeadDto, FeedNodeDto, FeedQuery};
use hezar_core::{NodeId, State, Timestamp};
use hezar_engine::Clock;
use hezar_pool::{Node, Watch};
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    feed_name::MOST_VIA,
    nodes::{Nodes, Payload},
    sources::Upstreams,
};
use journal::Journal;

/// How often changes are taken from the pool while somebody follows them.
const EVERY: Duration = Duration::from_millis(250);
/// After so long without a reader the changes are not collected any more.
const IDLE: Duration = Duration::from_secs(300);

/// What other instances follow.
pub(crate) struct NodeFeed {
    name: Arc<str>,
    pool: Arc<Nodes>,
    clock: Clock,
    upstreams: Upstreams,
    following: Mutex<Option<Following>>,
    /// Grows with every change.
    changes: watch::Sender<u64>,
}

/// What there is while somebody follows the changes.
struct Following {
    watch: Watch,
    journal: Journal,
    asked: Instant,
}

impl NodeFeed {
    /// The feed of an instance that has this name in feeds; `upstreams` knows over whose feeds nodes came.
    pub(crate) fn new(name: Arc<str>, pool: Arc<Nodes>, clock: Clock, upstreams: Upstreams) -> Self {
        Self { name, pool, clock, upstreams, following: Mutex::default(), changes: watch::Sender::new(0) }
    }

    /// Collects changes until the stop, while somebody follows them.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => self.collect(),
            }
        }
    }

    fn collect(&self) {
        let mut following = self.following.lock();
        let Some(current) = following.as_mut() else { return };
        if current.asked.elapsed() >= IDLE {
            *following = None;
        } else if current.take_changes() {
            self.changes.send_modify(|number| *number += 1);
        }
    }

    /// The nodes that work, or what has changed behind a cursor.
    pub(crate) fn answer(&self, query: &FeedQuery) -> (FeedHeadDto, Vec<FeedNodeDto>) {
        // The cursor is older than what is looked at: a change in between is told twice, and never not at all.
        let (cursor, changed) =
            self.ask(|journal| (journal.cursor(), query.after.as_deref().and_then(|after| journal.since(after))));
        let (reader, now) = (query.reader.as_deref(), self.clock.now());
        let mut from_reader = 0;
        let nodes = match &changed {
            Some(ids) => ids.iter().map(|id| self.line(*id, reader, now)).collect(),
            None => {
                let snapshot = self.pool.snapshot();
                let working = snapshot.routable().filter(|node| works(node));
                let lines = working.filter_map(|node| match self.route(node, reader) {
                    Route::Known(via) => Some(line(node, via, now)),
                    Route::FromReader => {
                        from_reader += 1;
                        None
                    }
                    Route::Unknown => None,
                });
                lines.collect()
            }
        };
        let whole = changed.is_none();
        (FeedHeadDto { instance: self.name.to_string(), cursor, whole, from_reader }, nodes)
    }

    /// Waits until something has changed behind a cursor, at most for `wait`; says whether it has.
    pub(crate) async fn changed(&self, after: Option<&str>, wait: Duration) -> bool {
        let mut changes = self.changes.subscribe();
        let is_behind = || self.ask(|journal| !after.is_some_and(|after| journal.is_current(after)));
        let waited = timeout(wait, async {
            while !is_behind() {
                // The sender lives as long as this feed.
                let _ = changes.changed().await;
            }
        });
        waited.await.is_ok() || is_behind()
    }

    /// Asks the journal, which begins with the first question.
    fn ask<T>(&self, question: impl FnOnce(&Journal) -> T) -> T {
        let mut following = self.following.lock();
        let current = following.get_or_insert_with(|| Following {
            watch: self.pool.watch_states(),
            journal: Journal::new(rand::random()),
            asked: Instant::now(),
        });
        current.asked = Instant::now();
        let is_news = current.take_changes();
        let answer = question(&current.journal);
        drop(following);
        if is_news {
            // Others may wait for what this question has found.
            self.changes.send_modify(|number| *number += 1);
        }
        answer
    }

    /// What is told of a node that has changed.
    fn line(&self, id: NodeId, reader: Option<&str>, now: Timestamp) -> FeedNodeDto {
        let told = self.pool.node(id).filter(|node| works(node)).and_then(|node| match self.route(&node, reader) {
            Route::Known(via) => Some(line(&node, via, now)),
            Route::FromReader | Route::Unknown => None,
        });
        told.unwrap_or_else(|| FeedNodeDto { id: id.to_string(), ..FeedNodeDto::default() })
    }

    /// Over whose feeds a node came here.
    fn route(&self, node: &Node<Payload>, reader: Option<&str>) -> Route {
        let listings = node.sources();
        let listings = if listings.is_empty() { node.kept_from().into_iter().collect() } else { listings };
        let mut from_reader = false;
        for listing in &listings {
            let Some(upstream) = self.upstreams.get(&listing.source) else { return Route::Known(Vec::new()) };
            let Some(via) = upstream.via(node.id()) else { continue };
            if via.iter().any(|name| Some(&**name) == reader) {
                from_reader = true;
            } else if via.len() < MOST_VIA {
                return Route::Known(via.iter().map(ToString::to_string).collect());
            }
        }
        if from_reader { Route::FromReader } else { Route::Unknown }
    }
}

impl Following {
    /// Takes what has changed into the journal; says whether that was anything.
    fn take_changes(&mut self) -> bool {
        let changed = self.watch.take(usize::MAX);
        let is_news = !changed.is_empty();
        self.journal.push(changed.into_iter().map(|changed| changed.id));
        is_news
    }
}

/// How a node came here.
enum Route {
    /// From a source of our own, or over these instances.
    Known(Vec<String>),
    /// Only over the instance that asks.
    FromReader,
    /// It is not known yet, as after a restart, or over too many.
    Unknown,
}

/// Whether this process itself has found out that a node works, and others can use it: the circuits of a Tor client on this machine are of
/// use here alone, and their names and passwords nobody else's business.
fn works(node: &Node<Payload>) -> bool {
    let is_own_circuit = node.on_loopback() && node.spec().reaches_onion_services();
    node.routable() && node.state() == State::Healthy && !is_own_circuit
}

fn line(node: &Node<Payload>, via: Vec<String>, now: Timestamp) -> FeedNodeDto {
    let record = node.record();
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    FeedNodeDto {
        id: node.id().to_string(),
        link: Some(hezar_formats::to_link(node.spec(), &node.label())),
        age_ms: record.last_ok.map(|at| milliseconds(now.since(at))),
        latency_ms: record.latency.map(milliseconds),
        exit_ip: record.exit_ip.map(|ip| ip.to_string()),
        country: record.country.map(|code| String::from_utf8_lossy(&code).into_owned()),
        via,
    }
}
