//! A rate in one atomic word: the time up to which everything so far is paid for (the generic cell rate algorithm,
//! ITU-T I.371 appendix).

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// What may come at once: a second's worth.
const BURST: u64 = 1_000_000_000;

/// Nanoseconds since the beginning; all that has come is paid for up to then.
#[derive(Debug, Default)]
pub(crate) struct Rate(AtomicU64);

impl Rate {
    /// Takes one of `rate` per second; false, and nothing taken, when there is none.
    pub(crate) fn take(&self, rate: u32, now: Duration) -> bool {
        let now = nanoseconds(now);
        let cost = BURST / u64::from(rate.max(1));
        let update = |paid: u64| {
            let next = paid.max(now).saturating_add(cost);
            (next <= now.saturating_add(BURST)).then_some(next)
        };
        self.0.fetch_update(Relaxed, Relaxed, update).is_ok()
    }

    /// Whether there is one of `rate` per second.
    pub(crate) fn has(&self, rate: u32, now: Duration) -> bool {
        let now = nanoseconds(now);
        self.0.load(Relaxed).max(now).saturating_add(BURST / u64::from(rate.max(1))) <= now.saturating_add(BURST)
    }

    /// Takes `amount` of `rate` per second, also beyond what is there; returns how long to wait until it is paid for.
    pub(crate) fn charge(&self, amount: u64, rate: u64, now: Duration) -> Duration {
        let now = nanoseconds(now);
        let cost = u64::try_from(u128::from(amount) * u128::from(BURST) / u128::from(rate.max(1))).unwrap_or(u64::MAX);
        let update = |paid: u64| Some(paid.max(now).saturating_add(cost));
        let paid = self.0.fetch_update(Relaxed, Relaxed, update).unwrap_or(now);
        let next = paid.max(now).saturating_add(cost);
        Duration::from_nanos(next.saturating_sub(now.saturating_add(BURST)))
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
