//! Placeholders and dates of HTTP.

use hezar_core::Timestamp;
use proptest::prelude::*;

use super::site::NOW;
use crate::date::{expand_dates, parse_http_date};

#[test]
fn placeholders_are_filled_in() {
    for (text, expected) in [
        ("https://h/{Ymd}.txt", "https://h/20260131.txt"),
        ("{Y-m-d}/{Y-m-d-1}/{Y-m-d+1}", "2026-01-31/2026-01-30/2026-02-01"),
        ("{Ymd+1}{Ymd-31}", "2026020120251231"),
        ("{Y}{m}{d}", "20260131"),
        ("{Y/m/d}_{Y_m_d}", "2026/01/31_2026_01_31"),
        ("{}{x}{Y", "{}{x}{Y"),
        ("{name}{Ymd}{", "{name}20260131{"),
        ("{Ymd-99999999}", "{Ymd-99999999}"),
        ("{-1}{Y-m-d-}", "{-1}2026-01-31-"),
        ("é{Ymd}é", "é20260131é"),
    ] {
        assert_eq!(expand_dates(text, NOW), expected);
    }
    assert_eq!(expand_dates("{Ymd}", Timestamp(0)), "19700101");
    assert_eq!(expand_dates("{Ymd}", Timestamp(951_782_400_000)), "20000229");
    assert_eq!(expand_dates("{Ymd-1}", Timestamp(951_868_800_000)), "20000229");
}

#[test]
fn http_dates_are_read() {
    assert_eq!(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Timestamp(784_111_777_000)));
    assert_eq!(parse_http_date("Sat, 31 Jan 2026 12:00:00 GMT"), Some(NOW));
    for bad in ["", "soon", "Sun, 06 Nov 1994", "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 PST"] {
        assert_eq!(parse_http_date(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn days_follow_each_other(day in 0..2_000_000_u64) {
        let now = Timestamp(day * 86_400_000);
        let tomorrow = Timestamp((day + 1) * 86_400_000);
        prop_assert_eq!(expand_dates("{Ymd+1}", now), expand_dates("{Ymd}", tomorrow));
        let order = expand_dates("{Y-m-d}", now).cmp(&expand_dates("{Y-m-d}", tomorrow));
        prop_assert_eq!(order, std::cmp::Ordering::Less);
    }

    #[test]
    fn nothing_is_too_odd(text in ".*", now in any::<u64>()) {
        let _ = (expand_dates(&text, Timestamp(now)), parse_http_date(&text));
    }
}
