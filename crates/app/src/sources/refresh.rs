//! The collector's work without end: sources are read when they are due, or at once when somebody asks.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
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
};

/// The longest sleep between two looks at what is due.
const NAP: Duration = Duration::from_secs(1);
/// How often the pool forgets what has been dead for long.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// Sources that somebody wants to be read now.
#[derive(Debug)]
pub(crate) struct Demand {
    names: Vec<Arc<str>>,
    answers: UnboundedSender<Reading>,
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
    running: JoinSet<(Arc<str>, Reading)>,
    reading: HashSet<Arc<str>>,
    /// Who waits for the end of which reading.
    wanted: HashMap<Arc<str>, Vec<UnboundedSender<Reading>>>,
}

impl Collector {
    /// Reads sources as they become due or are asked for, until `stop`.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let mut demanded = self.demanded.lock().await;
        let mut rounds = Rounds::new(self);
        let mut forgot = self.clock.now();
        loop {
            let now = self.clock.now();
            rounds.start(now);
            if now.since(forgot) >= FORGET_EVERY {
                rounds.quality.watch(&self.pool, &self.table, now.since(forgot));
                forgot = now;
                self.pool.tick(now);
            }
            let nap = rounds.nap(now);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = rounds.running.join_next(), if !rounds.running.is_empty() => {
                    // Readings turn panics into failures themselves, and nobody aborts them before the end.
                    if let Ok((name, reading)) = ended {
                        rounds.settle(&name, reading).await;
                    }
                }
                Some(demand) = demanded.recv() => rounds.accept(demand, now),
                () = tokio::time::sleep(nap) => {}
            }
        }
        rounds.running.shutdown().await;
    }

    /// Asks the task in [`Collector::run`] to read these sources now (all of them when none is named). The readings come
    /// as they end; that of a source which is being read already counts.
    pub(crate) fn fetch_now(&self, names: &[String]) -> Result<(usize, UnboundedReceiver<Reading>), FetchNowError> {
        if let Some(unknown) = self.unknown(names) {
            return Err(FetchNowError::Unknown(unknown.to_owned()));
        }
        let names: Vec<Arc<str>> = self.named(names).map(|reader| reader.source.name.as_str().into()).collect();
        let (answers, receiver) = unbounded_channel();
        let asked = names.len();
        self.demands.try_send(Demand { names, answers }).map_err(|error| match error {
            TrySendError::Full(_) => FetchNowError::Busy,
            TrySendError::Closed(_) => FetchNowError::Ended,
        })?;
        Ok((asked, receiver))
    }
}

impl<'a> Rounds<'a> {
    fn new(collector: &'a Collector) -> Self {
        let now = collector.clock.now();
        let mut refresher = Refresher::new();
        for reader in &collector.readers {
            let (row, due) = reader.scheduled(now);
            refresher.set(Arc::clone(&row.name), reader.source.interval, due, row.failures);
        }
        Self {
            refresher,
            quality: QualityTracker::new(&collector.pool),
            running: JoinSet::new(),
            reading: HashSet::new(),
            wanted: HashMap::new(),
            collector,
        }
    }

    /// Starts what is due.
    fn start(&mut self, now: Timestamp) {
        for name in self.refresher.take_due(now, AT_A_TIME.saturating_sub(self.running.len())) {
            let found = self.collector.readers.iter().find(|reader| *reader.source.name == *name);
            let Some(reader) = found.cloned() else { continue };
            self.reading.insert(Arc::clone(&name));
            self.running.spawn(async move { (name, reader.read().await) });
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

    /// Notes when the source is due again, and tells who waits for it.
    async fn settle(&mut self, name: &Arc<str>, reading: Reading) {
        self.reading.remove(name);
        let mut row = reading.row.clone();
        row.next_fetch = self.refresher.finish(name, reading.ended, self.collector.clock.now(), rand::random());
        row.failures = self.refresher.failures(name);
        if reading.ended == FetchOutcome::Succeeded {
            quality::note_productivity(&mut row, &self.collector.pool);
        }
        if let Some(later) = quality::backoff(&row, self.collector.clock.now()) {
            row.next_fetch = Some(later);
            self.refresher.postpone(name, later);
        }
        for answers in self.wanted.remove(name).unwrap_or_default() {
            // Whoever asked may have gone away.
            let _ = answers.send(reading.clone());
        }
        // The writer only ends after this task has.
        let _ = self.collector.table.note(row).await;
    }
}
