//! How many bytes a user may move: a day, a month, in all.

use std::ops::RangeInclusive;

use hezar_core::{settings, settings::ByteCount};

/// The range of quotas in bytes: from 1 MiB to 1 PiB.
const QUOTA: RangeInclusive<u64> = 1 << 20..=1 << 50;

settings! {
    /// How many bytes a user may move, both directions together; absent = any number.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Quota in "quota" {
        /// On one day of UTC.
        pub day: Option<ByteCount> [QUOTA] = None;
        /// In one calendar month of UTC.
        pub month: Option<ByteCount> [QUOTA] = None;
        /// In all.
        pub total: Option<ByteCount> [QUOTA] = None;
    }
}

impl Quota {
    /// Whether nothing is limited.
    #[must_use]
    pub const fn is_unlimited(&self) -> bool {
        self.day.is_none() && self.month.is_none() && self.total.is_none()
    }
}
