//! Checks passwords. A hash costs tens of milliseconds and megabytes once; afterwards a request costs one short keyed hash.
//!
//! Strangers can make this machine check passwords, so only a few are checked at a time, on threads that serve no requests, and only
//! a few wait for it from each address and in all.

use std::{
    hint::black_box,
    net::IpAddr,
    sync::{Arc, OnceLock},
    thread::available_parallelism,
};

use ahash::{AHashMap, AHashSet};
use parking_lot::Mutex;
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::client_key;
use crate::{OptionError, PasswordHash, Refusal, User, UserOptions};

/// The most verifications at a time.
const MOST_AT_A_TIME: usize = 4;
/// The most that wait, in all and of one address.
const MOST_WAITING: usize = 256;
const MOST_WAITING_OF_CLIENT: u32 = 64;
/// Passwords that are remembered as right: this many at least, twice as many at most.
const REMEMBERED: usize = 4096;
/// What a password is looked up by.
type Key = [u8; blake3::OUT_LEN];

/// Passwords that were right, by a keyed hash of the user's name, its stored hash and the password.
#[derive(Debug, Default)]
struct Remembered {
    young: AHashSet<Key>,
    old: AHashSet<Key>,
}

impl Remembered {
    fn contains(&mut self, key: &Key) -> bool {
        if self.young.contains(key) {
            return true;
        }
        let is_old = self.old.contains(key);
        if is_old {
            self.insert(*key);
        }
        is_old
    }

    /// Remembers a key. When there are many, those that were not used since the last time that there were many are forgotten.
    fn insert(&mut self, key: Key) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key);
    }
}

/// The verifications that wait.
#[derive(Debug, Default)]
struct Waiting {
    all: usize,
    clients: AHashMap<IpAddr, u32>,
}

/// Checks the passwords of all listeners.
#[derive(Debug)]
pub(crate) struct PasswordChecker {
    /// Made anew at every start: what is remembered means nothing to anybody else.
    key: Key,
    remembered: Mutex<Remembered>,
    slots: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    /// A hash that no password is checked against but those of unknown users.
    decoy: OnceLock<Option<PasswordHash>>,
}

/// A place among those that wait, which is free again when this is dropped.
struct Place<'a> {
    checker: &'a PasswordChecker,
    client: IpAddr,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.checker.waiting.lock();
        waiting.all -= 1;
        if let Some(count) = waiting.clients.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                waiting.clients.remove(&self.client);
            }
        }
    }
}

impl Default for PasswordChecker {
    fn default() -> Self {
        let at_a_time = available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)).min(MOST_AT_A_TIME);
        Self {
            key: rand::random(),
            remembered: Mutex::default(),
            slots: Arc::new(Semaphore::new(at_a_time)),
            waiting: Mutex::default(),
            decoy: OnceLock::new(),
        }
    }
}

/// What a right password says behind itself: the options that IPRoyal and PacketStream write there
/// (`secret_country-us_session-a1b2`), or why they cannot be read.
pub(crate) type OptionsBehind = Result<UserOptions, OptionError>;

impl PasswordChecker {
    /// Checks the password that a client gave for a user; `None` when it is wrong.
    ///
    /// # Errors
    /// [`Refusal::LoginLimit`]: too many passwords wait to be checked.
    pub(crate) async fn check(
        &self,
        user: &User,
        given: &str,
        client: IpAddr,
    ) -> Result<Option<OptionsBehind>, Refusal> {
        match (&user.password_hash, &user.password) {
            (Some(hash), _) => self.check_hash(user, hash, given, client).await,
            (None, Some(expected)) => Ok(check_plain(given, expected.expose())),
            (None, None) => Ok(None),
        }
    }

    /// Spends what a check costs for a user that does not exist, so that the time of the answer does not tell which users do.
    ///
    /// # Errors
    /// As [`PasswordChecker::check`].
    pub(crate) async fn check_unknown(&self, users: &[User], given: &str, client: IpAddr) -> Result<(), Refusal> {
        black_box(check_plain(given, "\u{0}"));
        if !users.iter().any(|user| user.password_hash.is_some()) {
            return Ok(());
        }
        let decoy = self.decoy.get_or_init(|| PasswordHash::make("").ok());
        if let Some(decoy) = decoy.clone() {
            black_box(self.verify(&self.key(&[given]), decoy, given, client).await?);
        }
        Ok(())
    }

    async fn check_hash(
        &self,
        user: &User,
        hash: &PasswordHash,
        given: &str,
        client: IpAddr,
    ) -> Result<Option<OptionsBehind>, Refusal> {
        let split = split_options(given);
        let readings = || std::iter::once((given, "")).chain(split);
        let key = |password: &str| self.key(&[&user.name, hash.expose(), password]);
        let known = readings().find(|(password, _)| self.remembered.lock().contains(&key(password)));
        if let Some((_, options)) = known {
            return Ok(Some(UserOptions::parse_with(options, &['_'])));
        }
        for (password, options) in readings() {
            let key = key(password);
            if self.verify(&key, hash.clone(), password, client).await? {
                self.remembered.lock().insert(key);
                return Ok(Some(UserOptions::parse_with(options, &['_'])));
            }
        }
        Ok(None)
    }

    /// Verifies one password when it is its turn, unless somebody else has done so meanwhile.
    async fn verify(&self, key: &Key, hash: PasswordHash, password: &str, client: IpAddr) -> Result<bool, Refusal> {
        let _place = self.wait_in_line(client).ok_or(Refusal::LoginLimit)?;
        // The semaphore is never closed.
        let Ok(slot) = self.slots.clone().acquire_owned().await else { return Err(Refusal::ShuttingDown) };
        if self.remembered.lock().contains(key) {
            return Ok(true);
        }
        let password: Box<str> = password.into();
        let verified = spawn_blocking(move || {
            // Kept until the work is done, also when the client does not wait for it.
            let _slot = slot;
            hash.verify(&password)
        });
        verified.await.map_err(|_| Refusal::ShuttingDown)
    }

    fn wait_in_line(&self, client: IpAddr) -> Option<Place<'_>> {
        let client = client_key(client);
        let mut waiting = self.waiting.lock();
        let of_client = waiting.clients.get(&client).copied().unwrap_or_default();
        if waiting.all >= MOST_WAITING || of_client >= MOST_WAITING_OF_CLIENT {
            return None;
        }
        waiting.all += 1;
        waiting.clients.insert(client, of_client + 1);
        Some(Place { checker: self, client })
    }

    /// The key of these texts; each is preceded by its length, so that no two lists have the same bytes.
    fn key(&self, texts: &[&str]) -> Key {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for text in texts {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}

/// The first place in a password from which on options can be read.
fn split_options(given: &str) -> Option<(&str, &str)> {
    let mut places = given.match_indices('_').filter_map(|(at, _)| given.get(at + 1..).map(|tail| (at, tail)));
    let (at, tail) = places.find(|(_, tail)| {
        UserOptions::parse_with(tail, &['_']).is_ok_and(|options| options != UserOptions::default())
    })?;
    Some((given.get(..at)?, tail))
}

/// Checks a password against a plain one, in a time that depends only on the length of what was given.
fn check_plain(given: &str, expected: &str) -> Option<OptionsBehind> {
    let whole = constant_time_eq(given.as_bytes(), expected.as_bytes());
    let (front, behind) = given.split_at_checked(expected.len()).unwrap_or((given, ""));
    let front = constant_time_eq(front.as_bytes(), expected.as_bytes());
    match behind.strip_prefix('_') {
        _ if whole => Some(Ok(UserOptions::default())),
        Some(options) if front => Some(UserOptions::parse_with(options, &['_'])),
        _ => None,
    }
}

/// Compares in a time that depends only on the length of `given`.
fn constant_time_eq(given: &[u8], expected: &[u8]) -> bool {
    let mut difference = u8::from(given.len() != expected.len());
    for (index, byte) in given.iter().enumerate() {
        let other = expected.get(index % expected.len().max(1)).copied().unwrap_or_default();
        difference = black_box(difference | (byte ^ other));
    }
    difference == 0
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 8));

    fn hashed(password: &str) -> User {
        let password_hash = PasswordHash::make(password).ok();
        User { name: "alice".into(), password_hash, ..User::default() }
    }

    async fn check(checker: &PasswordChecker, user: &User, given: &str) -> Option<OptionsBehind> {
        checker.check(user, given, CLIENT).await.unwrap()
    }

    #[tokio::test]
    async fn a_right_password_is_verified_once() {
        let (checker, user) = (PasswordChecker::default(), hashed("s3cret"));
        assert_eq!(check(&checker, &user, "s3cret").await, Some(Ok(UserOptions::default())));
        assert_eq!(check(&checker, &user, "s3cres").await, None);
        assert_eq!(check(&checker, &user, "").await, None);
        // No slot is free any more: only what is remembered can be answered.
        let slots = u32::try_from(checker.slots.available_permits()).unwrap();
        let _taken = checker.slots.clone().acquire_many_owned(slots).await.unwrap();
        for _ in 0..1000 {
            assert_eq!(check(&checker, &user, "s3cret").await, Some(Ok(UserOptions::default())));
        }
        let changed = hashed("s3cret");
        let waits = tokio::time::timeout(std::time::Duration::from_millis(50), check(&checker, &changed, "s3cret"));
        assert!(waits.await.is_err(), "another hash is another password");
    }

    #[tokio::test]
    async fn options_stand_behind_a_hashed_password_too() {
        let (checker, user) = (PasswordChecker::default(), hashed("a_b"));
        assert_eq!(check(&checker, &user, "a_b").await, Some(Ok(UserOptions::default())));
        for _ in 0..2 {
            let options = check(&checker, &user, "a_b_country-us_session-a1").await.unwrap().unwrap();
            assert_eq!((options.countries, options.session.as_deref()), (vec![*b"US"], Some("a1")));
        }
        assert_eq!(check(&checker, &user, "a_country-us").await, None);
    }

    #[tokio::test]
    async fn strangers_cannot_take_all_places() {
        let checker = PasswordChecker::default();
        let places: Vec<_> = (0..1000).map_while(|_| checker.wait_in_line(CLIENT)).collect();
        assert_eq!(places.len(), 64);
        let other = |host: u16| IpAddr::V4(Ipv4Addr::new(198, 51, (host >> 8) as u8, host as u8));
        let others: Vec<_> = (0..1000).map_while(|host| checker.wait_in_line(other(host))).collect();
        assert_eq!(others.len(), 192);
        drop((places, others));
        assert!(checker.waiting.lock().clients.is_empty() && checker.wait_in_line(CLIENT).is_some());
        let user = hashed("s3cret");
        let _all: Vec<_> = (0..1000).map_while(|host| checker.wait_in_line(other(host))).collect();
        assert!(matches!(checker.check(&user, "s3cret", CLIENT).await, Err(Refusal::LoginLimit)));
    }

    #[tokio::test]
    async fn an_unknown_name_costs_as_much_as_a_known_one() {
        let checker = PasswordChecker::default();
        checker.check_unknown(&[User::new("bob", "plain")], "x", CLIENT).await.unwrap();
        assert!(checker.decoy.get().is_none(), "where nobody's password is hashed, nothing is");
        checker.check_unknown(&[hashed("s3cret")], "x", CLIENT).await.unwrap();
        assert!(checker.decoy.get().is_some());
        assert!(checker.remembered.lock().young.is_empty());
    }

    #[test]
    fn few_passwords_are_remembered_and_the_used_ones_stay() {
        let mut remembered = Remembered::default();
        let key = |number: usize| *blake3::hash(&number.to_le_bytes()).as_bytes();
        remembered.insert(key(0));
        for number in 1..100_000 {
            remembered.insert(key(number));
            assert!(remembered.contains(&key(0)));
        }
        assert!(remembered.young.len() + remembered.old.len() <= 2 * REMEMBERED);
        assert!(!remembered.contains(&key(1)));
    }

    #[test]
    fn passwords_are_compared_whole() {
        for (given, expected, is_equal) in [
            ("a", "a", true),
            ("a", "b", false),
            ("aa", "a", false),
            ("", "a", false),
            ("a", "", false),
            ("", "", true),
        ] {
            assert_eq!(constant_time_eq(given.as_bytes(), expected.as_bytes()), is_equal, "{given:?} {expected:?}");
        }
    }
}
