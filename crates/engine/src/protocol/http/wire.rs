//! The bytes of HTTP CONNECT, without I/O. Requests in absolute form are written by whoever asked for the stream.
//!
//! ```text
//! → CONNECT host:port HTTP/1.1 ⏎ Host: host:port ⏎ [Proxy-Authorization: Basic base64(user:password) ⏎] ⏎
//! ← HTTP/1.1 200 … ⏎ headers ⏎ ⏎ the target's bytes
//! ```

use base64::{Engine, engine::general_purpose::STANDARD};
use hezar_core::Target;
use http::HeaderValue;

use crate::{BuildError, Cause, error::NO_CONNECT};

/// The value of `Proxy-Authorization` (RFC 7617).
///
/// # Errors
/// None in practice: base64 is always valid in a header.
pub(super) fn authorization(username: &str, password: &str) -> Result<HeaderValue, BuildError> {
    let basic = format!("Basic {}", STANDARD.encode(format!("{username}:{password}")));
    let mut value =
        HeaderValue::try_from(basic).map_err(|_| BuildError::Invalid("credentials that no header holds"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The request for a tunnel to `target`.
pub(super) fn request(target: &Target, authorization: Option<&HeaderValue>) -> Vec<u8> {
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(value) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}

/// Judges the status of an answer: `Ok` means that the tunnel is open.
///
/// # Errors
/// The cause that belongs to the status. Proxies answer 502, 503 and 504 when they could not reach the target.
pub(super) const fn verdict(status: u16) -> Result<(), Cause> {
    match status {
        200..=299 => Ok(()),
        401 | 407 => Err(Cause::Authentication),
        403 => Err(Cause::Forbidden),
        502 => Err(Cause::TargetUnreachable("HTTP status 502")),
        503 => Err(Cause::TargetUnreachable("HTTP status 503")),
        504 => Err(Cause::TargetUnreachable("HTTP status 504")),
        429 => Err(Cause::ServerFailure("HTTP status 429, too many requests")),
        501 => Err(Cause::ServerFailure(NO_CONNECT)),
        500..=599 => Err(Cause::ServerFailure("an HTTP status of 500 to 599")),
        300..=399 => Err(Cause::ServerFailure("it redirects instead of connecting")),
        400..=499 => Err(Cause::ServerFailure(NO_CONNECT)),
        _ => Err(Cause::Protocol("the answer to CONNECT has an impossible status")),
    }
}
