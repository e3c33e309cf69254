//! The smoothed speed of transfers, of a node or of all nodes behind one exit.

use std::time::Duration;

use hezar_core::Timestamp;

use super::ewma::Ewma;

/// The most that one transfer weighs, and after which time the ones before it are forgotten.
const ONE_TRANSFER: f32 = 0.3;
const MEMORY: Duration = Duration::from_secs(600);

/// A moving average in bytes a second, in one atomic word.
#[derive(Debug)]
pub(crate) struct Throughput(Ewma);

impl Throughput {
    /// Nothing has moved yet.
    pub(crate) fn new() -> Self {
        Self(Ewma::starting(None, Timestamp(0)))
    }

    /// The average, or nothing before the first transfer.
    pub(crate) fn get(&self) -> Option<f32> {
        self.0.get()
    }

    /// Takes in one transfer; what is no speed is left out.
    pub(crate) fn record(&self, bytes_per_sec: f32, now: Timestamp) {
        if bytes_per_sec.is_finite() && bytes_per_sec >= 0.0 {
            self.0.add_at_most(bytes_per_sec, ONE_TRANSFER, now, MEMORY);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.0.clear();
    }
}
