//! Fills date placeholders in URLs, and reads the dates of HTTP headers. All times are UTC.

use std::fmt::Write;

use hezar_core::Timestamp;

const DAY: i64 = 86_400;

/// Fills in dates: `{Ymd}` becomes `20260131`, `{Y-m-d}` `2026-01-31`, `{Y}`, `{m}` and `{d}` their parts, with any of
/// `-` `_` `/` `.` between them. A number at the end moves by days: `{Ymd-1}` is yesterday, `{Y-m-d+1}` tomorrow. Other
/// braces stay as they are.
#[must_use]
pub fn expand_dates(text: &str, now: Timestamp) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let filled = after.split_once('}').and_then(|(inside, tail)| Some((filled_placeholder(inside, now)?, tail)));
        match filled {
            Some((date, tail)) => {
                out.push_str(&date);
                rest = tail;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The date for what stands inside braces; `None` when that is no placeholder.
fn filled_placeholder(inside: &str, now: Timestamp) -> Option<String> {
    let (format, days) = match inside.rfind(['+', '-']) {
        Some(at) if inside[at + 1..].starts_with(|c: char| c.is_ascii_digit()) => {
            let number: i64 = inside[at + 1..].parse().ok().filter(|n| *n <= 36_500)?;
            (&inside[..at], if inside[at..].starts_with('-') { -number } else { number })
        }
        _ => (inside, 0),
    };
    let known = |c: char| matches!(c, 'Y' | 'm' | 'd' | '-' | '_' | '/' | '.');
    if format.is_empty() || format.len() > 16 || !format.starts_with(['Y', 'm', 'd']) || !format.chars().all(known) {
        return None;
    }
    let (year, month, day) = civil_date(i64::try_from(now.0 / 1000).ok()?.div_euclid(DAY) + days);
    let mut date = String::new();
    for c in format.chars() {
        let _ = match c {
            'Y' => write!(date, "{year:04}"),
            'm' => write!(date, "{month:02}"),
            'd' => write!(date, "{day:02}"),
            other => write!(date, "{other}"),
        };
    }
    Some(date)
}

/// Year, month and day of a day counted from 1970-01-01 (proleptic Gregorian calendar, eras of 400 years from March).
fn civil_date(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * from_march + 2) / 5 + 1)
}

/// The inverse of [`civil_date`].
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era_year = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + of_era_year * 365 + of_era_year / 4 - of_era_year / 100 + of_year - 719_468
}

/// Reads the preferred form of an HTTP date (RFC 9110 §5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn parse_http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.trim().split_once(", ")?;
    let mut words = rest.split(' ');
    let day: i64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month = words.next()?;
    let month = i64::try_from(MONTHS.iter().position(|name| *name == month)? + 1).ok()?;
    let year: i64 = words.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<i64>().ok().filter(|n| (0..=60).contains(n)));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if words.next() != Some("GMT") {
        return None;
    }
    let seconds = day_number(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    Some(Timestamp(u64::try_from(seconds).ok()? * 1000))
}
