//! Tries what `hezar up` is to use: reads the sources, probes their nodes, and says why none works.

use std::{sync::Arc, time::Duration};

use hezar_api::{FetchReport, FetchRequest, FetchedDto, ProbeReport, ProbeRequest, StatusDto};
use hyper::StatusCode;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::fetch;
use crate::{
    api::on_demand::fetched,
    base::Base,
    config::{Config, ConfigReader},
    diagnosis::Diagnosis,
    instance::StoreTask,
    output,
    remote::{Refused, Remote},
    runtime::prober::ProberSlot,
    sources::Collector,
};

/// So many working nodes are proof enough; the others are probed while the program runs.
const ENOUGH: usize = 20;
/// How long probing may take.
const LONGEST: Duration = Duration::from_secs(60);

/// What a trial found.
#[derive(Debug, Default)]
pub(super) struct Trial {
    pub(super) sources: Vec<FetchedDto>,
    /// All nodes that are known now.
    pub(super) nodes: usize,
    /// Those that carry traffic.
    pub(super) working: usize,
    /// Why none does, in one line.
    pub(super) reason: Option<String>,
}

impl Trial {
    /// Whether this source lists nodes.
    pub(super) fn has_nodes(&self, source: &str) -> bool {
        self.sources.iter().any(|row| row.source == source && row.nodes > 0)
    }
}

/// Tries a configuration that no instance uses. What is learnt stays in its store, so that the instance begins with it.
///
/// # Errors
/// The store cannot be used.
pub(super) async fn here(
    config: Config,
    reader: &ConfigReader,
    names: &[String],
    is_quiet: bool,
) -> anyhow::Result<Trial> {
    let (mut base, store_task, collector) = fetch::open(config, reader).await?;
    let prober = Arc::new(ProberSlot::alone(&mut base)?);
    let mut sources = read(&base, &collector, names, is_quiet).await?;
    probe(&base, &prober, is_quiet).await;
    let failed = failed(&sources);
    if base.pool.snapshot().counts().routable() > 0 && !failed.is_empty() {
        // What is blocked here may be reached over a node that was given beside it.
        let again = read(&base, &collector, &failed, is_quiet).await?;
        sources.retain(|source| !failed.contains(&source.source));
        sources.extend(again);
        if base.pool.snapshot().counts().new > 0 {
            probe(&base, &prober, is_quiet).await;
        }
    }
    let counts = base.pool.snapshot().counts();
    let trial =
        Trial { sources, nodes: counts.total(), working: counts.routable(), reason: reason(&base, prober, collector) };
    finish(&base, store_task).await?;
    Ok(trial)
}

async fn read(base: &Base, collector: &Collector, names: &[String], is_quiet: bool) -> anyhow::Result<Vec<FetchedDto>> {
    let read = fetch::read_with_progress(base, collector, names, is_quiet).await?;
    Ok(read.iter().map(fetched).collect())
}

/// The sources that could not be read.
fn failed(sources: &[FetchedDto]) -> Vec<String> {
    sources.iter().filter(|source| source.error.is_some()).map(|source| source.source.clone()).collect()
}

/// Probes until enough nodes work, or the time is over.
async fn probe(base: &Base, prober: &ProberSlot, is_quiet: bool) {
    let total = base.pool.snapshot().counts().total();
    let bar = output::progress(total as u64, "probing", is_quiet);
    let (enough, prober) = (CancellationToken::new(), prober.get());
    let sweep = prober.sweep(&enough, |progress| {
        bar.set_position(progress.done as u64);
        bar.set_message(format!("{} work", progress.ok));
        if progress.ok >= ENOUGH {
            enough.cancel();
        }
    });
    tokio::pin!(sweep);
    if timeout(LONGEST, sweep.as_mut()).await.is_err() {
        enough.cancel();
        sweep.await;
    }
    bar.finish_and_clear();
}

/// Why nothing works. Nodes that have failed once are new as long as they are not judged; here the first failure is what there is to tell.
fn reason(base: &Base, prober: Arc<ProberSlot>, collector: Collector) -> Option<String> {
    let (counts, outage) = (base.pool.snapshot().counts(), prober.get().outage());
    let (pool, table) = (Arc::clone(&base.pool), collector.table());
    let collector = Arc::new(collector);
    let diagnosis = Diagnosis { pool, table, clock: base.clock, prober, collector, line: Arc::default() };
    if counts.routable() == 0 && counts.new > 0 && outage.is_none() {
        let who = match counts.total() {
            1 => "the only node does not work".to_owned(),
            total => format!("none of the {total} nodes works"),
        };
        let most = diagnosis.commonest_failure().map(|failure| format!("; most often: {failure}"));
        return Some(who + &most.unwrap_or_default());
    }
    diagnosis.refresh().map(|line| line.to_string())
}

async fn finish(base: &Base, store_task: StoreTask) -> anyhow::Result<()> {
    store_task.node_sync.all().await?;
    store_task.finish(&*base.store).await
}

/// Lets the running instance, which has taken the configuration over, do the same.
///
/// # Errors
/// The instance does not answer.
pub(super) async fn running(remote: &Remote, names: &[String]) -> anyhow::Result<Trial> {
    let wait = Some(LONGEST.as_secs());
    let request = serde_json::to_string(&FetchRequest { sources: names.to_vec(), wait })?;
    let fetched = remote.post_for("/api/v1/fetch", request, LONGEST).await.map_err(explained);
    let fetched: FetchReport = fetched?;
    for name in names {
        let request = ProbeRequest { source: Some(name.clone()), wait, ..ProbeRequest::default() };
        let _: ProbeReport = remote.post_for("/api/v1/probe", serde_json::to_string(&request)?, LONGEST).await?;
    }
    let status: StatusDto = remote.get("/api/v1/status").await?;
    let nodes = &status.nodes;
    Ok(Trial {
        sources: fetched.sources,
        nodes: nodes.new
            + nodes.healthy
            + nodes.suspect
            + nodes.dead
            + nodes.unsupported
            + nodes.quarantined
            + nodes.disabled,
        working: nodes.healthy + nodes.suspect,
        reason: status.reason,
    })
}

/// A demonstration takes the file over and reads none of its sources: it does not know their names.
fn explained(error: anyhow::Error) -> anyhow::Error {
    let is_unknown = error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == StatusCode::BAD_REQUEST);
    if is_unknown {
        error.context("the instance that runs reads no sources of this configuration (a demonstration?): end it first")
    } else {
        error
    }
}
