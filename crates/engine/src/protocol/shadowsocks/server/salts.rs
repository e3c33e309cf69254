//! Remembers the salts of requests, so that a request that is sent again is known.

use std::collections::HashSet;

use parking_lot::Mutex;

/// How many bytes of a salt are remembered. Salts are random, so two different ones never begin alike.
const REMEMBERED: usize = 16;

/// When a generation of salts makes room for the next one. A salt is remembered for one generation at least and two at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    /// After so many seconds; beyond `most` salts in all, every further request counts as a repetition.
    Seconds { length: u64, most: usize },
    /// After so many salts.
    Salts(usize),
}

/// The salts that were seen last.
#[derive(Debug)]
pub(super) struct ReplayFilter {
    generation: Generation,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    current: HashSet<[u8; REMEMBERED]>,
    last: HashSet<[u8; REMEMBERED]>,
    /// When the current generation began, in Unix seconds.
    began: u64,
}

impl ReplayFilter {
    /// A filter that has seen nothing.
    pub(super) fn new(generation: Generation) -> Self {
        Self { generation, seen: Mutex::default() }
    }

    /// Notes a salt at a time in Unix seconds. Returns false when it was noted before, or cannot be noted.
    ///
    /// Only salts of requests that have opened may be noted: strangers must not be able to fill the filter.
    pub(super) fn accept(&self, salt: &[u8], now: u64) -> bool {
        let mut start = [0; REMEMBERED];
        start.iter_mut().zip(salt).for_each(|(to, from)| *to = *from);
        let mut seen = self.seen.lock();
        seen.turn(self.generation, now);
        if seen.is_full(self.generation) {
            tracing::warn!(
                "a Shadowsocks listener has too many new connections to know repeated ones; it refuses the next ones"
            );
            return false;
        }
        !seen.last.contains(&start) && seen.current.insert(start)
    }
}

impl Seen {
    /// Begins the next generation when it is time for it.
    fn turn(&mut self, generation: Generation, now: u64) {
        let age = now.saturating_sub(self.began);
        match generation {
            Generation::Salts(most) if self.current.len() < most => {}
            Generation::Seconds { length, .. } if age < length => {}
            // Nothing that old is accepted any more.
            Generation::Seconds { length, .. } if age >= 2 * length => {
                (self.current, self.last, self.began) = (HashSet::new(), HashSet::new(), now);
            }
            _ => {
                self.last = std::mem::take(&mut self.current);
                self.began = now;
            }
        }
    }

    fn is_full(&self, generation: Generation) -> bool {
        matches!(generation, Generation::Seconds { most, .. } if self.current.len() + self.last.len() >= most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn salt(number: u32) -> Vec<u8> {
        number.to_be_bytes().repeat(8)
    }

    #[test]
    fn a_salt_is_remembered_for_a_whole_generation() {
        let filter = ReplayFilter::new(Generation::Seconds { length: 60, most: 100 });
        assert!(filter.accept(&salt(1), 1000));
        assert!(filter.accept(&salt(2), 1059));
        for now in [1000, 1059, 1060, 1118] {
            assert!(!filter.accept(&salt(2), now), "{now}");
        }
        assert!(filter.accept(&salt(3), 1119));
        assert!(!filter.accept(&salt(3), 1178));
        assert!(filter.accept(&salt(1), 1240), "it is forgotten when its request would be too old anyway");
    }

    #[test]
    fn a_pause_forgets_both_generations() {
        let filter = ReplayFilter::new(Generation::Seconds { length: 60, most: 2 });
        assert!(filter.accept(&salt(1), 1000) && filter.accept(&salt(2), 1000));
        assert!(!filter.accept(&salt(3), 1001), "it is full");
        assert!(!filter.accept(&salt(3), 1061), "the last generation counts too");
        assert!(filter.accept(&salt(3), 1200));
    }

    #[test]
    fn generations_by_number_turn_over() {
        let filter = ReplayFilter::new(Generation::Salts(10));
        for number in 0..15 {
            assert!(filter.accept(&salt(number), 0));
        }
        for number in 0..15 {
            assert!(!filter.accept(&salt(number), 0), "{number}");
        }
        for number in 15..40 {
            assert!(filter.accept(&salt(number), 0));
        }
        assert!(filter.accept(&salt(0), 0), "the oldest ones are forgotten");
        let seen = filter.seen.lock();
        assert!(seen.current.len() + seen.last.len() <= 20);
    }
}
