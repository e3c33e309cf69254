//! Why a source could not be read.

use hezar_core::Timestamp;
use hezar_fetch::{FetchError, FetchOutcome};

/// Why a fetch brought nothing useful.
pub(super) struct Failure {
    pub(super) code: &'static str,
    pub(super) text: String,
    pub(super) ended: FetchOutcome,
}

impl Failure {
    pub(super) const fn new(code: &'static str, text: String) -> Self {
        Self { code, text, ended: FetchOutcome::Failed }
    }

    /// The failure of a fetch, with the time before which it is not tried again. Times that servers name are those of the wall clock.
    pub(super) fn of_fetch(error: &FetchError, now: Timestamp, wall: Timestamp) -> Self {
        let until = error.retry_at().map(|until| now.after(until.since(wall)));
        let ended = until.map_or(FetchOutcome::Failed, |until| FetchOutcome::RateLimited { until });
        Self { ended, ..Self::new(error.code(), error.to_string()) }
    }
}
