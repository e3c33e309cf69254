//! The largest of the values that were seen in the last rounds.

/// How many rounds one half of the window lasts.
const HALF: u64 = 5;

/// The maximum of the last 5 to 10 rounds, in constant space. Rounds in which nothing is recorded do not age it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RecentMax {
    current: u64,
    previous: u64,
    /// The round in which `current` began.
    since: u64,
}

impl RecentMax {
    /// Records a value of a round.
    pub(super) fn record(&mut self, round: u64, value: u64) {
        if round >= self.since + HALF {
            *self = Self { current: 0, previous: self.current, since: round };
        }
        self.current = self.current.max(value);
    }

    /// The largest recent value; 0 before the first.
    pub(super) fn get(&self) -> u64 {
        self.current.max(self.previous)
    }
}
