//! The number of probes that may start per second: a bucket of tokens that fills with time.

use std::time::Duration;

use hezar_core::Timestamp;

/// The bucket. It holds at most what a quarter of a second brings (at least one token), so that a pause is not
/// followed by a flood.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    per_second: u32,
    /// Thousandths of a token.
    level: u64,
    filled: Timestamp,
}

impl TokenBucket {
    /// A full bucket; 0 per second means that nothing is limited.
    pub(crate) fn new(per_second: u32, now: Timestamp) -> Self {
        let mut bucket = Self { per_second, level: 0, filled: now };
        bucket.level = bucket.most();
        bucket
    }

    fn most(&self) -> u64 {
        (u64::from(self.per_second) * 250).max(1000)
    }

    fn fill(&mut self, now: Timestamp) {
        // A token per second is a thousandth per millisecond.
        let gained = now.0.saturating_sub(self.filled.0).saturating_mul(u64::from(self.per_second));
        self.level = self.level.saturating_add(gained).min(self.most());
        self.filled = self.filled.max(now);
    }

    /// Whether a token is there.
    pub(crate) fn has(&mut self, now: Timestamp) -> bool {
        self.fill(now);
        self.per_second == 0 || self.level >= 1000
    }

    /// Whether nothing was taken for a while.
    pub(crate) fn is_full(&mut self, now: Timestamp) -> bool {
        self.fill(now);
        self.per_second == 0 || self.level >= self.most()
    }

    /// Takes a token.
    pub(crate) const fn take(&mut self) {
        self.level = self.level.saturating_sub(1000);
    }

    /// How long until a token is there.
    pub(crate) fn wait(&self) -> Duration {
        if self.per_second == 0 {
            return Duration::ZERO;
        }
        Duration::from_millis(1000_u64.saturating_sub(self.level).div_ceil(u64::from(self.per_second)))
    }
}
