//! What troubles are found from: the facts of one moment, and what was before.

use std::{collections::VecDeque, path::PathBuf, sync::Arc, time::Duration};

use hezar_core::Timestamp;
use hezar_engine::Clock;
use hezar_gateway::Metrics;
use hezar_pool::Counts;
use hezar_probe::Outage;

use crate::{
    certificates::Certificates,
    disk::{self, DiskSpace},
    nodes::Nodes,
    runtime::prober::ProberSlot,
    sources::status::SourceTable,
};

/// How long a fall of healthy nodes is remembered.
const HOUR: Duration = Duration::from_secs(3600);
/// The time over which the share of requests that succeed is taken.
const SUCCESS_WINDOW: Duration = Duration::from_secs(300);
/// The shortest time between two entries of what is remembered.
const STEP: Duration = Duration::from_secs(10);

/// Where the facts come from.
pub(crate) struct FactSources {
    pub(crate) pool: Arc<Nodes>,
    pub(crate) metrics: Metrics,
    pub(crate) table: SourceTable,
    pub(crate) prober: Arc<ProberSlot>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) data: PathBuf,
    pub(crate) clock: Clock,
    pub(crate) started: Timestamp,
}

/// One source, as far as alerts look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceFact {
    pub(super) name: String,
    /// When it was last read, or was first asked for when it never was.
    pub(super) last_ok: Option<Timestamp>,
    /// The code of the last failure, if the last fetch has failed.
    pub(super) error: Option<String>,
}

/// The facts of one moment.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) now: Timestamp,
    pub(super) uptime: Duration,
    pub(super) nodes: Counts,
    /// Requests since the start that a node served, and that none could serve.
    pub(super) requests: (u64, u64),
    pub(super) sources: Vec<SourceFact>,
    /// For how long the store cannot be written.
    pub(super) behind: Option<Duration>,
    /// The ports that have a certificate, or should have one, and until when it is good.
    pub(super) certificates: Vec<(String, Option<Timestamp>)>,
    pub(super) disk: Option<DiskSpace>,
    pub(super) outage: Option<Outage>,
}

impl FactSources {
    /// Reads them. It may wait for a disk.
    pub(super) fn read(&self) -> Facts {
        let (snapshot, traffic, now) = (self.pool.snapshot(), self.metrics.traffic(), self.clock.now());
        let sources = self.table.sources(&self.table.census(&snapshot), &[]);
        let source = |source: hezar_api::SourceDto| SourceFact {
            name: source.name,
            last_ok: source.last_ok.map(Timestamp),
            error: source.error,
        };
        Facts {
            now,
            uptime: now.since(self.started),
            nodes: snapshot.counts(),
            requests: (traffic.ok, traffic.failed),
            sources: sources.into_iter().map(source).collect(),
            behind: self.table.store().behind_s.map(Duration::from_secs),
            certificates: self
                .certificates
                .status()
                .into_iter()
                .map(|one| (one.port, one.not_after.map(Timestamp)))
                .collect(),
            disk: disk::space_at(&self.data),
            outage: self.prober.get().outage(),
        }
    }
}

/// What was before: healthy nodes within the last hour, and requests within the last five minutes.
#[derive(Debug, Default)]
pub(super) struct Trends {
    healthy: VecDeque<(Timestamp, usize)>,
    requests: VecDeque<(Timestamp, (u64, u64))>,
}

impl Trends {
    /// Takes the facts of a moment in. At most 361 and 31 entries are remembered.
    pub(super) fn note(&mut self, facts: &Facts) {
        let now = facts.now;
        remember(&mut self.healthy, now, facts.nodes.healthy, HOUR);
        remember(&mut self.requests, now, facts.requests, SUCCESS_WINDOW);
    }

    /// The most nodes that were healthy at one moment of the last hour.
    pub(super) fn most_healthy(&self) -> usize {
        self.healthy.iter().map(|(_, healthy)| *healthy).max().unwrap_or_default()
    }

    /// Requests of the last five minutes that a node served, and that none could serve.
    pub(super) fn recent_requests(&self, now: (u64, u64)) -> (u64, u64) {
        let (ok, failed) = self.requests.front().map_or(now, |(_, then)| *then);
        (now.0.saturating_sub(ok), now.1.saturating_sub(failed))
    }
}

/// Adds an entry when the last one is old enough, and drops those that are older than `window`.
fn remember<T>(entries: &mut VecDeque<(Timestamp, T)>, now: Timestamp, value: T, window: Duration) {
    if entries.back().is_none_or(|(at, _)| now.since(*at) >= STEP) {
        entries.push_back((now, value));
    }
    while entries.front().is_some_and(|(at, _)| now.since(*at) > window) {
        entries.pop_front();
    }
}
