//! A point in time that is handed in, never asked for.

use std::time::Duration;

/// Milliseconds since the Unix epoch.
///
/// The rooms that decide (pool, schedule) take it as an argument, so that a test can move time by hand. The
/// application takes it from a clock that follows the wall clock forwards and never runs backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The time from `earlier` to this point; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This point moved by `by` into the future, saturating.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// An optional point in time in eight bytes, where `Option` takes sixteen: a million nodes hold several each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalTime(u64);

impl OptionalTime {
    /// No time; no clock reaches this value.
    pub const NONE: Self = Self(u64::MAX);

    /// The point in time.
    #[must_use]
    pub const fn get(self) -> Option<Timestamp> {
        if self.0 == Self::NONE.0 { None } else { Some(Timestamp(self.0)) }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == Self::NONE.0
    }
}

impl From<Option<Timestamp>> for OptionalTime {
    fn from(time: Option<Timestamp>) -> Self {
        time.map_or(Self::NONE, |time| Self(time.0))
    }
}

impl From<Timestamp> for OptionalTime {
    fn from(time: Timestamp) -> Self {
        Self(time.0)
    }
}
