//! Fills date placeholders in URLs, and reads the dates of HTTP headers. All times are UTC.

use std::fmt::Write;

use hezar_core::{Timestamp, civil_date, day_number};

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

/// Reads the preferred form of an HTTP date (RFC 9110 §5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn parse_http_date(text: &str) -> Option<Timestamp> {
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
