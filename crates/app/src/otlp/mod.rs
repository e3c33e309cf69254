//! Sends the spans of sampled requests to an OpenTelemetry collector (OTLP over HTTP, in JSON), and never holds a request up.

mod encode;

use std::{sync::Arc, time::Duration};

use anyhow::anyhow;
use hezar_engine::{
    Attempt, Dialer, TlsClients,
    http::{HttpRequest, ResponseLimits, send},
};
use hezar_gateway::{RequestSpan, RequestTracer};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tokio::{
    sync::{Mutex, mpsc},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{config::OtlpConfig, runtime::Runtime};
use encode::encode;

/// Spans that wait at most; further ones are dropped and counted.
pub(crate) const MOST_WAITING: usize = 4096;
/// The most spans of one request to the collector.
const BATCH: usize = 512;
/// How long a span waits for others at most; also how soon a changed setting counts.
const WAIT: Duration = Duration::from_secs(5);
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The path of traces (OTLP specification, "OTLP/HTTP Request").
const PATH: &str = "/v1/traces";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// Sends spans to a collector.
pub(crate) struct TraceExporter {
    runtime: Arc<Runtime>,
    tracer: RequestTracer,
    collector: Collector,
    traces: Family<ResultLabel, Counter>,
    /// Held by the one task that exports.
    waiting: Mutex<mpsc::Receiver<RequestSpan>>,
}

impl TraceExporter {
    /// An exporter of what `tracer` hands over; the collector is reached by this machine's own sockets, which `direct` opens.
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        (tracer, waiting): (RequestTracer, mpsc::Receiver<RequestSpan>),
        direct: Arc<dyn Dialer>,
        tls: TlsClients,
        registry: &mut Registry,
    ) -> Self {
        let traces = Family::default();
        let help = "Traces of requests: sent to the collector, failed there, or dropped because too many waited";
        registry.register("hezar_otlp_traces", help, traces.clone());
        Self { runtime, tracer, collector: Collector { direct, tls }, traces, waiting: Mutex::new(waiting) }
    }

    /// Exports until `stop`, and what is left then.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut waiting = self.waiting.lock().await;
        let (mut dropped, mut fails) = (self.tracer.dropped(), false);
        while !stop.is_cancelled() {
            let applied = self.runtime.applied();
            let config = &applied.config.otlp;
            self.tracer.set_percent(config.endpoint.as_ref().map_or(0, |_| config.sample_percent));
            let batch = next_batch(&mut waiting, &stop).await;
            let now_dropped = self.tracer.dropped();
            self.count("dropped", now_dropped - dropped);
            dropped = now_dropped;
            if let (Some(endpoint), false) = (&config.endpoint, batch.is_empty()) {
                fails = self.export(endpoint, config, &batch, fails).await;
            }
        }
        self.tracer.set_percent(0);
    }

    /// Sends a batch; says whether that failed. A failure is logged when it is the first one.
    async fn export(&self, endpoint: &Url, config: &OtlpConfig, batch: &[RequestSpan], failed_before: bool) -> bool {
        let ended = self.collector.take(endpoint, config, batch).await;
        let result = if ended.is_ok() { "sent" } else { "failed" };
        self.count(result, batch.len() as u64);
        match &ended {
            Err(error) if !failed_before => tracing::warn!("traces cannot be sent: {error:#}"),
            Ok(()) if failed_before => tracing::info!("traces can be sent again"),
            _ => {}
        }
        ended.is_err()
    }

    fn count(&self, result: &'static str, number: u64) {
        if number > 0 {
            self.traces.get_or_create(&ResultLabel { result }).inc_by(number);
        }
    }
}

/// The spans that come within [`WAIT`] and before `stop`, at most [`BATCH`] of them.
async fn next_batch(waiting: &mut mpsc::Receiver<RequestSpan>, stop: &CancellationToken) -> Vec<RequestSpan> {
    let (end, mut batch) = (Instant::now() + WAIT, Vec::new());
    while batch.len() < BATCH {
        tokio::select! {
            // What waits already is taken, also at the end.
            biased;
            Some(span) = waiting.recv() => batch.push(span),
            () = stop.cancelled() => break,
            () = sleep_until(end) => break,
        }
    }
    batch
}

/// The way to the collector.
struct Collector {
    direct: Arc<dyn Dialer>,
    tls: TlsClients,
}

impl Collector {
    /// Gives the collector a batch.
    ///
    /// # Errors
    /// Why it did not take it.
    async fn take(&self, endpoint: &Url, config: &OtlpConfig, batch: &[RequestSpan]) -> anyhow::Result<()> {
        let mut url = endpoint.clone();
        if !url.path().ends_with(PATH) {
            url.set_path(&format!("{}{PATH}", url.path().trim_end_matches('/')));
        }
        let mut request =
            HttpRequest::of_url(&url)?.with_body("application/json", encode(batch, &config.service).to_string())?;
        if let Some(token) = &config.bearer {
            request = request.with_header("authorization", &format!("Bearer {}", token.expose()))?;
        }
        let attempt = Attempt::within(PATIENCE);
        let answer = send(&*self.direct, &self.tls, &request, &attempt, ResponseLimits::default()).await;
        // The text of such an error has its cause in it.
        let answer = answer.map_err(|error| anyhow!("{error}"))?;
        anyhow::ensure!(answer.status() / 100 == 2, "the collector answers with the status {}", answer.status());
        Ok(())
    }
}
