//! Many requests in a few figures.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use super::Shot;

/// The figures of a load.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How many requests there were.
    pub all: usize,
    /// How many of them were answered rightly.
    pub right: usize,
    /// How long those took, in order.
    took: Vec<Duration>,
    /// The exits that were seen.
    pub exits: usize,
    /// What went wrong, and how often.
    pub wrong: BTreeMap<String, usize>,
}

impl Tally {
    /// Counts.
    #[must_use]
    pub fn of(shots: &[Shot]) -> Self {
        let mut tally = Self { all: shots.len(), ..Self::default() };
        let mut exits = BTreeSet::new();
        for shot in shots {
            match &shot.result {
                Ok(exit) => {
                    tally.took.push(shot.took);
                    exits.extend(*exit);
                }
                Err(reason) => *tally.wrong.entry(format!("{:?}: {reason}", shot.shape)).or_default() += 1,
            }
        }
        tally.took.sort_unstable();
        (tally.right, tally.exits) = (tally.took.len(), exits.len());
        tally
    }

    /// The share that was answered rightly, in per cent.
    #[must_use]
    pub fn share(&self) -> f64 {
        100.0 * self.right as f64 / self.all.max(1) as f64
    }

    /// The time that this share of the right answers did not exceed, in ms.
    #[must_use]
    pub fn percentile(&self, share: f64) -> f64 {
        crate::percentile(&self.took, share)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>7}/{:<7} {:>8.4} %  p50 {:>7.1}  p90 {:>7.1}  p99 {:>7.1}  p99.9 {:>7.1}  max {:>7.1} ms  {:>3} exits",
            self.right,
            self.all,
            self.share(),
            self.percentile(0.5),
            self.percentile(0.9),
            self.percentile(0.99),
            self.percentile(0.999),
            self.percentile(1.0),
            self.exits,
        )
    }
}
