//! The metrics of fetching: how often, how long, how many bytes.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use crate::{FetchError, Fetched};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BySource {
    source: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByOutcome {
    source: String,
    outcome: &'static str,
}

/// The counters of a [`Fetcher`](crate::Fetcher). Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct FetchMetrics {
    fetches: Family<ByOutcome, Counter>,
    bytes: Family<BySource, Counter>,
    seconds: Histogram,
}

impl Default for FetchMetrics {
    fn default() -> Self {
        let seconds = Histogram::new(exponential_buckets(0.05, 2.0, 13));
        Self { fetches: Family::default(), bytes: Family::default(), seconds }
    }
}

impl FetchMetrics {
    /// Adds the metrics to a registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "hezar_source_fetch",
            "Fetches by source and outcome: ok, not-modified or the code of the failure",
            self.fetches.clone(),
        );
        registry.register("hezar_source_bytes", "Bytes fetched, after decompression", self.bytes.clone());
        registry.register("hezar_source_fetch_seconds", "Time of a fetch", self.seconds.clone());
    }

    pub(crate) fn fetched(&self, source: &str, result: &Result<Fetched, FetchError>, time: Duration) {
        let (outcome, bytes) = match result {
            Ok(Fetched::NotModified) => ("not-modified", 0),
            Ok(Fetched::Documents(documents)) => ("ok", documents.bytes()),
            Err(error) => (error.code(), 0),
        };
        self.fetches.get_or_create(&ByOutcome { source: source.to_owned(), outcome }).inc();
        self.bytes.get_or_create(&BySource { source: source.to_owned() }).inc_by(bytes);
        self.seconds.observe(time.as_secs_f64());
    }
}
