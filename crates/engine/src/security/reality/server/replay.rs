//! Remembers the hellos of clients, so that one which is sent a second time is a stranger's.
//!
//! Without it a watcher could send a client's hello once more, and would get an answer that the site does not give.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, LazyLock, Weak},
};

use parking_lot::Mutex;

/// The most hellos that one generation keeps, in about 18 MiB. A new one beyond it is refused, since it might be an old one.
const MOST: usize = 1 << 20;

/// A server's public key, and how far clocks may differ, in seconds.
type Server = ([u8; 32], u32);

/// The memory of one server. Only hellos of clients are noted, so strangers cannot fill it.
#[derive(Debug)]
pub(super) struct SeenHellos {
    /// Hellos are remembered since this time, in Unix seconds.
    since: u32,
    /// How long a hello is remembered at least, in seconds.
    lifetime: u32,
    hasher: RandomState,
    generations: Mutex<Generations>,
}

#[derive(Debug)]
struct Generations {
    /// When the young one began, in Unix seconds.
    begun: u32,
    young: HashSet<u64>,
    old: HashSet<u64>,
}

impl SeenHellos {
    /// The memory of the server with this public key, which every configuration with the key and the difference of clocks (in seconds) shares:
    /// a reload forgets nothing. `now` is in Unix seconds.
    pub(super) fn of_server(public_key: [u8; 32], difference: u32, now: u32) -> Arc<Self> {
        static ALL: LazyLock<Mutex<HashMap<Server, Weak<SeenHellos>>>> = LazyLock::new(Mutex::default);
        let mut all = ALL.lock();
        all.retain(|_, seen| seen.strong_count() > 0);
        let server = (public_key, difference);
        if let Some(seen) = all.get(&server).and_then(Weak::upgrade) {
            return seen;
        }
        let seen = Arc::new(Self::new(difference, now));
        all.insert(server, Arc::downgrade(&seen));
        seen
    }

    fn new(difference: u32, now: u32) -> Self {
        let generations = Generations { begun: now, young: HashSet::new(), old: HashSet::new() };
        // A hello is good from `difference` before its own time until `difference` after it.
        let lifetime = difference.saturating_mul(2).saturating_add(1);
        Self { since: now, lifetime, hasher: RandomState::new(), generations: generations.into() }
    }

    /// Whether a hello with this time may have been seen by an earlier process.
    pub(super) const fn is_older(&self, time: u32) -> bool {
        time < self.since
    }

    /// Notes a client's hello. False when it was seen before, or when nothing more can be remembered. `now` is in Unix seconds.
    pub(super) fn note(&self, random: &[u8; 32], session_id: &[u8; 32], now: u32) -> bool {
        let hello = self.hasher.hash_one((random, session_id));
        let mut generations = self.generations.lock();
        if now.saturating_sub(generations.begun) >= self.lifetime {
            generations.begun = now;
            generations.old = std::mem::take(&mut generations.young);
        }
        !generations.old.contains(&hello) && generations.young.len() < MOST && generations.young.insert(hello)
    }
}

#[cfg(test)]
mod tests {
    use super::SeenHellos;

    /// Its time may be 60 s ahead when it is noted, and is good for 60 s more.
    #[test]
    fn a_hello_is_new_once_for_as_long_as_its_time_is_good() {
        for noted in [1000, 1060, 1120, 1121, 1122, 5000] {
            let seen = SeenHellos::new(60, 1000);
            assert!(seen.note(&[1; 32], &[0; 32], noted));
            assert!(seen.note(&[1; 32], &[2; 32], noted));
            for later in 0..=120 {
                assert!(!seen.note(&[1; 32], &[0; 32], noted + later), "{noted} {later}");
            }
        }
    }

    #[test]
    fn what_its_time_refuses_is_forgotten() {
        let seen = SeenHellos::new(60, 1000);
        assert!(seen.note(&[1; 32], &[0; 32], 1000));
        assert!(seen.note(&[2; 32], &[0; 32], 1130));
        assert!(seen.note(&[3; 32], &[0; 32], 1260));
        assert_eq!(seen.generations.lock().old.len(), 1);
        assert!(seen.note(&[1; 32], &[0; 32], 1260));
    }

    #[test]
    fn a_new_configuration_forgets_nothing_and_a_new_process_trusts_nothing_older() {
        let first = SeenHellos::of_server([7; 32], 60, 1000);
        assert!(first.note(&[1; 32], &[0; 32], 1000));
        let second = SeenHellos::of_server([7; 32], 60, 1010);
        assert!(!second.note(&[1; 32], &[0; 32], 1010));
        assert!(second.is_older(999) && !second.is_older(1000));
        assert!(SeenHellos::of_server([8; 32], 60, 1010).is_older(1005));
        drop((first, second));
        assert!(SeenHellos::of_server([7; 32], 60, 1020).is_older(1019));
    }
}
