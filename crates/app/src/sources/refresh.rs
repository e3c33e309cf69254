//! The collector's work without end: sources are read when they are due, or at once when somebody asks.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use hezar_core::Timestamp;
use hezar_fetch::{FetchOutcome, Refresher};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, error::TrySendError, unbounded_channel},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    AT_A_TIME, Collector, Reading,
    quality::{self, QualityTracker},
    reader::Reader,
};

/// The longest sleep between two looks at what is due.
const NAP: Duration = Duration::from_secs(1);
/// How often the pool forgets what has been dead for long.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// Sources that somebody wants to be read now.
#[derive(Debug)]
pub(super) struct Demand {
    names: Vec<Arc<str>>,
    answers: UnboundedSender<Reading>,
}

/// What the task that reads the sources is told.
#[derive(Debug)]
pub(super) enum Order {
    /// To read sources now.
    Read(Demand),
    /// That the collector has other readers.
    SourcesChanged,
}

/// Why sources cannot be read at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FetchNowError {
    /// The configuration has no such source, or it is switched off.
    Unknown(String),
    /// As many demands wait as the queue holds.
    Busy,
    /// The collector has ended.
    Ended,
    /// Another process reads the sources.
    Elsewhere,
}

/// The schedule of one run; a run that follows a panic begins with what the table and the pool know.
struct Rounds<'a> {
    collector: &'a Collector,
    refresher: Refresher,
    quality: QualityTracker,
    /// The readers whose schedule this is.
    readers: Arc<[Reader]>,
    running: JoinSet<(Reader, Reading)>,
    reading: HashSet<Arc<str>>,
    /// Who waits for the end of which reading.
    wanted: HashMap<Arc<str>, Vec<UnboundedSender<Reading>>>,
}

impl Collector {
    /// Reads sources as they become due or are asked for, until `stop`; where others do that, it only waits.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        if !self.reads {
            return stop.cancelled().await;
        }
        let mut ordered = self.ordered.lock().await;
        let mut rounds = Rounds::new(self);
        let mut forgot = self.factory.clock.now();
        loop {
            let now = self.factory.clock.now();
            rounds.start(now);
            self.in_progress.store(rounds.running.len(), Relaxed);
            if now.since(forgot) >= FORGET_EVERY {
                rounds.quality.watch(&self.factory.pool, &self.factory.table, now.since(forgot));
                forgot = now;
                self.factory.pool.tick(now);
            }
            let nap = rounds.nap(now);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = rounds.running.join_next(), if !rounds.running.is_empty() => {
                    // Readings turn panics into failures themselves, and nobody aborts them before the end.
                    if let Ok((reader, reading)) = ended {
                        rounds.settle(&reader, reading).await;
                    }
                }
                Some(order) = ordered.recv() => match order {
                    Order::Read(demand) => rounds.accept(demand, now),
                    Order::SourcesChanged => rounds.follow(now),
                },
                () = tokio::time::sleep(nap) => {}
            }
        }
        rounds.running.shutdown().await;
        self.in_progress.store(0, Relaxed);
    }

    /// Asks the task in [`Collector::run`] to read these sources now (all of them when none is named). The readings come
    /// as they end; that of a source which is being read already counts.
    pub(crate) fn fetch_now(&self, names: &[String]) -> Result<(usize, UnboundedReceiver<Reading>), FetchNowError> {
        let readers = self.named(names).map_err(FetchNowError::Unknown)?;
        if !self.reads {
            return Err(FetchNowError::Elsewhere);
        }
        let names: Vec<Arc<str>> = readers.iter().map(|reader| reader.source.name.as_str().into()).collect();
        let (answers, receiver) = unbounded_channel();
        let asked = names.len();
        self.orders.try_send(Order::Read(Demand { names, answers })).map_err(|error| match error {
            TrySendError::Full(_) => FetchNowError::Busy,
            TrySendError::Closed(_) => FetchNowError::Ended,
        })?;
        Ok((asked, receiver))
    }
}

impl<'a> Rounds<'a> {
    fn new(collector: &'a Collector) -> Self {
        let mut rounds = Self {
            refresher: Refresher::new(),
            quality: QualityTracker::new(&collector.factory.pool),
            readers: Arc::default(),
            running: JoinSet::new(),
            reading: HashSet::new(),
            wanted: HashMap::new(),
            collector,
        };
        rounds.follow(collector.factory.clock.now());
        rounds
    }

    /// Takes the collector's readers over: those that are new are scheduled, those that are gone are forgotten, and the schedule
    /// of the others stays.
    fn follow(&mut self, now: Timestamp) {
        let (old, new) = (std::mem::take(&mut self.readers), self.collector.readers());
        for gone in old.iter().filter(|reader| !new.iter().any(|other| other.is(reader))) {
            self.refresher.remove(&gone.source.name);
            self.reading.remove(gone.source.name.as_str());
            if !new.iter().any(|other| other.source.name == gone.source.name) {
                self.wanted.remove(gone.source.name.as_str());
            }
        }
        for reader in new.iter().filter(|reader| !old.iter().any(|other| other.is(reader))) {
            let (row, due) = reader.scheduled(now);
            let due = if self.wanted.contains_key(&row.name) { now } else { due };
            self.refresher.set(Arc::clone(&row.name), reader.source.interval, due, row.failures);
        }
        self.readers = new;
    }

    /// Starts what is due.
    fn start(&mut self, now: Timestamp) {
        for name in self.refresher.take_due(now, AT_A_TIME.saturating_sub(self.running.len())) {
            let found = self.readers.iter().find(|reader| *reader.source.name == *name);
            let Some(reader) = found.cloned() else { continue };
            self.reading.insert(name);
            self.running.spawn(async move { (reader.clone(), reader.read().await) });
        }
    }

    fn nap(&self, now: Timestamp) -> Duration {
        if self.running.len() >= AT_A_TIME {
            return NAP;
        }
        self.refresher.next_due().map_or(NAP, |next| next.since(now)).clamp(Duration::from_millis(10), NAP)
    }

    fn accept(&mut self, demand: Demand, now: Timestamp) {
        for name in demand.names {
            if !self.reading.contains(&name) {
                self.refresher.trigger(&name, now);
            }
            self.wanted.entry(name).or_default().push(demand.answers.clone());
        }
    }

    /// Notes what a reading gave and when the source is due again, and tells who waits for it. Nobody else writes the row of a source
    /// that is read.
    async fn settle(&mut self, reader: &Reader, mut reading: Reading) {
        if reader.is_retired() {
            return;
        }
        let name = Arc::clone(&reading.row.name);
        let factory = &self.collector.factory;
        self.reading.remove(&name);
        let row = &mut reading.row;
        row.next_fetch = self.refresher.finish(&name, reading.ended, factory.clock.now(), rand::random());
        row.failures = self.refresher.failures(&name);
        if reading.ended == FetchOutcome::Succeeded {
            quality::note_productivity(row, &factory.pool);
        }
        if let Some(later) = quality::backoff(row, factory.clock.now()) {
            row.next_fetch = Some(later);
            self.refresher.postpone(&name, later);
        }
        self.quality.put_into(row);
        // The row is written after the nodes: its validators say that they need not be read again. The writer only ends after this
        // task has.
        let _ = factory.table.note(row.clone()).await;
        for answers in self.wanted.remove(&name).unwrap_or_default() {
            // Whoever asked may have gone away.
            let _ = answers.send(reading.clone());
        }
    }
}
