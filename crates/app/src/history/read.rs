//! What the API tells of the history: rows of the store, added up to the points that were asked for.

use std::time::Duration;

use hezar_api::{ApiError, HistoryBytesDto, HistoryDto, HistoryLatencyDto, HistoryPointDto, HistoryQuery, StateCounts};
use hezar_core::Timestamp;
use hezar_store::{HistoryRow, HistorySample, HistoryStep, Store};

/// The most points of one answer.
const MOST_POINTS: u64 = 2000;
/// The most points of an answer whose step was not asked for.
const COMFORTABLE: u64 = 500;
const HOUR_MS: u64 = 3_600_000;

/// What one request asks for.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    /// The first point's beginning, in ms; a multiple of the step.
    from: u64,
    /// The end, exclusive, in ms.
    to: u64,
    /// In ms.
    step: u64,
    series: Series,
}

/// Which series are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Series {
    nodes: bool,
    requests: bool,
    bytes: bool,
    latency: bool,
}

impl Series {
    const ALL: Self = Self { nodes: true, requests: true, bytes: true, latency: true };

    fn read(text: &str) -> Result<Self, ApiError> {
        let mut series = Self { nodes: false, requests: false, bytes: false, latency: false };
        for name in text.split(',').map(str::trim) {
            match name {
                "nodes" => series.nodes = true,
                "requests" => series.requests = true,
                "bytes" => series.bytes = true,
                "latency" => series.latency = true,
                _ => return Err(bad("series are nodes, requests, bytes and latency, separated by commas")),
            }
        }
        Ok(series)
    }
}

fn bad(text: &str) -> ApiError {
    ApiError::BadRequest(text.to_owned())
}

impl Request {
    fn new(query: &HistoryQuery, now: Timestamp) -> Result<Self, ApiError> {
        let to = query.to.unwrap_or_else(|| now.0.saturating_add(1));
        let from = query.from.unwrap_or_else(|| to.saturating_sub(HOUR_MS));
        if from >= to {
            return Err(bad("from has to lie before to"));
        }
        let step = match query.step {
            Some(seconds) if seconds > 0 && seconds.is_multiple_of(60) => seconds.saturating_mul(1000),
            Some(_) => return Err(bad("step is a number of seconds, and a multiple of 60")),
            None => default_step(from, to, now),
        };
        let from = from - from % step;
        if (to - from).div_ceil(step) > MOST_POINTS {
            return Err(ApiError::BadRequest(format!(
                "more than {MOST_POINTS} points: ask for a longer step or a shorter time"
            )));
        }
        let series = query.series.as_deref().map_or(Ok(Series::ALL), Series::read)?;
        Ok(Self { from, to, step, series })
    }

    /// The rows that the points are made of: those of an hour wherever they fit, as there are fewer and older ones.
    const fn rows(&self) -> HistoryStep {
        if self.step.is_multiple_of(HOUR_MS) { HistoryStep::Hour } else { HistoryStep::Minute }
    }
}

/// The shortest step that gives a comfortable number of points, of those for which there are rows that far back.
fn default_step(from: u64, to: u64, now: Timestamp) -> u64 {
    let old = now.since(Timestamp(from)) > HistoryStep::Minute.kept() + Duration::from_secs(60);
    let row = if old { HOUR_MS } else { 60_000 };
    (to - from).div_ceil(COMFORTABLE).div_ceil(row).max(1).saturating_mul(row)
}

/// Answers a request from the store.
///
/// # Errors
/// [`ApiError::BadRequest`] when a value makes no sense, [`ApiError::Unavailable`] when the store cannot be read.
pub(crate) async fn history(store: &dyn Store, query: &HistoryQuery, now: Timestamp) -> Result<HistoryDto, ApiError> {
    let request = Request::new(query, now)?;
    let rows =
        store.history(request.rows(), Timestamp(request.from), Timestamp(request.to)).await.map_err(|error| {
            tracing::warn!(code = error.code(), %error, "the history cannot be read");
            ApiError::Unavailable
        })?;
    Ok(HistoryDto { from: request.from, to: request.to, step: request.step / 1000, points: points(&rows, &request) })
}

/// Adds up the rows, which are in the order of time, to points.
fn points(rows: &[HistoryRow], request: &Request) -> Vec<HistoryPointDto> {
    let start = |row: &HistoryRow| row.at.0 - row.at.0 % request.step;
    let of_one_point = rows.chunk_by(|a, b| start(a) == start(b));
    let point = |rows: &[HistoryRow]| {
        let mut sum = HistorySample::default();
        rows.iter().for_each(|row| sum.add(&row.sample));
        point(rows.first().map_or(0, start), &sum, request.series)
    };
    of_one_point.map(point).collect()
}

fn point(at: u64, sample: &HistorySample, series: Series) -> HistoryPointDto {
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let nodes = sample.mean_nodes().filter(|_| series.nodes).map(|nodes| StateCounts {
        new: number(nodes.new),
        healthy: number(nodes.healthy),
        suspect: number(nodes.suspect),
        dead: number(nodes.dead),
        unsupported: number(nodes.unsupported),
        quarantined: number(nodes.quarantined),
        disabled: number(nodes.disabled),
    });
    let requests = || sample.requests.iter().map(|(code, count)| (code.to_string(), *count)).collect();
    let count = sample.latency.total();
    let quantile_ms = |quantile: f64| {
        let time = sample.latency.quantile(quantile).unwrap_or_default();
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    };
    HistoryPointDto {
        at,
        nodes,
        requests: series.requests.then(requests),
        bytes: series.bytes.then_some(HistoryBytesDto { up: sample.up, down: sample.down }),
        latency: (series.latency && count > 0).then(|| HistoryLatencyDto {
            count,
            p50_ms: quantile_ms(0.5),
            p90_ms: quantile_ms(0.9),
            p99_ms: quantile_ms(0.99),
        }),
    }
}
