//! How often durations fell into fixed buckets: counts that can be added up exactly, with percentiles read from them.

use std::time::Duration;

/// Counts of durations in fixed buckets. Buckets of two times or two instances add up to those of both, which averages of
/// percentiles do not.
///
/// The first bucket ends at 1 ms, each further one at √2 times the end of the one before, the last but one at 65.5 s; the last
/// one holds everything above. A percentile read from them is off by √2 at most, by a tenth as a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyBuckets([u64; Self::COUNT]);

impl Default for LatencyBuckets {
    fn default() -> Self {
        Self([0; Self::COUNT])
    }
}

impl LatencyBuckets {
    /// The number of buckets.
    pub const COUNT: usize = 34;

    /// Buckets with these counts; what is missing is zero, what is too much is left out.
    #[must_use]
    pub fn from_counts(counts: impl IntoIterator<Item = u64>) -> Self {
        let mut buckets = Self::default();
        buckets.0.iter_mut().zip(counts).for_each(|(bucket, count)| *bucket = count);
        buckets
    }

    /// The counts, the shortest durations first.
    #[must_use]
    pub const fn counts(&self) -> &[u64; Self::COUNT] {
        &self.0
    }

    /// The number of the bucket that a duration falls into.
    #[must_use]
    pub fn bucket_of(duration: Duration) -> usize {
        let halves = (duration.as_secs_f64() * 1e3).max(1.0).log2() * 2.0;
        // Whole powers must not slip upwards by rounding.
        ((halves - 1e-9).ceil().max(0.0) as usize).min(Self::COUNT - 1)
    }

    /// Where a bucket ends, in milliseconds; the last one has no end and says that of a bucket more.
    fn end_ms(bucket: usize) -> f64 {
        (bucket as f64 / 2.0).exp2()
    }

    /// How many durations there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Adds the counts of other buckets.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(bucket, count)| *bucket = bucket.saturating_add(count));
    }

    /// What has come since `earlier`, a reading of the same counters.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self::from_counts(self.0.iter().zip(earlier.0).map(|(now, then)| now.saturating_sub(then)))
    }

    /// The duration that the share `quantile` (0 to 1) of all does not exceed, interpolated within its bucket; `None` when there
    /// are none.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let wanted = quantile.clamp(0.0, 1.0) * total as f64;
        let mut below = 0.0;
        for (bucket, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = *count as f64;
            if below + count >= wanted {
                let start = if bucket == 0 { 0.0 } else { Self::end_ms(bucket - 1) };
                let within = ((wanted - below) / count).clamp(0.0, 1.0);
                return Some(Duration::from_secs_f64((start + (Self::end_ms(bucket) - start) * within) / 1e3));
            }
            below += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_end_where_they_say() {
        for (ms, bucket) in [(0, 0), (1, 0), (2, 2), (4, 4), (1024, 20), (65_536, 32), (65_537, 33), (u64::MAX, 33)] {
            assert_eq!(LatencyBuckets::bucket_of(Duration::from_millis(ms)), bucket, "{ms} ms");
        }
        assert_eq!(LatencyBuckets::default().quantile(0.5), None);
    }

    proptest! {
        /// A quantile lies in the bucket of the exact one, and buckets of parts add up to those of the whole.
        #[test]
        fn quantiles_are_those_of_the_sorted_list(mut ms in proptest::collection::vec(1_u64..60_000, 1..300), cut in 0_usize..300) {
            let of = |list: &[u64]| {
                let mut counts = [0; LatencyBuckets::COUNT];
                list.iter().for_each(|ms| counts[LatencyBuckets::bucket_of(Duration::from_millis(*ms))] += 1);
                LatencyBuckets::from_counts(counts)
            };
            let whole = of(&ms);
            let (first, second) = ms.split_at(cut.min(ms.len()));
            let mut sum = of(first);
            sum.add(&of(second));
            prop_assert_eq!(&sum, &whole);
            prop_assert_eq!(whole.since(&of(first)), of(second));
            ms.sort_unstable();
            for quantile in [0.5, 0.9, 0.99, 1.0] {
                let rank = ((quantile * ms.len() as f64).ceil() as usize).clamp(1, ms.len());
                let exact = Duration::from_millis(ms[rank - 1]);
                let read = whole.quantile(quantile).unwrap();
                let ratio = read.as_secs_f64() / exact.as_secs_f64();
                prop_assert!((0.70..=1.42).contains(&ratio), "{quantile}: {read:?} for {exact:?}");
            }
        }
    }
}
