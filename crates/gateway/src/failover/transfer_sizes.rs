//! How much the requests of each user move: whoever moves much is better served by a node that moves much.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many users are remembered; of two with the same place the last one is.
const PLACES: usize = 1024;
/// The weight of one request in the mean.
const WEIGHT: f32 = 0.1;

/// In each place a user (the upper half of the key) and the mean number of bytes of its requests, as an `f32`.
#[derive(Debug)]
pub(crate) struct TransferSizes {
    places: Box<[AtomicU64]>,
}

impl Default for TransferSizes {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl TransferSizes {
    /// How many bytes a request of this user moves, both ways together; 0 while that is unknown.
    pub(crate) fn expected(&self, user: u64) -> f32 {
        let word = self.place(user).map_or(0, |place| place.load(Relaxed));
        mean_of(word, user).unwrap_or(0.0)
    }

    /// A request of this user is over.
    pub(crate) fn record(&self, user: u64, bytes: u64) {
        let Some(place) = self.place(user) else { return };
        let update = |word| {
            let mean = mean_of(word, user).unwrap_or(0.0);
            let mean = mean + (bytes as f32 - mean) * WEIGHT;
            Some((user >> 32 << 32) | u64::from(mean.to_bits()))
        };
        // The closure never declines.
        let _ = place.fetch_update(Relaxed, Relaxed, update);
    }

    /// The key is a hash: its lower half chooses the place.
    fn place(&self, user: u64) -> Option<&AtomicU64> {
        self.places.get(user as usize % PLACES)
    }
}

fn mean_of(word: u64, user: u64) -> Option<f32> {
    (word >> 32 == user >> 32).then(|| f32::from_bits(word as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: u64 = 0x1234_5678_0000_0001;
    const BOB: u64 = 0x9234_5678_0000_0001;

    #[test]
    fn the_mean_follows_what_a_user_moves() {
        let sizes = TransferSizes::default();
        assert_eq!(sizes.expected(ALICE), 0.0);
        sizes.record(ALICE, 20 << 20);
        assert!(sizes.expected(ALICE) > 1e6, "one download says something");
        (0..100).for_each(|_| sizes.record(ALICE, 20 << 20));
        assert!((2.0e7..2.1e7).contains(&sizes.expected(ALICE)));
        (0..100).for_each(|_| sizes.record(ALICE, 1000));
        assert!(sizes.expected(ALICE) < 2000.0, "it forgets");
    }

    #[test]
    fn one_user_displaces_another_and_never_stands_for_it() {
        let sizes = TransferSizes::default();
        sizes.record(ALICE, 1 << 30);
        assert_eq!(sizes.expected(BOB), 0.0);
        sizes.record(BOB, 1000);
        assert_eq!(sizes.expected(ALICE), 0.0);
        assert!(sizes.expected(BOB) <= 1000.0);
    }
}
