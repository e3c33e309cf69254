//! The first head of a connection, looked at before HTTP proper begins: bounded in size and time, with clear answers
//! to whoever speaks something else.

use crate::{Refusal, inbound::Inbox};

/// What HTTP/2 clients begin with (RFC 9113 §3.4), as far as a blank line.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
/// The most header lines.
const MAX_LINES: usize = 100;

/// Waits until a whole head has arrived (it stays in the inbox).
///
/// # Errors
/// [`Refusal`] with an HTTP answer of its own, or [`Refusal::ClientGone`].
pub(super) async fn first(inbox: &mut Inbox, limit: usize) -> Result<(), Refusal> {
    let mut seen = 0;
    loop {
        if seen == 0 {
            // A blank line before the request is allowed (RFC 9112 §2.2).
            let blank = inbox.bytes().iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            inbox.skip(blank);
        }
        if inbox.bytes().first().is_some_and(|byte| !byte.is_ascii_alphabetic()) {
            return Err(Refusal::BadRequest("these bytes are neither HTTP nor SOCKS"));
        }
        if let Some(end) = end(inbox.bytes(), seen) {
            if end > limit {
                return Err(Refusal::HeaderTooLarge);
            }
            return check(&inbox.bytes()[..end]);
        }
        seen = inbox.bytes().len();
        if seen > limit {
            return Err(Refusal::HeaderTooLarge);
        }
        inbox.more().await?;
    }
}

/// Where the head ends: after the first blank line. The first `seen` bytes were searched before.
pub(crate) fn end(bytes: &[u8], seen: usize) -> Option<usize> {
    let from = seen.saturating_sub(3);
    let mut rest = bytes.get(from..)?;
    let mut position = from;
    while let Some(line_end) = rest.iter().position(|byte| *byte == b'\n') {
        let next = line_end + 1;
        match rest.get(next..) {
            Some([b'\n', ..]) => return Some(position + next + 1),
            Some([b'\r', b'\n', ..]) => return Some(position + next + 2),
            Some(after) => rest = after,
            None => return None,
        }
        position += next;
    }
    None
}

/// Whether HTTP/1 can be spoken with whoever sent this head.
pub(super) fn check(head: &[u8]) -> Result<(), Refusal> {
    if head.starts_with(HTTP2_PREFACE) {
        return Err(Refusal::Http2);
    }
    let mut lines = [httparse::EMPTY_HEADER; MAX_LINES];
    let mut request = httparse::Request::new(&mut lines);
    match request.parse(head) {
        Ok(_) => Ok(()),
        Err(httparse::Error::TooManyHeaders) => Err(Refusal::HeaderTooLarge),
        Err(httparse::Error::Version) => Err(Refusal::BadRequest("the request line has no HTTP/1.0 or HTTP/1.1")),
        Err(httparse::Error::Token) => Err(Refusal::BadRequest("the request line is malformed")),
        Err(_) => Err(Refusal::BadRequest("a header line is malformed")),
    }
}
