//! The collector's work without end: sources are read when they are due, or at once when somebody asks.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use hezar_core::Timestamp;
use hezar_fetch::{FetchOutcome, Refresher};
use hezar_store::SourceRow;
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, error::TrySendError, unbounded_channel},
        watch,
    },
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    AT_A_TIME, Collector, Reading,
    elsewhere::read_elsewhere,
    quality::{self, QualityTracker},
    reader::Reader,
    turns::{Claim, Turn, Turns},
};

/// The longest sleep between two looks at what is due.
const NAP: Duration = Duration::from_secs(1);
/// How often the pool forgets what has been dead for long.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// Sources that somebody wants to be read now.
#[derive(Debug)]
pub(super) struct Demand {
    pub(super) names: Vec<Arc<str>>,
    pub(super) answers: UnboundedSender<Reading>,
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
}

/// The schedule of one run; a run that follows a panic begins with what the table and the pool know.
struct Rounds<'a> {
    collector: &'a Collector,
    refresher: Refresher,
    quality: QualityTracker,
    /// The readers whose schedule this is.
    readers: Arc<[Reader]>,
    running: JoinSet<(Reader, Ended)>,
    reading: HashSet<Arc<str>>,
    /// Who waits for the end of which reading.
    wanted: HashMap<Arc<str>, Wanted>,
}

/// Who waits for a source that is to be read.
struct Wanted {
    /// When the last of them asked.
    since: Timestamp,
    answers: Vec<UnboundedSender<Reading>>,
}

/// How a turn at a source ended.
enum Ended {
    /// It was read, under this claim where several instances read sources.
    Read(Reading, Option<Claim>),
    /// Another instance reads it or has read it, or the store cannot be asked.
    NotNow { row: Option<SourceRow>, again: Timestamp },
}

impl Collector {
    /// Reads sources as they become due or are asked for, until `stop`; where others do that, it passes on what is asked for.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        match &self.turns {
            Some(turns) if !self.reads => self.pass_on(turns, stop).await,
            _ => self.read_due(stop).await,
        }
    }

    async fn read_due(&self, stop: &CancellationToken) {
        let mut requested = self.turns.as_ref().map(|turns| turns.requested.clone());
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
                    if let Ok((reader, ended)) = ended {
                        rounds.end_turn(&reader, ended).await;
                    }
                }
                names = next_request(&mut requested) => {
                    for name in names.iter() {
                        rounds.refresher.trigger(name, now);
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
            let wanted = self.wanted.get(&name).map(|wanted| wanted.since);
            self.reading.insert(name);
            let turns = self.collector.turns.clone();
            self.running.spawn(async move { (reader.clone(), take_turn(reader, turns, wanted, now).await) });
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
            let wanted = self.wanted.entry(name).or_insert_with(|| Wanted { since: now, answers: Vec::new() });
            wanted.since = now;
            wanted.answers.push(demand.answers.clone());
        }
    }

    async fn end_turn(&mut self, reader: &Reader, ended: Ended) {
        match ended {
            Ended::Read(reading, claim) => {
                self.settle(reader, reading).await;
                if let Some(claim) = claim {
                    claim.release_when_written(self.collector.factory.table.writer().clone());
                }
            }
            Ended::NotNow { row, again } => self.put_off(reader, row, again),
        }
    }

    /// Looks at a source again later that is not read here now. Who waits for it is answered when another instance has read it since.
    fn put_off(&mut self, reader: &Reader, row: Option<SourceRow>, again: Timestamp) {
        if reader.is_retired() {
            return;
        }
        let name: Arc<str> = reader.source.name.as_str().into();
        self.reading.remove(&name);
        let failures = row.as_ref().map_or_else(|| self.refresher.failures(&name), |row| row.failures);
        self.refresher.set(Arc::clone(&name), reader.source.interval, again, failures);
        let Some(row) = row else { return };
        self.collector.factory.table.adopt(row.clone());
        let is_done = |wanted: &Wanted| row.last_fetch.is_some_and(|read| read >= wanted.since);
        if self.wanted.get(&name).is_some_and(is_done) {
            self.answer(&name, &read_elsewhere(row));
        }
    }

    /// Tells who waits for a source.
    fn answer(&mut self, name: &str, reading: &Reading) {
        for answers in self.wanted.remove(name).map(|wanted| wanted.answers).unwrap_or_default() {
            // Whoever asked may have gone away.
            let _ = answers.send(reading.clone());
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
        self.answer(&name, &reading);
    }
}

/// Reads a source if it is this instance's turn.
async fn take_turn(reader: Reader, turns: Option<Turns>, wanted: Option<Timestamp>, now: Timestamp) -> Ended {
    let Some(turns) = turns else { return Ended::Read(reader.read().await, None) };
    match turns.take(&reader.source.name.as_str().into(), wanted, now).await {
        Turn::Own(claim, row) => {
            if let Some(row) = row {
                // What another instance has learned since this one has read the source.
                reader.table.adopt(row);
            }
            Ended::Read(reader.read().await, Some(claim))
        }
        Turn::NotNow { row, again } => Ended::NotNow { row, again },
    }
}

/// The sources that somebody asks for over the store; never, where nobody can.
async fn next_request(requested: &mut Option<watch::Receiver<Arc<[Arc<str>]>>>) -> Arc<[Arc<str>]> {
    if let Some(requested) = requested
        && requested.changed().await.is_ok()
    {
        return Arc::clone(&requested.borrow_and_update());
    }
    std::future::pending().await
}
