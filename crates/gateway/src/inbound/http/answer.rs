//! Answers of the gateway itself: a status, plain text, and the code in the reason, the body and `Proxy-Status`.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::ext::ReasonPhrase;

use super::{
    body::ResponseBody,
    proxy_status::{self, PROXY_STATUS},
};
use crate::Refusal;

/// Names and passwords may be UTF-8 (RFC 7617 §2.1).
const CHALLENGE: &str = "Basic realm=\"hezar\", charset=\"UTF-8\"";

/// When a client that has reached a limit may try again: rates are counted over one second, and whoever waits longer for a
/// login than that waits in the connection.
const RETRY_AFTER_SECONDS: u32 = 1;

/// The answer as text, header by header.
fn parts(refusal: &Refusal) -> (Vec<(HeaderName, String)>, String) {
    let code = refusal.code();
    let text = format!("hezar: {refusal}\ncode: {code}\n");
    let mut headers = vec![
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_LENGTH, text.len().to_string()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (PROXY_STATUS, proxy_status::refused(refusal)),
    ];
    if refusal.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        // A wrong password is asked for again, as a missing one is: else a browser keeps the wrong one (RFC 9110 §15.5.8).
        headers.push((header::PROXY_AUTHENTICATE, CHALLENGE.to_owned()));
        // Whoever has no password holds no connection.
        headers.push((header::CONNECTION, "close".to_owned()));
    }
    if refusal.status() == StatusCode::TOO_MANY_REQUESTS {
        headers.push((header::RETRY_AFTER, RETRY_AFTER_SECONDS.to_string()));
    }
    (headers, text)
}

/// The reason phrase. Many clients show nothing else of an answer to CONNECT.
fn reason(refusal: &Refusal) -> String {
    let usual = refusal.status().canonical_reason().unwrap_or("Error");
    format!("{usual} (hezar: {})", refusal.code())
}

/// The answer to a request.
pub(super) fn response(refusal: &Refusal) -> Response<ResponseBody> {
    let (headers, text) = parts(refusal);
    let mut response = Response::new(ResponseBody::text(Bytes::from(text)));
    *response.status_mut() = refusal.status();
    if let Ok(reason) = ReasonPhrase::try_from(reason(refusal)) {
        response.extensions_mut().insert(reason);
    }
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The last answer on a connection on which HTTP never began.
pub(super) fn bytes(refusal: &Refusal) -> Vec<u8> {
    let (headers, text) = parts(refusal);
    let mut answer = format!("HTTP/1.1 {} {}\r\nconnection: close\r\n", refusal.status().as_u16(), reason(refusal));
    for (name, value) in headers.into_iter().filter(|(name, _)| name != header::CONNECTION) {
        // Writing to a String cannot fail.
        let _ = write!(answer, "{name}: {value}\r\n");
    }
    answer.push_str("\r\n");
    answer.push_str(&text);
    answer.into_bytes()
}
