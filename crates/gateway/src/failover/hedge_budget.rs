//! How many hedges may be: a share of the requests, with a little room for bursts.

use parking_lot::Mutex;

/// Hundredths of a hedge that can be saved up: ten hedges.
const MOST: u32 = 1000;

/// A bucket into which every request puts its share of a hedge.
#[derive(Debug)]
pub(crate) struct HedgeBudget {
    percent: u32,
    saved: Mutex<u32>,
}

impl HedgeBudget {
    /// One hedge for every 100 / `percent` requests; 0 = never.
    pub(crate) fn new(percent: u32) -> Self {
        Self { percent: percent.min(100), saved: Mutex::new(0) }
    }

    /// A request has come.
    pub(crate) fn deposit(&self) {
        let mut saved = self.saved.lock();
        *saved = (*saved + self.percent).min(MOST);
    }

    /// Takes a hedge out, if there is one.
    pub(crate) fn try_withdraw(&self) -> bool {
        let mut saved = self.saved.lock();
        let left = saved.checked_sub(100);
        *saved = left.unwrap_or(*saved);
        left.is_some()
    }
}
