//! The targets that some node has lately reached: a node that says such a one cannot be reached is not believed at once.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use hezar_core::Timestamp;

/// How many targets are remembered; of two with the same place the newer one is.
const PLACES: u64 = 1024;
/// How long.
const MEMORY: Duration = Duration::from_secs(30);

/// In each place one target: the upper half of its key, and the second in which it was reached.
#[derive(Debug)]
pub(crate) struct Reached(Vec<AtomicU64>);

impl Default for Reached {
    fn default() -> Self {
        Self((0..PLACES).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Reached {
    /// The target with this key has answered.
    pub(crate) fn note(&self, key: u64, now: Timestamp) {
        let entry = (half(key) << 32) | second(now);
        // Mostly nothing new: one target's requests shall not fight over the place.
        if let Some(place) = self.place(key).filter(|place| place.load(Ordering::Relaxed) != entry) {
            place.store(entry, Ordering::Relaxed);
        }
    }

    /// Whether it has lately.
    pub(crate) fn lately(&self, key: u64, now: Timestamp) -> bool {
        let entry = self.place(key).map_or(0, |place| place.load(Ordering::Relaxed));
        let age = second(now).saturating_sub(entry & u64::from(u32::MAX));
        entry >> 32 == half(key) && Duration::from_secs(age) <= MEMORY
    }

    fn place(&self, key: u64) -> Option<&AtomicU64> {
        self.0.get(usize::try_from(key % PLACES).ok()?)
    }
}

/// Never 0, which an empty place has.
const fn half(key: u64) -> u64 {
    (key >> 32) | 1
}

/// Enough for the year 2106.
const fn second(now: Timestamp) -> u64 {
    (now.0 / 1000) & u32::MAX as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_for_a_while_and_the_newest_of_a_place() {
        let (reached, start) = (Reached::default(), Timestamp(1_800_000_000_000));
        let key = |number: u64| number << 40 | 7;
        assert!(!reached.lately(key(1), start));
        reached.note(key(1), start);
        assert!(reached.lately(key(1), start.after(MEMORY)));
        assert!(!reached.lately(key(1), start.after(MEMORY + Duration::from_secs(1))));
        assert!(!reached.lately(key(2), start));
        reached.note(key(2), start);
        assert!(reached.lately(key(2), start) && !reached.lately(key(1), start));
    }
}
