//! Bounds how much is read from clients that were refused, all of them together.
//!
//! A refused client is read from for a moment, so that it can read the answer; a crowd of hostile clients must not make that
//! expensive.

use std::time::Duration;

use tokio::time::Instant;

use super::limits::Rate;

/// The bytes that are read from a refused client at a time.
pub(crate) const READ_SIZE: usize = 32 * 1024;
/// Reads per second: 8 MiB, hardly a hundredth of one processor.
const READS_PER_SECOND: u32 = 256;

/// The reads that may still be made.
#[derive(Debug)]
pub(crate) struct RejectBudget {
    began: Instant,
    pieces: Rate,
}

impl RejectBudget {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), pieces: Rate::default() }
    }

    /// Whether another piece may be read from a client that was refused already.
    pub(crate) fn allows_read(&self) -> bool {
        self.pieces.take(READS_PER_SECOND, self.age())
    }

    fn age(&self) -> Duration {
        self.began.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_client_is_heard_out_and_a_crowd_is_not() {
        let reject_budget = RejectBudget::new();
        let heard = |most: u32| (0..most).filter(|_| reject_budget.allows_read()).count();
        assert_eq!(heard(64), 64, "two megabytes of one client");
        assert_eq!(heard(1_000_000), 256 - 64, "a second's worth for everybody");
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(heard(1_000_000), 128);
    }
}
