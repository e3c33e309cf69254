//! Dates of UTC: the one place where days become years, months and days of a month.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::Timestamp;

/// Milliseconds of a day; leap seconds are not counted (POSIX time).
const DAY: u64 = 86_400_000;

/// Year, month (1 to 12) and day (1 to 31) of a day counted from 1970-01-01 (proleptic Gregorian calendar, eras of 400 years from
/// 1 March).
#[must_use]
pub const fn civil_date(day: i64) -> (i64, i64, i64) {
    let day = day.saturating_add(719_468);
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + (month <= 2) as i64, month, of_year - (153 * from_march + 2) / 5 + 1)
}

/// The inverse of [`civil_date`].
#[must_use]
pub const fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era_year = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + of_era_year * 365 + of_era_year / 4 - of_era_year / 100 + of_year - 719_468
}

/// A day of UTC, counted from 1970-01-01; written as `2027-01-31`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcDay(pub u32);

impl UtcDay {
    /// The day that a point in time is in.
    #[must_use]
    pub fn containing(time: Timestamp) -> Self {
        Self(u32::try_from(time.0 / DAY).unwrap_or(u32::MAX))
    }

    /// The first day of the same calendar month.
    #[must_use]
    pub const fn first_of_month(self) -> Self {
        let (_, _, day) = civil_date(self.0 as i64);
        Self(self.0.saturating_sub(day as u32 - 1))
    }
}

impl fmt::Display for UtcDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_date(i64::from(self.0));
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// The text is no date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a date is written as 2027-01-31")]
pub struct ParseDayError;

impl FromStr for UtcDay {
    type Err = ParseDayError;

    fn from_str(text: &str) -> Result<Self, ParseDayError> {
        let mut numbers = text.splitn(3, '-').map(str::parse::<u32>);
        let mut next = || numbers.next().and_then(Result::ok).ok_or(ParseDayError);
        let (year, month, day) = (next()?, next()?, next()?);
        let number = day_number(i64::from(year), i64::from(month), i64::from(day));
        let found = u32::try_from(number).map(Self).map_err(|_| ParseDayError)?;
        // Nothing but the usual way to write it, and no 31st of February.
        if found.to_string() == text { Ok(found) } else { Err(ParseDayError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates_and_back() {
        for (day, date) in [(0, "1970-01-01"), (11_016, "2000-02-29"), (20_786, "2026-11-29"), (47_540, "2100-02-28")] {
            assert_eq!(UtcDay(day).to_string(), date);
            assert_eq!(date.parse(), Ok(UtcDay(day)));
        }
        for day in 0..200_000 {
            let (year, month, of_month) = civil_date(day);
            assert_eq!(day_number(year, month, of_month), day);
        }
        for wrong in ["", "2026-1-1", "2026-02-31", "2026-13-01", "1969-12-31", "2026-01-01x", "+2026-01-01"] {
            assert_eq!(wrong.parse::<UtcDay>(), Err(ParseDayError), "{wrong}");
        }
    }

    #[test]
    fn a_month_begins_on_its_first_day() {
        let first = |text: &str| text.parse::<UtcDay>().unwrap().first_of_month().to_string();
        assert_eq!(
            [first("2026-11-29"), first("2024-02-29"), first("2026-12-01")],
            ["2026-11-01", "2024-02-01", "2026-12-01"]
        );
        assert_eq!(UtcDay::containing(Timestamp(DAY - 1)), UtcDay(0));
        assert_eq!(UtcDay::containing(Timestamp(DAY)), UtcDay(1));
        let _ = (UtcDay(u32::MAX).to_string(), UtcDay::containing(Timestamp(u64::MAX)).first_of_month());
    }
}
