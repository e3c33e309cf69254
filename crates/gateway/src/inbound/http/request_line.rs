//! The request line of a client: a method, where it wants to go, a version (RFC 9112 §3).

use super::destination::{self, Destination};
use crate::Refusal;

/// The longest method; the registered ones have at most 17 letters.
const MAX_METHOD: usize = 32;

/// A request line that was read.
#[derive(Debug)]
pub(super) struct RequestLine<'a> {
    pub method: &'a [u8],
    /// Where it wants to go, or why it cannot.
    pub destination: Result<Destination, Refusal>,
    pub is_http10: bool,
}

impl RequestLine<'_> {
    pub(super) fn is_connect(&self) -> bool {
        self.method == b"CONNECT"
    }
}

impl<'a> RequestLine<'a> {
    /// Reads the line, without its end.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`] when it is none, or of another version of HTTP.
    pub(super) fn read(line: &'a [u8]) -> Result<Self, Refusal> {
        let mut spaces = line.iter().enumerate().filter(|(_, byte)| **byte == b' ').map(|(place, _)| place);
        let (first, last) = (spaces.next(), spaces.next_back());
        let (Some(first), Some(last)) = (first, last) else {
            return Err(Refusal::BadRequest("the request line needs a method, a target and HTTP/1.1"));
        };
        let (method, target, version) = (line.get(..first), line.get(first + 1..last), line.get(last + 1..));
        let (method, target) = (method.unwrap_or_default(), target.unwrap_or_default());
        let is_http10 = match version.unwrap_or_default() {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err(Refusal::BadRequest("the request line has no HTTP/1.0 or HTTP/1.1 at its end")),
        };
        if method.is_empty() || method.len() > MAX_METHOD || http::Method::from_bytes(method).is_err() {
            return Err(Refusal::BadRequest("the method in the request line is malformed"));
        }
        // A second version within the line is the mark of two requests in one.
        let doubled = target.windows(6).any(|part| part.eq_ignore_ascii_case(b" HTTP/"));
        if target.is_empty() || doubled || target.starts_with(b" ") || target.iter().any(u8::is_ascii_control) {
            return Err(Refusal::BadRequest("the target in the request line is malformed"));
        }
        let destination = if method == b"CONNECT" {
            destination::connect_target(target).map(Destination::Tunnel)
        } else {
            destination::forward_target(target).map(Destination::Forward)
        };
        Ok(Self { method, destination, is_http10 })
    }
}
