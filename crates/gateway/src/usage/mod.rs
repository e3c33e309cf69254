//! How many bytes each user has moved, by days of UTC: counted while the bytes move, and held against quotas.
//!
//! ```text
//!   Connection::add_bytes ──► UsageAccount: two counters that only grow, without a lock
//!                                  │ book (about once a second, and at every request)
//!                                  ▼
//!                             Books: bytes by day ──► take_growth ──► the store
//! ```

use std::sync::Arc;

use ahash::AHashMap;
use hezar_core::{Timestamp, UtcDay};
use parking_lot::Mutex;

mod account;
mod books;
#[cfg(test)]
mod tests;

pub(crate) use account::UsageAccount;

/// Bytes from clients to nodes, and from nodes to clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsedBytes {
    /// From the client to the node.
    pub up: u64,
    /// From the node to the client.
    pub down: u64,
}

impl UsedBytes {
    /// Both directions together.
    #[must_use]
    pub const fn sum(self) -> u64 {
        self.up.saturating_add(self.down)
    }

    fn add(&mut self, more: Self) {
        self.up = self.up.saturating_add(more.up);
        self.down = self.down.saturating_add(more.down);
    }
}

/// What a user has moved on one day. The day 1970-01-01 stands for everything that is too old to be kept by day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserDay {
    /// The user.
    pub user: Box<str>,
    /// The day.
    pub day: UtcDay,
    /// The bytes.
    pub bytes: UsedBytes,
}

/// What a user has moved so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageSummary {
    /// Since 00:00 UTC.
    pub today: UsedBytes,
    /// Since the first day of the calendar month (UTC).
    pub month: UsedBytes,
    /// In all.
    pub total: UsedBytes,
}

/// The accounts of all users, over all listeners. There are only as many as there are users that have ever been configured while this
/// process ran.
#[derive(Debug, Default)]
pub struct Usage {
    accounts: Mutex<AHashMap<Box<str>, Arc<UsageAccount>>>,
}

impl Usage {
    /// Takes in what the store held of the time before this process.
    pub fn restore(&self, days: impl IntoIterator<Item = UserDay>) {
        for UserDay { user, day, bytes } in days {
            self.account(&user).restore(day, bytes);
        }
    }

    /// Takes over what a user has moved on a day over all processes that add to one store, of which `unwritten` was taken here with
    /// [`Usage::take_growth`] and is not in the store yet. The quota counts it from the next check on.
    pub fn adopt(&self, stored: UserDay, unwritten: UsedBytes) {
        let UserDay { user, day, bytes } = stored;
        self.account(&user).adopt(day, bytes, unwritten);
    }

    /// What a user with a quota has moved since growth was last taken, as a share of what the quota had left before, 0 to 1: the largest of
    /// all users. For who writes growth that other processes have to know: near the end of a quota that has to be soon.
    #[must_use]
    pub fn unwritten_share(&self) -> f64 {
        self.accounts().iter().map(|account| account.unwritten_share()).fold(0.0, f64::max)
    }

    /// Counts bytes that a user has moved outside of this gateway's connections.
    pub fn record(&self, user: &str, bytes: UsedBytes) {
        self.account(user).add(bytes.up, bytes.down);
    }

    /// What has been moved since the last call, by user and day: to be added to what the store holds.
    #[must_use]
    pub fn take_growth(&self, now: Timestamp) -> Vec<UserDay> {
        let grown = self.accounts().into_iter().flat_map(|account| {
            let growth = account.take_growth(now);
            growth.into_iter().map(move |(day, bytes)| UserDay { user: account.user().into(), day, bytes })
        });
        grown.collect()
    }

    /// What a user has moved so far; nothing when it has never moved anything.
    #[must_use]
    pub fn summary(&self, user: &str, now: Timestamp) -> UsageSummary {
        let account = self.accounts.lock().get(user).cloned();
        account.map(|account| account.summary(now)).unwrap_or_default()
    }

    /// What every user has moved on the last days, as far as this process knows: today and yesterday are whole.
    #[must_use]
    pub fn recent_days(&self, now: Timestamp) -> Vec<UserDay> {
        let days = self.accounts().into_iter().flat_map(|account| {
            let days = account.recent_days(now);
            days.into_iter().map(move |(day, bytes)| UserDay { user: account.user().into(), day, bytes })
        });
        days.collect()
    }

    /// The account of a user.
    pub(crate) fn account(&self, user: &str) -> Arc<UsageAccount> {
        let mut accounts = self.accounts.lock();
        if let Some(account) = accounts.get(user) {
            return account.clone();
        }
        let account = Arc::new(UsageAccount::new(user));
        accounts.insert(user.into(), account.clone());
        account
    }

    fn accounts(&self) -> Vec<Arc<UsageAccount>> {
        self.accounts.lock().values().cloned().collect()
    }
}
