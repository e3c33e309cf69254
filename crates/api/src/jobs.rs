//! Work that goes on after its request was answered: a bounded table of jobs, whose progress readers of events see.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use hezar_core::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;

use crate::{ApiError, EventHub, JobDto, JobProgress, Topic};

/// The most jobs that run at a time.
const MOST_RUNNING: usize = 32;
/// The most jobs that are kept after their end.
const MOST_ENDED: usize = 200;
/// How long a job is kept after its end.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// How often the progress of a job is told at most.
const TOLD_EVERY: Duration = Duration::from_millis(500);

/// Every job that runs or has ended lately. Cheap to clone.
#[derive(Clone)]
pub struct JobTable(Arc<Shared>);

struct Shared {
    hub: Arc<EventHub>,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    jobs: Mutex<Jobs>,
}

#[derive(Default)]
struct Jobs {
    last: u64,
    all: BTreeMap<u64, JobDto>,
    /// Those that have ended, the first one in front.
    ended: VecDeque<(Timestamp, u64)>,
}

/// A job that runs. Dropped before its end, it has failed.
pub struct RunningJob {
    table: JobTable,
    number: u64,
    told: Timestamp,
    over: bool,
}

impl JobTable {
    /// An empty table that tells progress through `hub` and time by `now`.
    #[must_use]
    pub fn new(hub: Arc<EventHub>, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared { hub, now: Box::new(now), jobs: Mutex::default() }))
    }

    /// Begins a job.
    ///
    /// # Errors
    /// [`ApiError::Busy`] when as many run as may.
    pub fn start(&self, kind: &str, progress: JobProgress) -> Result<RunningJob, ApiError> {
        let now = (self.0.now)();
        let mut jobs = self.0.jobs.lock();
        jobs.prune(now);
        if jobs.all.len() - jobs.ended.len() >= MOST_RUNNING {
            return Err(ApiError::Busy("as many jobs run as may run at a time"));
        }
        jobs.last += 1;
        let number = jobs.last;
        let job = JobDto {
            id: number.to_string(),
            kind: kind.to_owned(),
            state: "running".to_owned(),
            progress,
            result: None,
            error: None,
            started: now.0,
            ended: None,
        };
        self.0.hub.publish(Topic::Jobs, &job);
        jobs.all.insert(number, job);
        Ok(RunningJob { table: self.clone(), number, told: now, over: false })
    }

    /// Every job, the newest in front, without their results.
    #[must_use]
    pub fn list(&self) -> Vec<JobDto> {
        let mut jobs = self.0.jobs.lock();
        jobs.prune((self.0.now)());
        jobs.all.values().rev().map(brief).collect()
    }

    /// One job.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<JobDto> {
        let mut jobs = self.0.jobs.lock();
        jobs.prune((self.0.now)());
        jobs.all.get(&id.parse().ok()?).cloned()
    }
}

impl Jobs {
    /// Forgets jobs that ended long ago.
    fn prune(&mut self, now: Timestamp) {
        while let Some((ended, number)) = self.ended.front().copied() {
            if self.ended.len() <= MOST_ENDED && now.since(ended) <= KEPT_FOR {
                return;
            }
            self.ended.pop_front();
            self.all.remove(&number);
        }
    }
}

/// A job without its result, which may be long.
fn brief(job: &JobDto) -> JobDto {
    JobDto { result: None, ..job.clone() }
}

impl RunningJob {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> String {
        self.number.to_string()
    }

    /// Notes how much is done.
    pub fn progress(&mut self, done: usize) {
        let shared = &self.table.0;
        let mut jobs = shared.jobs.lock();
        let Some(job) = jobs.all.get_mut(&self.number) else { return };
        job.progress.done = done;
        let now = (shared.now)();
        if now.since(self.told) >= TOLD_EVERY {
            self.told = now;
            shared.hub.publish(Topic::Jobs, job);
        }
    }

    /// Ends it with what came out of it.
    pub fn finish(mut self, result: &impl Serialize) {
        match serde_json::to_value(result) {
            Ok(result) => self.end("done", Some(result), None),
            Err(error) => self.end("failed", None, Some(error.to_string())),
        }
    }

    fn end(&mut self, state: &str, result: Option<serde_json::Value>, error: Option<String>) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let shared = &self.table.0;
        let now = (shared.now)();
        let mut jobs = shared.jobs.lock();
        let Some(job) = jobs.all.get_mut(&self.number) else { return };
        job.state = state.to_owned();
        job.ended = Some(now.0);
        job.result = result;
        job.error = error;
        shared.hub.publish(Topic::Jobs, &brief(job));
        jobs.ended.push_back((now, self.number));
        jobs.prune(now);
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        self.end("failed", None, Some("it was given up".to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;

    #[test]
    fn jobs_are_bounded_in_number_and_age() {
        let (hub, clock) = (Arc::new(EventHub::new(1)), Arc::new(AtomicU64::new(1_000)));
        let time = Arc::clone(&clock);
        let table = JobTable::new(Arc::clone(&hub), move || Timestamp(time.load(Relaxed)));
        let total = JobProgress { done: 0, total: 4 };
        let mut running: Vec<_> = (0..MOST_RUNNING).map(|_| table.start("probe", total).unwrap()).collect();
        assert!(matches!(table.start("probe", total), Err(ApiError::Busy(_))));
        running[0].progress(3);
        assert_eq!(table.get("1").unwrap().progress, JobProgress { done: 3, total: 4 });
        let first = running.remove(0);
        assert_eq!(first.id(), "1");
        first.finish(&serde_json::json!({ "works": 4 }));
        let done = table.get("1").unwrap();
        assert_eq!((&*done.state, done.result.unwrap()["works"].as_u64(), done.ended), ("done", Some(4), Some(1_000)));
        drop(running.remove(0));
        let given_up = table.get("2").unwrap();
        assert_eq!((&*given_up.state, given_up.error.as_deref()), ("failed", Some("it was given up")));
        for _ in 0..2 * MOST_ENDED {
            table.start("probe", total).unwrap().finish(&1);
        }
        assert_eq!(table.list().len(), MOST_RUNNING - 2 + MOST_ENDED);
        assert!(table.get("1").is_none() && table.get("x").is_none());
        clock.fetch_add(KEPT_FOR.as_millis() as u64 + 1, Relaxed);
        assert_eq!(table.list().len(), MOST_RUNNING - 2, "those that run stay");
    }

    #[test]
    fn progress_is_told_now_and_then() {
        let (hub, clock) = (Arc::new(EventHub::new(1)), Arc::new(AtomicU64::new(1_000)));
        let time = Arc::clone(&clock);
        let table = JobTable::new(Arc::clone(&hub), move || Timestamp(time.load(Relaxed)));
        let mut reader = hub.subscribe(None).receiver;
        let mut job = table.start("fetch", JobProgress { done: 0, total: 1000 }).unwrap();
        for done in 1..=1000 {
            clock.fetch_add(1, Relaxed);
            job.progress(done);
        }
        job.finish(&1);
        let mut told = 0;
        while reader.try_recv().is_ok() {
            told += 1;
        }
        assert_eq!(told, 4, "the beginning, twice between, the end");
    }
}
