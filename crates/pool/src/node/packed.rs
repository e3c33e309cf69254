//! Optional values in fewer bytes than `Option` takes: a million nodes hold several each.

use hezar_core::Timestamp;

/// An optional point in time in eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OptionalTime(u64);

impl OptionalTime {
    /// No time; no clock reaches this value.
    pub(crate) const NONE: Self = Self(u64::MAX);

    pub(crate) const fn get(self) -> Option<Timestamp> {
        if self.0 == Self::NONE.0 { None } else { Some(Timestamp(self.0)) }
    }

    pub(crate) const fn is_none(self) -> bool {
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
