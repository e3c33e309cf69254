//! The account of one user: counters that every connection adds to, and the books behind them.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use hezar_core::{Timestamp, UtcDay};
use parking_lot::Mutex;

use super::{UsageSummary, UsedBytes, books::Books};
use crate::{Quota, QuotaPeriod, Refusal};

/// What stands for "no bound".
const UNLIMITED: u64 = u64::MAX;

/// The account of one user.
#[derive(Debug)]
pub(crate) struct UsageAccount {
    user: Box<str>,
    /// What has been moved since this process began.
    up: AtomicU64,
    down: AtomicU64,
    /// The sum of both at which the quota is used up.
    stop_at: AtomicU64,
    books: Mutex<Booked>,
}

/// The books, and how much of the counters is in them.
#[derive(Debug, Default)]
struct Booked {
    books: Books,
    told: UsedBytes,
    /// The period whose quota is nearest to its end, as it was at the last check.
    period: Option<QuotaPeriod>,
}

impl UsageAccount {
    pub(super) fn new(user: &str) -> Self {
        let (up, down, books) = Default::default();
        Self { user: user.into(), up, down, stop_at: AtomicU64::new(UNLIMITED), books }
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn restore(&self, day: UtcDay, bytes: UsedBytes) {
        self.books.lock().books.restore(day, bytes);
    }

    pub(super) fn adopt(&self, day: UtcDay, stored: UsedBytes, unwritten: UsedBytes) {
        self.books.lock().books.adopt(day, stored, unwritten);
    }

    /// Bytes have moved just now.
    pub(crate) fn add(&self, up: u64, down: u64) {
        if up > 0 {
            self.up.fetch_add(up, Relaxed);
        }
        if down > 0 {
            self.down.fetch_add(down, Relaxed);
        }
    }

    /// How many more bytes may move before the quota is used up, as it was known at the last [`UsageAccount::check`].
    pub(crate) fn left(&self) -> u64 {
        match self.stop_at.load(Relaxed) {
            UNLIMITED => UNLIMITED,
            stop_at => stop_at.saturating_sub(self.counted().sum()),
        }
    }

    /// Holds what has been moved against a quota; connections are held against it from then on.
    ///
    /// # Errors
    /// [`Refusal::QuotaExceeded`].
    pub(crate) fn check(&self, quota: &Quota, now: Timestamp) -> Result<(), Refusal> {
        if quota.is_unlimited() {
            self.stop_at.store(UNLIMITED, Relaxed);
            return Ok(());
        }
        let mut booked = self.books.lock();
        let today = self.book(&mut booked, now);
        let Some((left, period)) = booked.books.left(quota, today) else { return Ok(()) };
        booked.period = Some(period);
        self.stop_at.store(booked.told.sum().saturating_add(left), Relaxed);
        if left > 0 { Ok(()) } else { Err(Refusal::QuotaExceeded(period)) }
    }

    /// Why nothing more may move, when the quota is used up.
    pub(crate) fn exhaustion(&self) -> Option<Refusal> {
        if self.left() > 0 {
            return None;
        }
        self.books.lock().period.map(Refusal::QuotaExceeded)
    }

    pub(super) fn summary(&self, now: Timestamp) -> UsageSummary {
        let mut booked = self.books.lock();
        let today = self.book(&mut booked, now);
        booked.books.summary(today)
    }

    pub(super) fn recent_days(&self, now: Timestamp) -> Vec<(UtcDay, UsedBytes)> {
        let mut booked = self.books.lock();
        let today = self.book(&mut booked, now);
        booked.books.recent_days(today)
    }

    /// What has moved since the last check, as a share of what was left of the quota then.
    pub(super) fn unwritten_share(&self) -> f64 {
        let booked = self.books.lock();
        let stop_at = self.stop_at.load(Relaxed);
        if stop_at == UNLIMITED {
            return 0.0;
        }
        let unwritten = self.counted().sum().saturating_sub(booked.told.sum()).saturating_add(booked.books.growing());
        let left = stop_at.saturating_sub(self.counted().sum());
        if unwritten == 0 { 0.0 } else { unwritten as f64 / (unwritten.saturating_add(left)) as f64 }
    }

    pub(super) fn take_growth(&self, now: Timestamp) -> BTreeMap<UtcDay, UsedBytes> {
        let mut booked = self.books.lock();
        self.book(&mut booked, now);
        booked.books.take_growth()
    }

    /// Brings the books up to date; gives the day.
    fn book(&self, booked: &mut Booked, now: Timestamp) -> UtcDay {
        let (today, counted) = (UtcDay::containing(now), self.counted());
        let news = UsedBytes {
            up: counted.up.saturating_sub(booked.told.up),
            down: counted.down.saturating_sub(booked.told.down),
        };
        booked.told = counted;
        booked.books.add(today, news);
        today
    }

    fn counted(&self) -> UsedBytes {
        UsedBytes { up: self.up.load(Relaxed), down: self.down.load(Relaxed) }
    }
}
