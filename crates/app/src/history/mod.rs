//! The history of the instance: a task that adds up the counters into rows of the store, and what the API reads from them.

pub(crate) mod read;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context;
use hezar_core::{LatencyBuckets, Timestamp};
use hezar_engine::Clock;
use hezar_gateway::Metrics;
use hezar_pool::Counts;
use hezar_store::{Change, HistoryRow, HistorySample, HistoryStep, NodeSums, Retry, Store, StoreError, Writer};
use tokio::{sync::Mutex, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::nodes::Nodes;

/// How often the counters are read: so much is lost by a crash at most.
const EVERY: Duration = Duration::from_secs(10);

/// The counters of the gateway at one moment.
#[derive(Clone, Debug, Default)]
struct Counters {
    requests: BTreeMap<&'static str, u64>,
    up: u64,
    down: u64,
    latency: LatencyBuckets,
}

impl Counters {
    fn read(metrics: &Metrics) -> Self {
        let traffic = metrics.traffic();
        Self { requests: metrics.requests_by_code(), up: traffic.up, down: traffic.down, latency: metrics.latency() }
    }

    /// What has been counted since an earlier reading, with the nodes as they are now.
    fn since(&self, earlier: &Self, nodes: Counts) -> HistorySample {
        let before = |code| earlier.requests.get(code).copied().unwrap_or(0);
        let grown = self.requests.iter().map(|(code, count)| ((*code).into(), count.saturating_sub(before(code))));
        HistorySample {
            samples: 1,
            nodes: node_sums(nodes),
            requests: grown.filter(|(_, count)| *count > 0).collect(),
            up: self.up.saturating_sub(earlier.up),
            down: self.down.saturating_sub(earlier.down),
            latency: self.latency.since(&earlier.latency),
        }
    }
}

fn node_sums(counts: Counts) -> NodeSums {
    NodeSums {
        new: counts.new as u64,
        healthy: counts.healthy as u64,
        suspect: counts.suspect as u64,
        dead: counts.dead as u64,
        unsupported: counts.unsupported as u64,
        quarantined: counts.quarantined as u64,
        disabled: counts.disabled as u64,
    }
}

/// The rows that grow now, one for each step.
#[derive(Debug)]
struct GrowingRows([HistoryRow; 2]);

impl GrowingRows {
    /// The rows of this moment as the store has them, so that a restart continues them.
    async fn resume(store: &dyn Store, now: Timestamp) -> Result<Self, StoreError> {
        let mut rows = HistoryStep::ALL.map(|step| empty(step, now));
        for row in &mut rows {
            let known = store.own_history(row.step, row.at, row.at.after(row.step.length())).await;
            if let Some(known) = known?.into_iter().next() {
                *row = known;
            }
        }
        Ok(Self(rows))
    }

    /// Adds a sample to the rows of its time, and gives what has to be written. A row that begins lets those end that are too
    /// old to be kept.
    fn add(&mut self, now: Timestamp, sample: &HistorySample) -> Vec<Change> {
        let mut changes = Vec::with_capacity(4);
        for row in &mut self.0 {
            let step = row.step;
            if step.start_of(now) > row.at {
                *row = empty(step, now);
                let kept = u64::try_from(step.kept().as_millis()).unwrap_or(u64::MAX);
                changes.push(Change::PruneHistory { step, before: Timestamp(row.at.0.saturating_sub(kept)) });
            }
            row.sample.add(sample);
            changes.push(Change::PutHistory(row.clone()));
        }
        changes
    }
}

fn empty(step: HistoryStep, now: Timestamp) -> HistoryRow {
    HistoryRow { step, at: step.start_of(now), sample: HistorySample::default() }
}

/// What the task has read last, and the rows that it lets grow. Kept outside the task, so that nothing is counted twice or
/// forgotten when it starts again.
#[derive(Debug, Default)]
struct Progress {
    last: Counters,
    rows: Option<GrowingRows>,
}

/// Adds up the counters into the history.
pub(crate) struct HistoryRecorder {
    pool: Arc<Nodes>,
    metrics: Metrics,
    clock: Clock,
    store: Arc<dyn Store>,
    writer: Writer,
    progress: Mutex<Progress>,
}

impl HistoryRecorder {
    pub(crate) fn new(pool: Arc<Nodes>, metrics: Metrics, clock: Clock, store: Arc<dyn Store>, writer: Writer) -> Self {
        Self { pool, metrics, clock, store, writer, progress: Mutex::default() }
    }

    /// Samples until `stop`, and once more then.
    ///
    /// # Errors
    /// The store cannot be read, or its writer has ended.
    pub(crate) async fn run(&self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.sample().await,
                () = sleep(EVERY) => self.sample().await?,
            }
        }
    }

    /// Adds what has been counted since the last sample.
    async fn sample(&self) -> anyhow::Result<()> {
        let mut progress = self.progress.lock().await;
        let now = self.clock.now();
        if progress.rows.is_none() {
            match GrowingRows::resume(&*self.store, now).await {
                Ok(rows) => progress.rows = Some(rows),
                Err(error) if error.retry() == Retry::Soon => {
                    // The counters go on: what they counted is in the first sample afterwards.
                    tracing::debug!(%error, "the history waits until the store can be read");
                    return Ok(());
                }
                Err(error) => return Err(error).context("the history cannot be read"),
            }
        }
        let counters = Counters::read(&self.metrics);
        let sample = counters.since(&progress.last, self.pool.snapshot().counts());
        let changes = progress.rows.as_mut().map(|rows| rows.add(now, &sample)).unwrap_or_default();
        progress.last = counters;
        drop(progress);
        self.writer.put(changes).await.context("the history cannot be kept")
    }
}
