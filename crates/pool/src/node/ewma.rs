//! A moving average that forgets with time, in one atomic word.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use hezar_core::Timestamp;

/// The least weight of a new sample, so that a burst within one moment still counts.
const LEAST_WEIGHT: f32 = 0.05;

/// No sample yet. As a value it is a NaN, which no sample can produce.
const EMPTY: u64 = (f32::NAN.to_bits() as u64) << 32;

/// A time-decayed average of samples that are finite and not negative.
///
/// The high half of the word is the average as an `f32`, the low half the time of the last sample in units of 64 ms
/// (it wraps after 8 years, which only blurs one weight).
#[derive(Debug)]
pub(crate) struct Ewma(AtomicU64);

impl Ewma {
    /// An average that starts at a known value.
    pub(crate) fn starting(value: Option<f32>, at: Timestamp) -> Self {
        let value = value.filter(|v| v.is_finite() && *v >= 0.0);
        Self(AtomicU64::new(value.map_or(EMPTY, |v| pack(v, ticks(at)))))
    }

    /// The average, or nothing before the first sample.
    pub(crate) fn get(&self) -> Option<f32> {
        let value = f32::from_bits((self.0.load(Relaxed) >> 32) as u32);
        (!value.is_nan()).then_some(value)
    }

    /// Takes over an average that somebody else has made of samples until `at`; nothing when it is none.
    pub(crate) fn set(&self, value: Option<f32>, at: Timestamp) {
        let value = value.filter(|v| v.is_finite() && *v >= 0.0);
        self.0.store(value.map_or(EMPTY, |v| pack(v, ticks(at))), Relaxed);
    }

    /// Forgets every sample.
    pub(crate) fn clear(&self) {
        self.0.store(EMPTY, Relaxed);
    }

    /// Adds a sample. Its weight grows with the time since the last one: `1 - exp(-elapsed / memory)`.
    pub(crate) fn add(&self, sample: f32, now: Timestamp, memory: Duration) {
        self.add_at_most(sample, 1.0, now, memory);
    }

    /// The same, with no more weight than `most`, 0.05 to 1: for samples of which one alone says little.
    pub(crate) fn add_at_most(&self, sample: f32, most: f32, now: Timestamp, memory: Duration) {
        let now = ticks(now);
        let update = |word: u64| {
            let old = f32::from_bits((word >> 32) as u32);
            if old.is_nan() {
                return Some(pack(sample, now));
            }
            // A time before the last sample's wraps to a huge number; it means "no time at all".
            let elapsed = now.wrapping_sub(word as u32);
            let elapsed = if elapsed > u32::MAX / 2 { 0.0 } else { elapsed as f32 * 0.064 };
            let weight =
                (1.0 - (-elapsed / memory.as_secs_f32().max(0.001)).exp()).clamp(LEAST_WEIGHT, most.max(LEAST_WEIGHT));
            Some(pack(old + (sample - old) * weight, now))
        };
        // The closure never declines, so this cannot fail.
        let _ = self.0.fetch_update(Relaxed, Relaxed, update);
    }
}

fn ticks(time: Timestamp) -> u32 {
    (time.0 / 64) as u32
}

fn pack(value: f32, ticks: u32) -> u64 {
    (u64::from(value.to_bits()) << 32) | u64::from(ticks)
}
