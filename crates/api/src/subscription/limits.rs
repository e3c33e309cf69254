//! How often subscriptions are read and tokens are guessed, counted in windows of a minute.

use std::{collections::HashMap, hash::Hash, net::IpAddr, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::peer::network;

/// The time for which requests are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// The most readings of one subscription by one address.
const MOST_READINGS: u32 = 60;
/// The most readings of one subscription by all addresses: each walks over all nodes.
const MOST_READINGS_BY_ALL: u32 = 600;
/// The most unknown tokens of one address.
const MOST_UNKNOWN: u32 = 20;
/// The most entries of a table. While it is full of entries of this minute, further ones are refused.
const MOST_ENTRIES: usize = 16_384;

/// Counts of requests.
#[derive(Debug, Default)]
pub(super) struct RateLimits {
    readings: Mutex<Table<(String, IpAddr)>>,
    readings_by_all: Mutex<Table<String>>,
    unknown: Mutex<Table<IpAddr>>,
}

#[derive(Debug)]
struct Table<K>(HashMap<K, Window>);

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Instant,
    count: u32,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl RateLimits {
    /// Whether an address has guessed too often to be answered at all, also with the right token: the answer would tell.
    pub(super) fn may_guess(&self, peer: IpAddr) -> bool {
        self.unknown.lock().count(&network(peer)) < MOST_UNKNOWN
    }

    /// Counts an unknown token.
    pub(super) fn note_unknown(&self, peer: IpAddr) {
        self.unknown.lock().add(network(peer));
    }

    /// Counts a reading; false when there are too many.
    pub(super) fn may_read(&self, name: &str, peer: IpAddr) -> bool {
        let (reader, mut readings) = ((name.to_owned(), network(peer)), self.readings.lock());
        // A reader that is refused counts no further: it takes nothing from the others.
        readings.count(&reader) < MOST_READINGS
            && self.readings_by_all.lock().add(name.to_owned()) <= MOST_READINGS_BY_ALL
            && readings.add(reader) <= MOST_READINGS
    }
}

impl<K: Hash + Eq> Table<K> {
    fn count(&self, key: &K) -> u32 {
        self.0.get(key).filter(|window| window.began.elapsed() < WINDOW).map_or(0, |window| window.count)
    }

    /// The count with this one.
    fn add(&mut self, key: K) -> u32 {
        let now = Instant::now();
        if self.0.len() >= MOST_ENTRIES {
            self.0.retain(|_, window| window.began.elapsed() < WINDOW);
        }
        if self.0.len() >= MOST_ENTRIES && !self.0.contains_key(&key) {
            return u32::MAX;
        }
        let window = self.0.entry(key).or_insert(Window { began: now, count: 0 });
        if window.began.elapsed() >= WINDOW {
            *window = Window { began: now, count: 0 };
        }
        window.count = window.count.saturating_add(1);
        window.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_address_has_its_own_count_for_a_minute() {
        let limits = RateLimits::default();
        let (one, neighbour, other): (IpAddr, IpAddr, IpAddr) =
            ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap(), "2001:db8:0:1::1".parse().unwrap());
        for _ in 0..MOST_UNKNOWN {
            assert!(limits.may_guess(one));
            limits.note_unknown(one);
        }
        assert!(!limits.may_guess(neighbour) && limits.may_guess(other));
        assert!((0..MOST_READINGS).all(|_| limits.may_read("mine", one)));
        assert!(!limits.may_read("mine", neighbour) && limits.may_read("other", one) && limits.may_read("mine", other));
        tokio::time::advance(WINDOW).await;
        assert!(limits.may_guess(one) && limits.may_read("mine", one));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_everybody_knows_is_read_so_often_and_no_more() {
        let limits = RateLimits::default();
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        let allowed = (0..2 * MOST_READINGS_BY_ALL).filter(|n| limits.may_read("mine", address(*n))).count();
        assert_eq!(allowed, MOST_READINGS_BY_ALL as usize);
        assert!(limits.may_read("other", address(0)));
        tokio::time::advance(WINDOW).await;
        assert!(limits.may_read("mine", address(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_tables_are_bounded() {
        let mut table = Table::default();
        for number in 0..MOST_ENTRIES {
            assert_eq!(table.add(number), 1);
        }
        assert_eq!((table.add(MOST_ENTRIES), table.add(0)), (u32::MAX, 2));
        tokio::time::advance(WINDOW).await;
        assert_eq!((table.add(MOST_ENTRIES), table.0.len()), (1, 1));
    }
}
