//! Percentiles of multiples over a window that forgets: a histogram whose counts halve with time.

use tokio::time::Instant;

use super::HALF_LIFE;

/// Eight buckets to a doubling, each 9 % wide, from 1/16 to about 100,000.
const BUCKETS: usize = 168;
const PER_DOUBLING: f64 = 8.0;
const LEAST: f64 = 1.0 / 16.0;
/// Fewer than this say nothing about a percentile.
const ENOUGH: f64 = 20.0;

#[derive(Debug)]
pub(super) struct DecayingHistogram {
    counts: [f32; BUCKETS],
    aged: Instant,
}

impl DecayingHistogram {
    pub(super) const fn new(now: Instant) -> Self {
        Self { counts: [0.0; BUCKETS], aged: now }
    }

    pub(super) fn add(&mut self, multiple: f64, now: Instant) {
        self.age(now);
        let place = ((multiple / LEAST).max(1.0).log2() * PER_DOUBLING).ceil();
        // Float to integer casts saturate, and the last bucket takes everything beyond it.
        let place = (place as usize).min(BUCKETS - 1);
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1.0;
        }
    }

    /// The multiple that this share of the measurements does not exceed, rounded up to its bucket's end.
    pub(super) fn percentile(&mut self, share: f64, now: Instant) -> Option<f64> {
        self.age(now);
        let all: f64 = self.counts.iter().copied().map(f64::from).sum();
        if all < ENOUGH {
            return None;
        }
        let mut below = 0.0;
        let place = self.counts.iter().position(|count| {
            below += f64::from(*count);
            below >= all * share
        });
        let place = place.unwrap_or(BUCKETS - 1);
        Some(LEAST * (place as f64 / PER_DOUBLING).exp2())
    }

    /// Eight steps to a half-life: often enough to be smooth, seldom enough to cost nothing.
    fn age(&mut self, now: Instant) {
        let step = HALF_LIFE / 8;
        let elapsed = now.saturating_duration_since(self.aged);
        if elapsed < step {
            return;
        }
        let factor = (-elapsed.as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2() as f32;
        self.counts.iter_mut().for_each(|count| *count *= factor);
        self.aged = now;
    }
}
