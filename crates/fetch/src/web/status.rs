//! Turns a status other than success into an error; rate limits say when to ask again.

use std::time::Duration;

use hezar_core::Timestamp;
use http::HeaderMap;

use crate::{FetchError, date};

/// How long to wait when a server does not say.
const USUAL_PAUSE: Duration = Duration::from_secs(5 * 60);

/// The longest pause that a server can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// The error for a status. Rate limits as in RFC 6585 §4, RFC 9110 §10.2.3 and GitHub's REST API.
pub(super) fn error_for_status(host: Box<str>, status: u16, headers: &HeaderMap, now: Timestamp) -> FetchError {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |name| text(name).and_then(|text| text.parse::<u64>().ok());
    let asked = text("retry-after").and_then(|text| match text.parse() {
        Ok(seconds) => Some(now.after(Duration::from_secs(seconds))),
        Err(_) => date::parse_http_date(text),
    });
    let reset = number("x-ratelimit-reset").map(|seconds| Timestamp(seconds.saturating_mul(1000)));
    let spent = number("x-ratelimit-remaining") == Some(0);
    let until = match status {
        403 | 429 if spent || (status == 429 && asked.is_none()) => asked.or(reset).or(Some(now.after(USUAL_PAUSE))),
        403 | 429 | 503 => asked,
        _ => None,
    };
    match until {
        Some(until) => FetchError::RateLimited {
            host,
            until: until.clamp(now.after(Duration::from_secs(1)), now.after(LONGEST_PAUSE)),
        },
        None => FetchError::Status { host, status },
    }
}
