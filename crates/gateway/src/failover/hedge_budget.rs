//! How many hedges may be: a share of the requests, with a little room for bursts.

use parking_lot::Mutex;

/// Hundredths of a hedge that can be saved up: ten hedges.
const MOST: u32 = 1000;

/// A bucket into which every request puts its share of a hedge.
#[derive(Debug, Default)]
pub(crate) struct HedgeBudget {
    saved: Mutex<u32>,
}

impl HedgeBudget {
    /// A request has come: one hedge for every 100 / `percent` of them; 0 = never.
    pub(crate) fn deposit(&self, percent: u32) {
        let mut saved = self.saved.lock();
        *saved = (*saved + percent.min(100)).min(MOST);
    }

    /// Takes a hedge out, if there is one.
    pub(crate) fn try_withdraw(&self) -> bool {
        let mut saved = self.saved.lock();
        let left = saved.checked_sub(100);
        *saved = left.unwrap_or(*saved);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hedges_are_a_share_of_the_requests() {
        let budget = HedgeBudget::default();
        assert!(!budget.try_withdraw());
        let hedges = (0..10_000).filter(|_| {
            budget.deposit(5);
            budget.try_withdraw()
        });
        assert_eq!(hedges.count(), 500);
        // What is saved up is within_deadline.
        (0..10_000).for_each(|_| budget.deposit(5));
        assert_eq!((0..100).filter(|_| budget.try_withdraw()).count(), 10);
        let never = HedgeBudget::default();
        (0..10_000).for_each(|_| never.deposit(0));
        assert!(!never.try_withdraw());
    }
}
