//! Percentiles of durations over a window that forgets: a histogram whose counts halve with time.

use std::time::Duration;

use tokio::time::Instant;

use super::HALF_LIFE;

/// Four buckets to a doubling, from 1 ms to about a minute.
const BUCKETS: usize = 64;
const PER_DOUBLING: f64 = 4.0;
/// Fewer than this say nothing about a percentile.
const ENOUGH: f64 = 20.0;

#[derive(Debug)]
pub(super) struct DecayingHistogram {
    counts: [f64; BUCKETS],
    aged: Instant,
}

impl DecayingHistogram {
    pub(super) const fn new(now: Instant) -> Self {
        Self { counts: [0.0; BUCKETS], aged: now }
    }

    pub(super) fn add(&mut self, took: Duration, now: Instant) {
        self.age(now);
        let place = ((took.as_secs_f64() * 1000.0).max(1.0).log2() * PER_DOUBLING).ceil();
        // Float to integer casts saturate, and the last bucket takes everything beyond it.
        let place = (place as usize).min(BUCKETS - 1);
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1.0;
        }
    }

    /// The duration that this share of the measurements does not exceed, rounded up to its bucket's end.
    pub(super) fn percentile(&mut self, share: f64, now: Instant) -> Option<Duration> {
        self.age(now);
        let all: f64 = self.counts.iter().sum();
        if all < ENOUGH {
            return None;
        }
        let mut below = 0.0;
        let place = self.counts.iter().position(|count| {
            below += count;
            below >= all * share
        });
        let place = place.unwrap_or(BUCKETS - 1);
        Some(Duration::from_secs_f64((place as f64 / PER_DOUBLING).exp2() / 1000.0))
    }

    /// Eight steps to a half-life: often enough to be smooth, seldom enough to cost nothing.
    fn age(&mut self, now: Instant) {
        let step = HALF_LIFE / 8;
        let elapsed = now.saturating_duration_since(self.aged);
        if elapsed < step {
            return;
        }
        let factor = (-elapsed.as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2();
        self.counts.iter_mut().for_each(|count| *count *= factor);
        self.aged = now;
    }
}
