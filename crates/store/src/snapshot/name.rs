//! The name of a snapshot: `hezar-20261129T130000Z.db.zst`, the name of the database and the time (ISO 8601, UTC).

use hezar_core::{Timestamp, civil_date, day_number};

const DAY: u64 = 86_400;
const END: &str = ".db.zst";

/// The time in a name, in seconds since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SnapshotName(u64);

impl SnapshotName {
    pub(super) const fn at_time(at: Timestamp) -> Self {
        // Rounded down: what is written to a database on the disk behind a snapshot is newer than it.
        Self(at.0 / 1000)
    }

    pub(super) const fn at(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(1000))
    }

    pub(super) fn text(self, stem: &str) -> String {
        let (year, month, day) = civil_date(i64::try_from(self.0 / DAY).unwrap_or(i64::MAX / 1000));
        let (hour, minute, second) = (self.0 % DAY / 3600, self.0 % 3600 / 60, self.0 % 60);
        format!("{stem}-{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z{END}")
    }

    /// Reads a name back; `None` for anything that [`Self::text`] has not written.
    pub(super) fn read(text: &str, stem: &str) -> Option<Self> {
        let time = text.strip_prefix(stem)?.strip_prefix('-')?.strip_suffix(END)?.strip_suffix('Z')?;
        let (date, clock) = time.split_once('T')?;
        // Longer years are not written, and would not fit into the arithmetic.
        if date.len() > 9 {
            return None;
        }
        let number = |text: &str, from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
        let year = date.get(..date.len().checked_sub(4)?)?.parse::<i64>().ok()?;
        let month_and_day = date.get(date.len() - 4..)?;
        let month = i64::try_from(number(month_and_day, 0, 2)?).ok()?;
        let of_month = i64::try_from(number(month_and_day, 2, 4)?).ok()?;
        let day = u64::try_from(day_number(year, month, of_month)).ok()?;
        let (hour, minute, second) = (number(clock, 0, 2)?, number(clock, 2, 4)?, number(clock, 4, 6)?);
        let name = Self(day.checked_mul(DAY)?.checked_add(hour * 3600 + minute * 60 + second)?);
        (name.text(stem) == text).then_some(name)
    }
}
