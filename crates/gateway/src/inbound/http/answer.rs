//! The answers that the gateway gives itself: a status, plain words, and the code in `Proxy-Status` (RFC 9209).

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, header};

use super::body::OutBody;
use crate::Refusal;

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
const CHALLENGE: &str = "Basic realm=\"hezar\", charset=\"UTF-8\"";

/// The answer as text, header by header.
fn parts(refusal: &Refusal) -> (Vec<(HeaderName, String)>, String) {
    let code = refusal.code();
    let text = format!("hezar: {refusal}\ncode: {code}\n");
    let mut headers = vec![
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_LENGTH, text.len().to_string()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (PROXY_STATUS, format!("hezar; error={}; details=\"{code}\"", refusal.proxy_error())),
    ];
    if matches!(refusal, Refusal::AuthMissing) {
        headers.push((header::PROXY_AUTHENTICATE, CHALLENGE.to_owned()));
    }
    (headers, text)
}

/// The answer to a request.
pub(super) fn response(refusal: &Refusal) -> Response<OutBody> {
    let (headers, text) = parts(refusal);
    let mut response = Response::new(OutBody::text(Bytes::from(text)));
    *response.status_mut() = refusal.status();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The last answer on a connection on which HTTP never began.
pub(super) fn bytes(refusal: &Refusal) -> Vec<u8> {
    let status = refusal.status();
    let (headers, text) = parts(refusal);
    let reason = status.canonical_reason().unwrap_or_default();
    let mut answer = format!("HTTP/1.1 {} {reason}\r\nconnection: close\r\n", status.as_u16());
    for (name, value) in headers {
        // Writing to a String cannot fail.
        let _ = write!(answer, "{name}: {value}\r\n");
    }
    answer.push_str("\r\n");
    answer.push_str(&text);
    answer.into_bytes()
}
