//! The head of an HTTP request in clear that is safe to repeat: GET, HEAD or OPTIONS, without a body.

use super::FlightKind;
use hezar_engine::http::head_end;

const SAFE: [&[u8]; 3] = [b"GET ", b"HEAD ", b"OPTIONS "];
/// The most header lines; a head with more is somebody else's to judge.
const MAX_LINES: usize = 100;

pub(super) fn kind(bytes: &[u8]) -> FlightKind {
    let begins = |method: &&[u8]| bytes.iter().zip(method.iter()).all(|(byte, wanted)| byte == wanted);
    if !SAFE.iter().any(begins) {
        return FlightKind::Other;
    }
    let Some(length) = head_end(bytes, 0) else { return FlightKind::Partial };
    match bytes.get(..length) {
        Some(head) if bodiless(head) => FlightKind::Request { length },
        _ => FlightKind::Other,
    }
}

/// Whether the head is one of HTTP/1 and announces no body.
fn bodiless(head: &[u8]) -> bool {
    let mut lines = [httparse::EMPTY_HEADER; MAX_LINES];
    let mut request = httparse::Request::new(&mut lines);
    if !matches!(request.parse(head), Ok(httparse::Status::Complete(_))) {
        return false;
    }
    let body =
        |name: &str| ["content-length", "transfer-encoding", "expect"].iter().any(|n| name.eq_ignore_ascii_case(n));
    !request.headers.iter().any(|line| body(line.name))
}
