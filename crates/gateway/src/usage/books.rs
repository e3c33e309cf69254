//! The bytes of one user by day, and how much of a quota is left.

use std::collections::BTreeMap;

use hezar_core::{UtcDay, settings::ByteCount};

use super::{UsageSummary, UsedBytes};
use crate::{Quota, QuotaPeriod};

/// Days that are kept one by one: enough for the longest calendar month, and for the one before it.
const KEPT: u32 = 62;

/// The bytes of one user.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// Everything older than the days.
    before: UsedBytes,
    days: BTreeMap<UtcDay, UsedBytes>,
    /// What has not been handed to the store.
    growth: BTreeMap<UtcDay, UsedBytes>,
}

impl Books {
    /// Takes in what the store held.
    pub(super) fn restore(&mut self, day: UtcDay, bytes: UsedBytes) {
        if day == UtcDay::default() {
            self.before.add(bytes);
        } else {
            self.days.entry(day).or_default().add(bytes);
        }
    }

    /// Takes over what the store says of a day, to which several processes add. `unwritten` of it is not in the store yet.
    pub(super) fn adopt(&mut self, day: UtcDay, stored: UsedBytes, unwritten: UsedBytes) {
        let mut total = stored;
        total.add(unwritten);
        total.add(self.growth.get(&day).copied().unwrap_or_default());
        // What was moved only grows, so that of two figures the larger one is nearer to the truth.
        let known = if day == UtcDay::default() { &mut self.before } else { self.days.entry(day).or_default() };
        *known = UsedBytes { up: known.up.max(total.up), down: known.down.max(total.down) };
    }

    /// Takes in what has been moved on a day.
    pub(super) fn add(&mut self, day: UtcDay, bytes: UsedBytes) {
        if bytes == UsedBytes::default() {
            return;
        }
        self.days.entry(day).or_default().add(bytes);
        self.growth.entry(day).or_default().add(bytes);
        while let Some(oldest) = self.days.first_entry().filter(|oldest| oldest.key().0.saturating_add(KEPT) < day.0) {
            self.before.add(oldest.remove());
        }
    }

    pub(super) fn take_growth(&mut self) -> BTreeMap<UtcDay, UsedBytes> {
        std::mem::take(&mut self.growth)
    }

    /// The bytes that have not been taken as growth.
    pub(super) fn growing(&self) -> u64 {
        self.growth.values().map(|bytes| bytes.sum()).fold(0, u64::saturating_add)
    }

    /// Today and the day before it.
    pub(super) fn recent_days(&self, today: UtcDay) -> Vec<(UtcDay, UsedBytes)> {
        let yesterday = UtcDay(today.0.saturating_sub(1));
        self.days.range(yesterday..=today).map(|(day, bytes)| (*day, *bytes)).collect()
    }

    pub(super) fn summary(&self, today: UtcDay) -> UsageSummary {
        let mut month = UsedBytes::default();
        for bytes in self.days.range(today.first_of_month()..=today).map(|(_, bytes)| *bytes) {
            month.add(bytes);
        }
        let mut total = self.before;
        self.days.values().for_each(|bytes| total.add(*bytes));
        UsageSummary { today: self.days.get(&today).copied().unwrap_or_default(), month, total }
    }

    /// What is left of a quota, and for which period that is the least; `None` = any number.
    pub(super) fn left(&self, quota: &Quota, today: UtcDay) -> Option<(u64, QuotaPeriod)> {
        if quota.is_unlimited() {
            return None;
        }
        let used = self.summary(today);
        let left = |most: Option<ByteCount>, used: UsedBytes, period| {
            most.map(|most| (most.0.saturating_sub(used.sum()), period))
        };
        let periods = [
            left(quota.day, used.today, QuotaPeriod::Day),
            left(quota.month, used.month, QuotaPeriod::Month),
            left(quota.total, used.total, QuotaPeriod::Total),
        ];
        periods.into_iter().flatten().min_by_key(|(left, _)| *left)
    }
}
