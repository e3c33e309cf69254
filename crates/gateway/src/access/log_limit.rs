//! Limits log lines of the same code about the same client: a few at once, then some per minute, and a count of the rest.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use ahash::AHashMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{client_key, limits::Rate};

/// The lines with one code about one client that may come at once.
const AT_ONCE: u32 = 10;
/// The time between two lines when they go on.
const EVERY: Duration = Duration::from_secs(6);
/// The lines per second about all clients together.
const OF_ALL: u32 = 50;
/// The most pairs of a code and a client that are remembered.
const MOST: usize = 4096;

/// What was told lately.
#[derive(Debug)]
pub(crate) struct LogLimit {
    began: Instant,
    of_all: Rate,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    pairs: AHashMap<(&'static str, IpAddr), Told>,
    /// What was left out for pairs that are forgotten.
    left_out: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Default)]
struct Told {
    /// The time up to which the lines so far are paid for.
    paid: Duration,
    left_out: u64,
}

impl LogLimit {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), of_all: Rate::default(), table: Mutex::default() }
    }

    /// Whether the log may be told; gives how many lines like this one were left out before it.
    pub(crate) fn permits(&self, code: &'static str, client: IpAddr) -> Option<u64> {
        let now = self.began.elapsed();
        let mut table = self.table.lock();
        let Some(told) = table.entry(code, client_key(client), now) else {
            *table.left_out.entry(code).or_default() += 1;
            return None;
        };
        let next = told.paid.max(now) + EVERY;
        if next <= now + EVERY * AT_ONCE && self.of_all.take(OF_ALL, now) {
            told.paid = next;
            return Some(std::mem::take(&mut told.left_out));
        }
        told.left_out += 1;
        None
    }

    /// What has been left out since it was last asked, by code.
    pub(crate) fn take_left_out(&self) -> BTreeMap<&'static str, u64> {
        let mut table = self.table.lock();
        let mut all = std::mem::take(&mut table.left_out);
        for ((code, _), told) in &mut table.pairs {
            if told.left_out > 0 {
                *all.entry(code).or_default() += std::mem::take(&mut told.left_out);
            }
        }
        all
    }
}

impl Table {
    /// The pair's entry; nothing when there is no room for it.
    fn entry(&mut self, code: &'static str, client: IpAddr, now: Duration) -> Option<&mut Told> {
        let pair = (code, client);
        if self.pairs.len() >= MOST && !self.pairs.contains_key(&pair) {
            let left_out = &mut self.left_out;
            self.pairs.retain(|(code, _), told| {
                let keep = told.paid > now;
                if !keep && told.left_out > 0 {
                    *left_out.entry(code).or_default() += told.left_out;
                }
                keep
            });
            if self.pairs.len() >= MOST {
                return None;
            }
        }
        Some(self.pairs.entry(pair).or_default())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn client(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_a_few_lines_and_a_count() {
        let log = LogLimit::new();
        let told = |most: u32| (0..most).filter_map(|_| log.permits("auth-wrong", client(1))).count();
        assert_eq!(told(100_000), 10);
        assert_eq!(log.permits("auth-missing", client(1)), Some(0), "another code is another matter");
        assert_eq!(log.permits("auth-wrong", client(2)), Some(0), "and so is another client");
        advance(EVERY).await;
        assert_eq!(log.permits("auth-wrong", client(1)), Some(99_990));
        assert_eq!(told(1000), 0);
        assert_eq!(log.take_left_out(), BTreeMap::from([("auth-wrong", 1000)]));
        assert!(log.take_left_out().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn many_clients_do_not_fill_log_or_memory() {
        let log = LogLimit::new();
        let told = (0..100_000).filter_map(|number| log.permits("auth-wrong", client(number))).count();
        assert_eq!(told, OF_ALL as usize);
        assert!(log.table.lock().pairs.len() <= MOST);
        assert_eq!(log.take_left_out().values().sum::<u64>() + told as u64, 100_000, "all are accounted for");
    }
}
