//! How far one trouble of one alert has come: it must last, it is told once in a while, and its end is told too.

use std::time::Duration;

use hezar_core::Timestamp;

use crate::config::AlertConfig;

/// The state of a trouble, as the API names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TroubleState {
    /// It does not hold.
    #[default]
    Quiet,
    /// It holds, not yet long enough.
    Pending,
    /// It holds.
    Firing,
}

impl TroubleState {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The trouble is there.
    Firing,
    /// The trouble is over.
    Resolved,
}

/// How far a trouble has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) state: TroubleState,
    /// Since when it holds.
    pub(super) since: Option<Timestamp>,
    /// When it was last told that it is there.
    told: Option<Timestamp>,
    /// Whether this occurrence was told.
    is_told: bool,
}

impl Progress {
    /// Takes in whether the trouble holds now; returns what is to be told.
    pub(super) fn step(&mut self, holds: bool, now: Timestamp, config: &AlertConfig) -> Option<News> {
        if !holds {
            let was_told = self.is_told;
            *self = Self { told: self.told, ..Self::default() };
            return (was_told && config.resolved).then_some(News::Resolved);
        }
        let since = *self.since.get_or_insert(now);
        if now.since(since) < config.hold {
            self.state = TroubleState::Pending;
            return None;
        }
        self.state = TroubleState::Firing;
        if self.is_told || self.told.is_some_and(|told| cools(told, now, config.cooldown)) {
            return None;
        }
        (self.is_told, self.told) = (true, Some(now));
        Some(News::Firing)
    }
}

fn cools(told: Timestamp, now: Timestamp, cooldown: Duration) -> bool {
    now.since(told) < cooldown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(config: &AlertConfig, holds: &[(u64, bool)]) -> Vec<(u64, News)> {
        let mut progress = Progress::default();
        let step =
            |&(second, holds): &(u64, bool)| Some((second, progress.step(holds, Timestamp(second * 1000), config)?));
        holds.iter().filter_map(step).collect()
    }

    fn config() -> AlertConfig {
        AlertConfig { hold: Duration::from_secs(60), cooldown: Duration::from_secs(600), ..AlertConfig::default() }
    }

    #[test]
    fn a_trouble_is_told_once_when_it_has_lasted_and_its_end_too() {
        let steps = [(0, true), (59, true), (60, true), (65, true), (300, true), (301, false), (302, false)];
        assert_eq!(run(&config(), &steps), [(60, News::Firing), (301, News::Resolved)]);
        let quiet = AlertConfig { resolved: false, ..config() };
        assert_eq!(run(&quiet, &steps), [(60, News::Firing)]);
    }

    #[test]
    fn what_passes_by_itself_is_not_told() {
        assert_eq!(run(&config(), &[(0, true), (59, true), (60, false), (61, true), (120, true), (121, false)]), []);
    }

    #[test]
    fn a_trouble_that_comes_and_goes_is_told_once_a_cooldown() {
        let steps = [
            (0, true),
            (60, true),
            (100, false),
            // It is back, and the receiver has just been told.
            (110, true),
            (200, true),
            (250, false),
            (300, true),
            (659, true),
            // It still holds when the cooldown is over.
            (660, true),
            (700, false),
        ];
        let told = [(60, News::Firing), (100, News::Resolved), (660, News::Firing), (700, News::Resolved)];
        assert_eq!(run(&config(), &steps), told);
    }

    #[test]
    fn without_times_everything_is_told_at_once() {
        let config = AlertConfig { hold: Duration::ZERO, cooldown: Duration::ZERO, ..config() };
        let told = [(0, News::Firing), (1, News::Resolved), (2, News::Firing)];
        assert_eq!(run(&config, &[(0, true), (1, false), (2, true)]), told);
    }
}
