//! Answers to absolute-form requests that an HTTP node gives itself, and not the target behind it.

use hezar_core::Stage;
use hezar_engine::Cause;
use http::{HeaderName, Response, StatusCode, header};

use crate::{AttemptError, failover::FormChoice};

/// Headers that proxies put into their own error pages, and targets do not send.
const MARKS: [HeaderName; 4] = [
    HeaderName::from_static("x-squid-error"),
    HeaderName::from_static("proxy-agent"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
];

/// Names by which proxies call themselves in `Server`, in lower case.
const SERVERS: [&str; 7] = ["squid", "tinyproxy", "mikrotik httpproxy", "privoxy", "ccproxy", "3proxy", "polipo"];

/// Why the node, and not the target, has answered; nothing for an answer that is to be passed on. The target is not asked
/// twice for what cannot be repeated.
pub(super) fn failure<B>(response: &Response<B>, form: &FormChoice, repeatable: bool) -> Option<AttemptError> {
    if !form.form.is_absolute() {
        return None;
    }
    let status = response.status();
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        return Some(AttemptError::new(Stage::Handshake, &Cause::Authentication, true));
    }
    if !repeatable {
        return None;
    }
    // A node that knows CONNECT alone, or does not accept us at all; if it was the target, the tunnel brings the same answer.
    let untaken = match status.as_u16() {
        400 | 405 | 501 => Some(Cause::ServerFailure("it does not accept plain requests")),
        403 => Some(Cause::Forbidden),
        _ => None,
    };
    if let Some(cause) = untaken.filter(|_| form.untested) {
        return Some(AttemptError::refuses_plain(&cause));
    }
    let cause = match status.as_u16() {
        403 => Cause::Forbidden,
        429 => Cause::ServerFailure("HTTP status 429, too many requests"),
        500 | 502..=504 => Cause::TargetUnreachable("an error page of the proxy"),
        _ => return None,
    };
    is_of_proxy(response).then(|| AttemptError::new(Stage::Handshake, &cause, false))
}

fn is_of_proxy<B>(response: &Response<B>) -> bool {
    let headers = response.headers();
    let server = headers.get(header::SERVER).and_then(|server| server.to_str().ok()).unwrap_or_default();
    let server = server.to_ascii_lowercase();
    MARKS.iter().any(|mark| headers.contains_key(mark)) || SERVERS.iter().any(|name| server.starts_with(name))
}
