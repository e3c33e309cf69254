//! Slows down password guessing: the more wrong passwords come from an address, the longer its next login waits.
//!
//! Nobody is locked out for ever, for many may share an address: the delay is bounded and fades, and a user who has come
//! in from an address before does not wait there.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use ahash::AHashMap;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::{client_key, limits::Rate};
use crate::Refusal;

/// Wrong passwords that cost nothing.
const FREE: u32 = 10;
/// The delay after the first one that does; every further one doubles it.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);
/// The time in which one wrong password is forgotten.
const FADES: Duration = Duration::from_secs(10);
/// The most that are remembered of one address.
const MOST_FAILURES: u32 = 40;
/// The most logins of one address that wait at a time.
const WAITING: usize = 64;
/// How long a login has to wait to be told that too many wait already.
const TURNED_AWAY: Duration = Duration::from_secs(1);
/// Wrong passwords per second for users who are known at an address that are looked at without waiting.
const GUESSES: u32 = 100;
/// The most users that are known at one address.
const USERS: usize = 64;
/// The most addresses that are remembered. When there are more, the new ones share an entry.
const ADDRESSES: usize = 16_384;
const THE_OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The addresses from which wrong passwords came, or from which somebody came in.
#[derive(Debug)]
pub(crate) struct FailedLogins {
    began: Instant,
    /// Whether there was any.
    some: AtomicBool,
    table: Mutex<AHashMap<IpAddr, Address>>,
}

#[derive(Debug, Default)]
struct Address {
    failures: u32,
    /// When `failures` was right.
    at: Duration,
    /// When each of those that wait has waited; a client that leaves meanwhile keeps its place taken.
    waiting: Vec<Duration>,
    guesses: Rate,
    /// Users who have come in from here.
    users: Vec<Box<str>>,
}

impl FailedLogins {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), some: AtomicBool::new(false), table: Mutex::default() }
    }

    /// Whether nobody has ever sent a wrong password.
    pub(crate) fn is_empty(&self) -> bool {
        !self.some.load(Relaxed)
    }

    /// A password was wrong.
    pub(crate) fn failed(&self, client: IpAddr) {
        self.some.store(true, Relaxed);
        self.with_address(client, |address, _| address.failures = (address.failures + 1).min(MOST_FAILURES));
    }

    /// A user came in.
    pub(crate) fn succeeded(&self, client: IpAddr, user: &str) {
        self.with_address(client, |address, _| {
            if !address.users.iter().any(|known| **known == *user) {
                if address.users.len() >= USERS {
                    address.users.remove(0);
                }
                address.users.push(user.into());
            }
        });
    }

    /// Whether the user is known at this address, and the guesses at its password are not too many.
    pub(crate) fn is_trusted(&self, client: IpAddr, user: &str) -> bool {
        self.with_address(client, |address, now| {
            address.users.iter().any(|known| **known == *user) && address.guesses.has(GUESSES, now)
        })
    }

    /// A password of a user who is known at this address was wrong.
    pub(crate) fn record_guess(&self, client: IpAddr) {
        self.with_address(client, |address, now| address.guesses.take(GUESSES, now));
    }

    /// Waits until a password from this address may be looked at.
    ///
    /// # Errors
    /// [`Refusal::LoginLimit`]: too many wait.
    pub(crate) async fn wait(&self, client: IpAddr) -> Result<(), Refusal> {
        let delay = self.with_address(client, |address, now| {
            let delay = delay(address.failures);
            address.waiting.retain(|until| *until > now);
            if delay.is_zero() {
                return Some(delay);
            }
            if address.waiting.len() >= WAITING {
                return None;
            }
            address.waiting.push(now + delay);
            Some(delay)
        });
        sleep(delay.unwrap_or(TURNED_AWAY)).await;
        delay.map(|_| ()).ok_or(Refusal::LoginLimit)
    }

    fn with_address<T>(&self, client: IpAddr, work: impl FnOnce(&mut Address, Duration) -> T) -> T {
        let now = self.began.elapsed();
        let mut key = client_key(client);
        let mut table = self.table.lock();
        if table.len() >= ADDRESSES && !table.contains_key(&key) {
            table.retain(|_, address| {
                address.fade(now);
                address.failures > 0
            });
            if table.len() >= ADDRESSES {
                key = THE_OTHERS;
            }
        }
        let address = table.entry(key).or_default();
        address.fade(now);
        work(address, now)
    }
}

impl Address {
    fn fade(&mut self, now: Duration) {
        let steps = now.saturating_sub(self.at).as_secs() / FADES.as_secs();
        if self.failures == 0 {
            self.at = now;
        } else if steps > 0 {
            self.failures = self.failures.saturating_sub(u32::try_from(steps).unwrap_or(u32::MAX));
            self.at += FADES * u32::try_from(steps).unwrap_or(u32::MAX);
        }
    }
}

fn delay(failures: u32) -> Duration {
    match failures.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(beyond) => FIRST_DELAY.saturating_mul(1 << beyond.min(16)).min(LONGEST_DELAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 8));

    #[tokio::test(start_paused = true)]
    async fn guessing_becomes_slow_and_the_delay_fades() {
        let logins = FailedLogins::new();
        let begun = Instant::now();
        for _ in 0..FREE {
            logins.wait(CLIENT).await.unwrap();
            logins.failed(CLIENT);
        }
        assert!(begun.elapsed().is_zero(), "a few mistakes cost nothing");
        let mut before = Duration::ZERO;
        for _ in 0..20 {
            let begun = Instant::now();
            logins.wait(CLIENT).await.unwrap();
            assert!(begun.elapsed() >= before || begun.elapsed() >= LONGEST_DELAY - FIRST_DELAY);
            before = begun.elapsed().min(LONGEST_DELAY);
            logins.failed(CLIENT);
        }
        assert!(begun.elapsed() > Duration::from_secs(60), "{:?}", begun.elapsed());
        let other = Instant::now();
        logins.wait(IpAddr::V4(Ipv4Addr::LOCALHOST)).await.unwrap();
        assert!(other.elapsed().is_zero());
        tokio::time::advance(FADES * MOST_FAILURES).await;
        let later = Instant::now();
        logins.wait(CLIENT).await.unwrap();
        assert!(later.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn many_at_once_do_not_help() {
        let logins = FailedLogins::new();
        (0..MOST_FAILURES).for_each(|_| logins.failed(CLIENT));
        let begun = Instant::now();
        let all = futures_util::future::join_all((0..1000).map(|_| logins.wait(CLIENT))).await;
        assert_eq!(all.iter().filter(|looked_at| looked_at.is_ok()).count(), WAITING);
        assert!(begun.elapsed() >= LONGEST_DELAY);
        // Those who do not wait for the answer keep their places taken all the same.
        for _ in 0..1000 {
            let _ = tokio::time::timeout(Duration::from_millis(1), logins.wait(CLIENT)).await;
        }
        assert!(matches!(logins.wait(CLIENT).await, Err(Refusal::LoginLimit)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_who_came_in_before_is_spared_unless_its_password_is_guessed() {
        let logins = FailedLogins::new();
        logins.succeeded(CLIENT, "alice");
        (0..MOST_FAILURES).for_each(|_| logins.failed(CLIENT));
        assert!(logins.is_trusted(CLIENT, "alice") && !logins.is_trusted(CLIENT, "bob"));
        let guesses = (0..10_000).take_while(|_| {
            logins.record_guess(CLIENT);
            logins.is_trusted(CLIENT, "alice")
        });
        assert!(guesses.count() <= GUESSES as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded_and_knows_networks_of_ipv6() {
        let logins = FailedLogins::new();
        for number in 0..40_000_u32 {
            logins.failed(IpAddr::from(number.to_be_bytes()));
        }
        assert!(logins.table.lock().len() <= ADDRESSES + 1);
        let logins = FailedLogins::new();
        for host in 0..MOST_FAILURES {
            logins.failed(format!("2001:db8:1:2::{host:x}").parse().unwrap());
        }
        let begun = Instant::now();
        logins.wait("2001:db8:1:2:ffff::1".parse().unwrap()).await.unwrap();
        assert!(begun.elapsed() >= LONGEST_DELAY);
        assert_eq!(client_key("::ffff:192.0.2.1".parse().unwrap()), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    }
}
