//! Schedules the sources: decides which one is due. Time and randomness are arguments.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use hezar_core::Timestamp;

/// How a fetch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchOutcome {
    /// Well.
    Succeeded,
    /// It failed.
    Failed,
    /// It failed, and the source says when it may be asked again.
    RateLimited {
        /// Not before this time.
        until: Timestamp,
    },
}

/// The first pause after a failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(30);

/// The longest pause after failures, unless the source's own interval is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// The schedule of all sources.
#[derive(Clone, Debug, Default)]
pub struct Refresher {
    entries: HashMap<Arc<str>, Entry>,
    /// Who waits, by time; a source that is being fetched is not in here.
    waiting: BTreeSet<(Timestamp, Arc<str>)>,
}

#[derive(Clone, Debug)]
struct Entry {
    interval: Duration,
    failures: u32,
    /// `None` while it is being fetched.
    due: Option<Timestamp>,
    /// Asked for while it was being fetched.
    asked_meanwhile: bool,
}

impl Refresher {
    /// An empty schedule.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a source, or changes when it is due. `failures` are those in a row from an earlier run.
    pub fn set(&mut self, name: Arc<str>, interval: Duration, due: Timestamp, failures: u32) {
        self.remove(&name);
        self.waiting.insert((due, Arc::clone(&name)));
        self.entries.insert(name, Entry { interval, failures, due: Some(due), asked_meanwhile: false });
    }

    /// Forgets a source. The end of a fetch that is under way is then of no interest.
    pub fn remove(&mut self, name: &str) {
        if let Some((name, Entry { due: Some(due), .. })) = self.entries.remove_entry(name) {
            self.waiting.remove(&(due, name));
        }
    }

    /// Makes a source due no sooner than at `due`; nothing happens while it is being fetched.
    pub fn postpone(&mut self, name: &str, due: Timestamp) {
        let Some((key, _)) = self.entries.get_key_value(name) else { return };
        let key = Arc::clone(key);
        let Some(Entry { due: Some(planned), .. }) = self.entries.get_mut(name) else { return };
        if *planned < due {
            self.waiting.remove(&(*planned, Arc::clone(&key)));
            *planned = due;
            self.waiting.insert((due, key));
        }
    }

    /// Makes a source due now; false when there is none of that name.
    pub fn trigger(&mut self, name: &str, now: Timestamp) -> bool {
        let Some((key, _)) = self.entries.get_key_value(name) else { return false };
        let key = Arc::clone(key);
        let Some(entry) = self.entries.get_mut(name) else { return false };
        match entry.due.replace(now) {
            Some(due) => {
                self.waiting.remove(&(due, Arc::clone(&key)));
                self.waiting.insert((now, key));
            }
            None => (entry.due, entry.asked_meanwhile) = (None, true),
        }
        true
    }

    /// Takes up to `limit` sources that are due, the longest waiting first. Each has to be given to
    /// [`Refresher::finish`] before it can be due again.
    pub fn take_due(&mut self, now: Timestamp, limit: usize) -> Vec<Arc<str>> {
        let mut taken = Vec::new();
        while taken.len() < limit && self.waiting.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, name)) = self.waiting.pop_first() else { break };
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.due = None;
            }
            taken.push(name);
        }
        taken
    }

    /// When the next source is due; `None` when nobody waits.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// Failed fetches of a source in a row.
    #[must_use]
    pub fn failures(&self, name: &str) -> u32 {
        self.entries.get(name).map_or(0, |entry| entry.failures)
    }

    /// Says how a fetch ended, and returns when the source is due again. `random` spreads sources with equal intervals.
    pub fn finish(&mut self, name: &str, outcome: FetchOutcome, now: Timestamp, random: u64) -> Option<Timestamp> {
        let (key, _) = self.entries.get_key_value(name)?;
        let key = Arc::clone(key);
        let entry = self.entries.get_mut(name).filter(|entry| entry.due.is_none())?;
        entry.failures = if outcome == FetchOutcome::Succeeded { 0 } else { entry.failures.saturating_add(1) };
        let due = match outcome {
            _ if std::mem::take(&mut entry.asked_meanwhile) => now,
            FetchOutcome::Succeeded => now.after(with_jitter(entry.interval, 10, random)),
            FetchOutcome::Failed => {
                now.after(with_jitter(pause_after_failures(entry.interval, entry.failures), 25, random))
            }
            FetchOutcome::RateLimited { until } => until.max(now).after(Duration::from_millis(random % 10_000)),
        };
        entry.due = Some(due);
        self.waiting.insert((due, key));
        Some(due)
    }
}

/// The pause after `failures` in a row: soon at first, then ever longer.
fn pause_after_failures(interval: Duration, failures: u32) -> Duration {
    let doubled = interval.min(FIRST_PAUSE).saturating_mul(1_u32 << failures.saturating_sub(1).min(20));
    doubled.min(interval.max(LONGEST_PAUSE))
}

/// `time` and up to `percent` more.
fn with_jitter(time: Duration, percent: u32, random: u64) -> Duration {
    let share = u32::try_from(random % 1000).unwrap_or(0);
    // Divided first: a duration of centuries must not overflow.
    time.saturating_add((time / 100_000).saturating_mul(percent * share))
}
