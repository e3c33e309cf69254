//! Limits for each user and each client: open requests, requests per second, bytes per second.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use ahash::AHashMap;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::{GatewayConfig, Limits, Refusal, access::client_key};

mod rate;
#[cfg(test)]
mod tests;
mod throttled;

pub(super) use rate::Rate;
pub(crate) use throttled::Throttled;

/// The most accounts that are kept; those without an open request go first.
const MOST: usize = 65_536;

/// What one user or client uses.
#[derive(Debug, Default)]
struct Account {
    open: AtomicU32,
    /// What is open in processes that drain.
    elsewhere: AtomicU32,
    requests: Rate,
    bytes: Rate,
}

/// The accounts of all users and clients that have limits.
#[derive(Debug)]
pub(crate) struct Accounts {
    began: Instant,
    table: Mutex<AHashMap<AccountKey, Arc<Account>>>,
}

/// What one user has open from one client address in processes that drain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenElsewhere {
    /// The user; empty when the client gave no name.
    pub user: Box<str>,
    /// The address of the client.
    pub client: IpAddr,
    /// Requests, tunnels and associations.
    pub open: u32,
}

/// Whose account it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum AccountKey {
    User(Box<str>),
    Client(IpAddr),
}

/// The right to one request; it counts as open until the last clone is dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admission(Option<Arc<Admitted>>);

/// Passes say nothing about who somebody is.
impl PartialEq for Admission {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Admission {}

#[derive(Debug)]
struct Admitted {
    began: Instant,
    accounts: Vec<(Arc<Account>, Limits)>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        for (account, _) in &self.accounts {
            account.open.fetch_sub(1, Relaxed);
        }
    }
}

impl Accounts {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), table: Mutex::default() }
    }

    /// Charges the client for something that it begins, before anything else is known of it.
    ///
    /// # Errors
    /// [`Refusal::ClientLimit`].
    pub(crate) fn charge(&self, config: &GatewayConfig, client: IpAddr) -> Result<(), Refusal> {
        let Some(rate) = config.client_limits.requests else { return Ok(()) };
        let account = self.account(AccountKey::Client(client_key(client))).ok_or(Refusal::ConnectionLimit)?;
        if account.requests.take(rate, self.began.elapsed()) { Ok(()) } else { Err(Refusal::ClientLimit) }
    }

    /// Lets a request in that was charged, or says which limit it meets.
    pub(crate) fn admit(&self, config: &GatewayConfig, user: &str, client: IpAddr) -> Result<Admission, Refusal> {
        let of_user = config.users.iter().find(|known| *known.name == *user).map(|user| user.limits);
        let of_user = of_user.filter(|limits| !limits.none());
        // Its requests are charged already.
        let of_client = Some(Limits { requests: None, ..config.client_limits }).filter(|limits| !limits.none());
        if of_user.is_none() && of_client.is_none() {
            return Ok(Admission::default());
        }
        let mut admitted = Admitted { began: self.began, accounts: Vec::with_capacity(2) };
        let asked = [
            of_user.map(|limits| (AccountKey::User(user.into()), limits, Refusal::UserLimit)),
            of_client.map(|limits| (AccountKey::Client(client_key(client)), limits, Refusal::ClientLimit)),
        ];
        for (key, limits, refusal) in asked.into_iter().flatten() {
            let account = self.account(key).ok_or(Refusal::ConnectionLimit)?;
            // Counted first: what is dropped on a refusal is what was counted.
            let open = account.open.fetch_add(1, Relaxed);
            admitted.accounts.push((account.clone(), limits));
            let open = open.saturating_add(account.elsewhere.load(Relaxed));
            let full = limits.connections.is_some_and(|most| open >= most);
            if full || limits.requests.is_some_and(|rate| !account.requests.take(rate, self.began.elapsed())) {
                return Err(refusal);
            }
        }
        Ok(Admission(Some(Arc::new(admitted))))
    }

    /// Counts what is open elsewhere as well, in the place of what was said before.
    pub(crate) fn set_open_elsewhere(&self, open: &[OpenElsewhere]) {
        let mut sums: AHashMap<AccountKey, u32> = AHashMap::new();
        for OpenElsewhere { user, client, open } in open {
            for key in [AccountKey::User(user.clone()), AccountKey::Client(client_key(*client))] {
                let sum = sums.entry(key).or_default();
                *sum = sum.saturating_add(*open);
            }
        }
        for (key, account) in &*self.table.lock() {
            account.elsewhere.store(sums.remove(key).unwrap_or_default(), Relaxed);
        }
        for (key, sum) in sums {
            if let Some(account) = self.account(key) {
                account.elsewhere.store(sum, Relaxed);
            }
        }
    }

    fn account(&self, key: AccountKey) -> Option<Arc<Account>> {
        let mut table = self.table.lock();
        if table.len() >= MOST && !table.contains_key(&key) {
            // An account that is held by nobody is forgotten, and with it less than a second's worth.
            table.retain(|_, account| account.open.load(Relaxed) > 0 || account.elsewhere.load(Relaxed) > 0);
            if table.len() >= MOST {
                return None;
            }
        }
        Some(Arc::clone(table.entry(key).or_default()))
    }
}

impl Admission {
    /// Whether bytes are counted at all.
    fn counts_bytes(&self) -> bool {
        self.0.as_ref().is_some_and(|admitted| admitted.accounts.iter().any(|(_, limits)| limits.bytes.is_some()))
    }

    /// Takes in that a datagram has moved, and waits until the next one may.
    pub(crate) async fn throttle(&self, bytes: usize) {
        let wait = self.charge_bytes(bytes);
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }

    /// Takes in that bytes have moved; returns how long the next ones have to wait.
    fn charge_bytes(&self, bytes: usize) -> Duration {
        let Some(admitted) = &self.0 else { return Duration::ZERO };
        let now = admitted.began.elapsed();
        let waits = admitted.accounts.iter().filter_map(|(account, limits)| {
            let rate = limits.bytes?;
            Some(account.bytes.charge(bytes as u64, rate.0, now))
        });
        waits.max().unwrap_or_default()
    }
}
