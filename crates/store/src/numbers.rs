//! Between our values and the integers that every kind of database keeps.

use std::time::Duration;

use hezar_core::Timestamp;

pub(crate) fn from_time(time: Timestamp) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

pub(crate) fn to_time(number: i64) -> Timestamp {
    Timestamp(u64::try_from(number).unwrap_or(0))
}

/// Whole microseconds.
pub(crate) fn from_latency(latency: Duration) -> i64 {
    i64::try_from(latency.as_micros()).unwrap_or(i64::MAX)
}

pub(crate) fn to_latency(number: i64) -> Duration {
    Duration::from_micros(u64::try_from(number).unwrap_or(0))
}

/// Whole milliseconds, rounded up: what lasts 0.3 ms must not last no time at all.
pub(crate) fn from_duration(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(i64::MAX)
}

pub(crate) fn to_duration(number: i64) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or(0))
}

pub(crate) fn from_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(crate) fn to_count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(crate) fn to_u32(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}
