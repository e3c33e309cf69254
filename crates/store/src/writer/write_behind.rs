//! Writing behind: changes gather in memory and go to the store in batches, one transaction each.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    Message, Waiter, WriteSummary, WriterConfig,
    pending::{Pending, split},
    status::SharedStatus,
};
use crate::{Change, Retry, Store, StoreError};

/// How often the log repeats that the store is behind.
const REMIND: Duration = Duration::from_secs(60);
/// Refused changes that the log names one by one; what follows is only counted.
const NAMED: u64 = 100;

/// The task behind a [`Writer`](crate::Writer).
#[derive(Debug)]
pub struct WriteBehind {
    store: Arc<dyn Store>,
    config: WriterConfig,
    messages: mpsc::Receiver<Message>,
    /// Whether every writer has been dropped.
    abandoned: bool,
    pending: Pending,
    waiting: Vec<Waiter>,
    /// Whether a change was refused since somebody who waited was last answered.
    refused: bool,
    reminded: Option<Instant>,
    status: SharedStatus,
}

/// How the writing of a batch ended.
enum Written {
    Yes,
    No(StoreError),
    /// The time for it was over.
    Late,
}

impl WriteBehind {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        config: WriterConfig,
        messages: mpsc::Receiver<Message>,
        status: SharedStatus,
    ) -> Self {
        let pending = Pending::default();
        Self {
            store,
            config,
            messages,
            abandoned: false,
            pending,
            waiting: Vec::new(),
            refused: false,
            reminded: None,
            status,
        }
    }

    /// The same task with changes that wait from the start.
    #[must_use]
    pub fn beginning_with(mut self, changes: Vec<Change>) -> Self {
        changes.into_iter().for_each(|change| self.pending.add(change));
        self
    }

    /// Writes until `stop` is cancelled or every [`Writer`](crate::Writer) is dropped, then writes what is left, for
    /// [`WriterConfig::shutdown`] at most.
    pub async fn run(mut self, stop: CancellationToken) -> WriteSummary {
        while self.gather(&stop).await {
            self.write_all(&stop, None).await;
        }
        self.messages.close();
        let end = Instant::now() + self.config.shutdown;
        while let Some(message) = self.messages.recv().await {
            self.accept(message);
        }
        self.write_all(&stop, Some(end)).await;
        let left = self.pending.weight() as u64;
        let mut status = self.status.lock();
        status.summary.lost += left;
        if left > 0 {
            tracing::error!(changes = left, "the time to shut down is over: changes were not written");
        }
        status.summary
    }

    /// Collects until it is time to write; false when the end has come.
    async fn gather(&mut self, stop: &CancellationToken) -> bool {
        if self.pending.weight() == 0 && self.waiting.is_empty() {
            let first = tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                message = self.messages.recv() => message,
            };
            let Some(first) = first else { return false };
            self.accept(first);
        }
        let due = Instant::now() + self.config.every;
        while self.waiting.is_empty() && self.pending.weight() < self.config.batch {
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return false,
                next = timeout_at(due, self.messages.recv()) => next,
            };
            match next {
                Ok(Some(message)) => {
                    self.accept(message);
                }
                Ok(None) => return false,
                Err(_) => break,
            }
        }
        !stop.is_cancelled() && !self.abandoned
    }

    /// Takes a message in; says whether somebody waits for it.
    fn accept(&mut self, message: Message) -> bool {
        let (changes, waiter) = match message {
            Message::Changes(changes) => (changes, None),
            Message::Flush(waiter) => (Vec::new(), Some(waiter)),
            Message::Durable(changes, waiter) => (changes, Some(waiter)),
        };
        changes.into_iter().for_each(|change| self.pending.add(change));
        let somebody = waiter.is_some();
        if let Some(waiter) = waiter {
            // Those who gave up waiting are forgotten here, so that a long failure cannot pile them up.
            self.waiting.retain(|waiter| !waiter.is_closed());
            self.waiting.push(waiter);
        }
        self.status.lock().pending = self.pending.weight();
        somebody
    }

    /// Writes everything that waits, however often that takes. `end` bounds the trying; without it a stop does.
    async fn write_all(&mut self, stop: &CancellationToken, end: Option<Instant>) {
        let mut pause = self.config.retry;
        while let Err(error) = self.write_round(stop, end).await {
            let Some(error) = error else { return };
            self.note_failure(&error);
            let damaged = error.retry() == Retry::Seldom;
            let rest = if damaged { pause.max(self.config.damaged_pause) } else { pause };
            if !self.rest(rest, damaged, stop, end).await {
                return;
            }
            pause = (pause * 2).min(self.config.longest_pause);
        }
    }

    /// Writes what waits at this moment. After a failure it waits again, beneath what has come since; the error is
    /// `None` when time is over.
    async fn write_round(&mut self, stop: &CancellationToken, end: Option<Instant>) -> Result<(), Option<StoreError>> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut batches = split(self.pending.take(), self.config.batch);
        while let Some(batch) = batches.front() {
            // A store that refuses change by change must not hold up a stop.
            let stopped = end.is_none() && stop.is_cancelled();
            let written = if stopped { Written::Late } else { self.write(batch, stop, end).await };
            let failed = match written {
                Written::Yes => {
                    self.note_success(batch);
                    batches.pop_front();
                    continue;
                }
                Written::No(error) if error.retry() == Retry::Never => {
                    self.divide(&mut batches, &error);
                    continue;
                }
                Written::No(error) => Some(error),
                Written::Late => None,
            };
            self.put_back(batches, waiting);
            return Err(failed);
        }
        self.note_written();
        let accepted = !std::mem::take(&mut self.refused);
        for waiter in waiting {
            let _ = waiter.send(accepted);
        }
        Ok(())
    }

    /// Writes one batch once, and takes in what comes meanwhile. After a stop it takes [`WriterConfig::shutdown`] at most:
    /// a disk that never answers must not keep the program from ending.
    async fn write(&mut self, batch: &[Change], stop: &CancellationToken, end: Option<Instant>) -> Written {
        let store = Arc::clone(&self.store);
        let write = bounded(store.write(batch), end);
        let shutdown = self.config.shutdown;
        let overdue = async {
            stop.cancelled().await;
            sleep(shutdown).await;
        };
        tokio::pin!(write, overdue);
        loop {
            tokio::select! {
                biased;
                result = &mut write => return match result {
                    None => Written::Late,
                    Some(Ok(())) => Written::Yes,
                    Some(Err(error)) => Written::No(error),
                },
                () = &mut overdue, if end.is_none() => return Written::Late,
                message = self.messages.recv(), if end.is_none() && self.has_room() => {
                    self.take_in(message);
                }
            }
        }
    }

    /// Lets time pass while changes gather; false when time is over. Somebody who waits for their changes ends the pause
    /// early, unless the store is damaged.
    async fn rest(&mut self, pause: Duration, damaged: bool, stop: &CancellationToken, end: Option<Instant>) -> bool {
        let begun = Instant::now();
        let mut until = begun + pause;
        if end.is_some_and(|end| until >= end) {
            return false;
        }
        loop {
            let somebody = tokio::select! {
                biased;
                () = stop.cancelled(), if end.is_none() => return false,
                () = sleep_until(until) => return true,
                message = self.messages.recv(), if end.is_none() && self.has_room() => self.take_in(message),
            };
            if self.abandoned && end.is_none() {
                return false;
            }
            if somebody && !damaged {
                until = until.min(Instant::now().max(begun + self.config.retry));
            }
        }
    }

    fn has_room(&self) -> bool {
        !self.abandoned && self.pending.weight() < self.config.most_pending
    }

    fn take_in(&mut self, message: Option<Message>) -> bool {
        self.abandoned = message.is_none();
        message.is_some_and(|message| self.accept(message))
    }

    /// Cuts a refused batch in two, so that one bad change does not take its neighbours with it; alone it is dropped.
    fn divide(&mut self, batches: &mut VecDeque<Vec<Change>>, error: &StoreError) {
        let Some(mut batch) = batches.pop_front() else { return };
        if batch.len() > 1 {
            let second = batch.split_off(batch.len() / 2);
            batches.push_front(second);
            batches.push_front(batch);
            return;
        }
        self.refused = true;
        let mut status = self.status.lock();
        status.last_error = Some(error.into());
        status.summary.lost += 1;
        if status.summary.lost <= NAMED {
            let change = batch.first().map(Change::subject).unwrap_or_default();
            tracing::error!(code = error.code(), %error, change, "the store refuses a change for good: it is dropped");
        }
        if status.summary.lost == NAMED {
            tracing::error!("further refused changes are only counted, in the status");
        }
    }

    /// Puts back what could not be written: it is older than what has come meanwhile.
    fn put_back(&mut self, batches: VecDeque<Vec<Change>>, mut waiting: Vec<Waiter>) {
        let newer = self.pending.take();
        batches.into_iter().flatten().chain(newer).for_each(|change| self.pending.add(change));
        waiting.append(&mut self.waiting);
        self.waiting = waiting;
        self.status.lock().pending = self.pending.weight();
    }

    fn note_failure(&mut self, error: &StoreError) {
        let mut status = self.status.lock();
        status.summary.retries += 1;
        status.last_error = Some(error.into());
        let now = Instant::now();
        let since = *status.behind_since.get_or_insert(now);
        let pending = status.pending;
        drop(status);
        if self.reminded.is_some_and(|last| now.duration_since(last) < REMIND) {
            return;
        }
        self.reminded = Some(now);
        let behind_s = now.duration_since(since).as_secs();
        match error.retry() {
            Retry::Soon => tracing::warn!(
                code = error.code(), %error, pending, behind_s,
                "the store cannot be written: changes wait in memory, and writing is tried again"
            ),
            Retry::Seldom | Retry::Never => tracing::error!(
                code = error.code(), %error, pending, behind_s,
                "the store is damaged: what changes is kept in memory only and is lost when the program ends"
            ),
        }
    }

    fn note_success(&self, batch: &[Change]) {
        let mut status = self.status.lock();
        status.summary.written += batch.len() as u64;
        status.summary.batches += 1;
        let weight: usize = batch.iter().map(Change::weight).sum();
        status.pending = status.pending.saturating_sub(weight);
    }

    /// Everything of a round has been written.
    fn note_written(&mut self) {
        let mut status = self.status.lock();
        status.pending = self.pending.weight();
        if let Some(since) = status.behind_since.take() {
            self.reminded = None;
            let retries = status.summary.retries;
            tracing::info!(
                behind_s = since.elapsed().as_secs(),
                retries,
                "the store is written again, nothing is missing"
            );
        }
    }
}

async fn bounded<T>(future: impl Future<Output = T>, end: Option<Instant>) -> Option<T> {
    match end {
        None => Some(future.await),
        Some(end) => timeout(end.saturating_duration_since(Instant::now()), future).await.ok(),
    }
}
