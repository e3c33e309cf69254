//! The bytes of an HTTP CONNECT, without I/O.
//!
//! ```text
//! → CONNECT host:port HTTP/1.1 ⏎ Host: host:port ⏎ [Proxy-Authorization: Basic base64(user:password) ⏎] ⏎
//! ← HTTP/1.1 200 … ⏎ headers ⏎ ⏎ the target's bytes
//! ```

use base64::{Engine, engine::general_purpose::STANDARD};
use hezar_core::Target;

use crate::Cause;

/// The `Proxy-Authorization` line (RFC 7617).
pub(super) fn authorization(username: &str, password: &str) -> String {
    format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(format!("{username}:{password}")))
}

/// The request for a tunnel to `target`; `authorization` is a whole line or empty.
pub(super) fn request(target: &Target, authorization: &str) -> String {
    format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n")
}

/// What a status means: `Ok` is an open tunnel.
///
/// # Errors
/// Proxies answer 502, 503 and 504 when the target's name or address did not answer *them*.
pub(super) const fn verdict(status: u16) -> Result<(), Cause> {
    match status {
        200..=299 => Ok(()),
        401 | 407 => Err(Cause::Authentication),
        403 => Err(Cause::Forbidden),
        502 => Err(Cause::TargetUnreachable("HTTP status 502")),
        503 => Err(Cause::TargetUnreachable("HTTP status 503")),
        504 => Err(Cause::TargetUnreachable("HTTP status 504")),
        429 => Err(Cause::ServerFailure("HTTP status 429, too many requests")),
        500..=599 => Err(Cause::ServerFailure("an HTTP status of 500 to 599")),
        300..=399 => Err(Cause::ServerFailure("it redirects instead of connecting")),
        400..=499 => Err(Cause::ServerFailure("it does not accept CONNECT")),
        _ => Err(Cause::Protocol("the answer to CONNECT has an impossible status")),
    }
}
