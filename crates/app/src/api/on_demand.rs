//! Work that the API asks for at once: probing nodes and reading sources, with a bounded wait for the results.

use std::time::Duration;

use hezar_api::{ApiError, FetchReport, FetchRequest, FetchedDto, JobProgress, ProbeReport, ProbeRequest, ProbedDto};
use hezar_core::{Code, NodeId, Role};
use hezar_probe::{ProbeAnswer, ProbeNowError, ProbeResult};
use tokio::time::{Instant, timeout, timeout_at};

use super::{ApiBackend, listing::Filter};
use crate::{
    bans::bound_short_ids,
    sources::{FetchNowError, Reading},
    supervise::named,
};

/// How long work is followed that goes on after the answer.
const LONGEST_JOB: Duration = Duration::from_secs(3600);
/// The most nodes whose probers are asked to look at them, and how long telling them may take.
const MOST_TOLD: usize = 200;
const TELL_LIMIT: Duration = Duration::from_secs(1);

impl ApiBackend {
    pub(crate) async fn probe_on_demand(&self, request: &ProbeRequest) -> Result<ProbeReport, ApiError> {
        let end = Instant::now() + request.patience();
        let ids = self.wanted(request).await?;
        self.tell_probers(&ids).await;
        let mut answers = self.prober.get().probe_now(ids).map_err(|error| match error {
            ProbeNowError::NotRunning => ApiError::Unavailable,
            _ => ApiError::Busy("too many probes are asked for"),
        })?;
        let mut report = ProbeReport { asked: answers.asked(), pending: answers.asked(), ..ProbeReport::default() };
        while report.pending > 0
            && let Ok(Some(answer)) = timeout_at(end, answers.next()).await
        {
            count(&mut report, &answer);
        }
        if report.pending == 0 {
            return Ok(report);
        }
        // When no more jobs may run the work goes on all the same, and nobody follows it.
        let Ok(mut job) = self.jobs.start("probe", progress(report.asked, report.pending)) else { return Ok(report) };
        report.job = Some(job.id());
        let mut rest = report.clone();
        let end = Instant::now() + LONGEST_JOB;
        let following = async move {
            while rest.pending > 0
                && let Ok(Some(answer)) = timeout_at(end, answers.next()).await
            {
                count(&mut rest, &answer);
                job.progress(rest.asked - rest.pending);
            }
            job.finish(&rest);
        };
        tokio::spawn(named("job", following));
        Ok(report)
    }

    /// Asks the probers of these nodes to look at them, too, where this instance is none: what it finds itself is for whoever asks, and
    /// not kept.
    async fn tell_probers(&self, ids: &[NodeId]) {
        let Some(shared) = self.membership.shared().filter(|_| !self.membership.roles().has(Role::Probe)) else {
            return;
        };
        let told = ids.get(..ids.len().min(MOST_TOLD)).unwrap_or_default();
        // Whoever asks does not wait for a database that is away.
        if !matches!(timeout(TELL_LIMIT, shared.suspect(told)).await, Ok(Ok(()))) {
            tracing::debug!("the probers of nodes that are probed on demand were not told");
        }
    }

    /// The nodes that a request means.
    async fn wanted(&self, request: &ProbeRequest) -> Result<Vec<NodeId>, ApiError> {
        bound_short_ids(&request.ids)?;
        let named = request.ids.iter().map(|id| self.find(id)?.ok_or(ApiError::NotFound));
        let named = named.collect::<Result<Vec<NodeId>, _>>()?;
        if named.is_empty() {
            return self.fitting(&request.filter()).await;
        }
        let filter = Filter::new(&request.filter())?;
        // A node that is not there is answered for as well.
        let fits = |id: &NodeId| self.pool.node(*id).is_none_or(|node| filter.fits(&node));
        Ok(named.into_iter().filter(fits).collect())
    }

    pub(crate) async fn fetch_on_demand(&self, request: &FetchRequest) -> Result<FetchReport, ApiError> {
        let end = Instant::now() + request.patience();
        let (asked, mut readings) = self.collector.fetch_now(&request.sources).map_err(|error| match error {
            FetchNowError::Unknown(name) => {
                ApiError::BadRequest(format!("the configuration has no source named {name:?}, or it is switched off"))
            }
            FetchNowError::Busy => ApiError::Busy("too many sources are asked for"),
            FetchNowError::Ended => ApiError::Unavailable,
        })?;
        let mut report = FetchReport { asked, pending: asked, ..FetchReport::default() };
        while report.pending > 0
            && let Ok(Some(reading)) = timeout_at(end, readings.recv()).await
        {
            report.pending -= 1;
            report.sources.push(fetched(&reading));
        }
        if report.pending == 0 {
            return Ok(report);
        }
        // When no more jobs may run the work goes on all the same, and nobody follows it.
        let Ok(mut job) = self.jobs.start("fetch", progress(report.asked, report.pending)) else { return Ok(report) };
        report.job = Some(job.id());
        let mut rest = report.clone();
        let end = Instant::now() + LONGEST_JOB;
        let following = async move {
            while rest.pending > 0
                && let Ok(Some(reading)) = timeout_at(end, readings.recv()).await
            {
                rest.pending -= 1;
                rest.sources.push(fetched(&reading));
                job.progress(rest.asked - rest.pending);
            }
            job.finish(&rest);
        };
        tokio::spawn(named("job", following));
        Ok(report)
    }
}

/// Counts one result.
fn count(report: &mut ProbeReport, answer: &ProbeAnswer) {
    let probed = probed_dto(answer);
    report.pending -= 1;
    *(if probed.works { &mut report.works } else { &mut report.failed }) += 1;
    if report.nodes.len() < ProbeReport::MOST_RESULTS {
        report.nodes.push(probed);
    }
}

const fn progress(total: usize, pending: usize) -> JobProgress {
    JobProgress { done: total - pending, total }
}

fn probed_dto(answer: &ProbeAnswer) -> ProbedDto {
    let (latency_ms, stage, error) = probed(&answer.result);
    ProbedDto { id: answer.id.to_string(), works: error.is_none(), latency_ms, error, stage }
}

/// What a probe found: how long it took in milliseconds, or the stage and the code of what went wrong.
pub(super) fn probed(result: &ProbeResult) -> (Option<u64>, Option<String>, Option<String>) {
    let code = match *result {
        ProbeResult::Works(latency) => {
            return (Some(u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)), None, None);
        }
        ProbeResult::Failed { stage, code, .. } => {
            return (None, Some(stage.name().to_owned()), Some(code.to_string()));
        }
        ProbeResult::Tampered(code) | ProbeResult::Inconclusive(code) | ProbeResult::Unsupported(code) => code,
        ProbeResult::Panicked => Code::new(ApiError::Internal.code()),
        ProbeResult::Gone => Code::new(ApiError::NotFound.code()),
    };
    (None, None, Some(code.to_string()))
}

/// What reading a source gave, as the API and `hezar fetch --json` say it.
pub(crate) fn fetched(reading: &Reading) -> FetchedDto {
    FetchedDto {
        source: reading.row.name.to_string(),
        nodes: reading.row.nodes,
        added: reading.added,
        refused: reading.row.rejects,
        left_out: reading.left_out,
        unchanged: reading.unchanged,
        last_ok: reading.row.last_ok.map(|at| at.0),
        error: reading.row.error.as_ref().map(|error| error.code.to_string()),
        message: reading.row.error.as_ref().map(|error| error.text.to_string()),
    }
}
