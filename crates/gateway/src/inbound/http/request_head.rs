//! Reads the head of a request before hyper does: it refuses what cannot be served with a clear answer, and decides where the
//! request goes.
//!
//! ```text
//!   the client's head ──► request line, fields, framing ──► a strict head for hyper, and beside it the request's destination
//! ```
//! hyper never sees the client's own request line, so the destination is decided only here. The reading is lenient only where
//! that cannot change where a request ends (RFC 9112 §6.3, §11.2).

use super::{body_end::BodyEnd, destination::Destination, request_line::RequestLine};
use crate::Refusal;

/// The beginning of what HTTP/2 clients send first (RFC 9113 §3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
/// The most header lines.
pub(super) const MAX_LINES: usize = 1000;

/// The longest name of a header; hyper takes no longer ones than 64 KiB.
const MAX_NAME: usize = 1024;

/// What the service needs to know about a request besides hyper's reading of it.
#[derive(Debug)]
pub(super) struct RequestRoute {
    /// Where it goes, or why it is refused.
    pub destination: Result<Destination, Refusal>,
    /// Whether the connection stops being HTTP after it, if it is granted: CONNECT and upgrades.
    pub leaves_http: bool,
}

/// A head that was read.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub route: RequestRoute,
    /// The head that hyper reads.
    pub bytes: Vec<u8>,
    /// Where the body behind it ends.
    pub body: BodyEnd,
}

impl RequestHead {
    /// Reads a whole head.
    ///
    /// # Errors
    /// [`Refusal`] when the end of the request cannot be determined: the connection has to end with the answer.
    pub(super) fn read(head: &[u8]) -> Result<Self, Refusal> {
        if head.starts_with(HTTP2_PREFACE) {
            return Err(Refusal::Http2);
        }
        let line_end = head.iter().position(|byte| *byte == b'\n').unwrap_or(head.len());
        let line = head.get(..line_end).unwrap_or_default();
        let line = RequestLine::read(line.strip_suffix(b"\r").unwrap_or(line))?;
        let fields = head.get(line_end + 1..).unwrap_or_default();
        let count = fields.iter().filter(|byte| **byte == b'\n').count();
        if count > MAX_LINES {
            return Err(Refusal::HeaderTooLarge);
        }
        let mut slots = vec![httparse::EMPTY_HEADER; count];
        let fields = match httparse::parse_headers(fields, &mut slots) {
            Ok(httparse::Status::Complete((_, fields))) => fields,
            Ok(httparse::Status::Partial) => return Err(Refusal::BadRequest("the head of the request is cut short")),
            Err(error) => return Err(malformed(error)),
        };
        if fields.iter().any(|field| field.name.len() > MAX_NAME) {
            return Err(Refusal::HeaderTooLarge);
        }
        let body = body_end(&line, fields)?;
        let leaves_http = line.is_connect() || !line.is_http10 && asks_upgrade(fields);
        let bytes = strict(&line, fields);
        Ok(Self { route: RequestRoute { destination: line.destination, leaves_http }, bytes, body })
    }

    /// A head that stands for an unreadable one: hyper reads a valid request, and the service learns the reason.
    pub(super) fn refused(refusal: Refusal) -> Self {
        let bytes = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_vec();
        Self { route: RequestRoute { destination: Err(refusal), leaves_http: true }, bytes, body: BodyEnd::none() }
    }
}

/// Reads a head and where the body behind it ends, for the fuzz targets.
#[cfg(feature = "fuzzing")]
pub(crate) fn reads_request(data: &[u8]) -> bool {
    let end = hezar_engine::http::head_end(data, 0).unwrap_or(data.len());
    let (head, rest) = data.split_at_checked(end).unwrap_or((data, b""));
    RequestHead::read(head).is_ok_and(|mut head| head.body.take(rest).is_ok())
}

fn malformed(error: httparse::Error) -> Refusal {
    Refusal::BadRequest(match error {
        httparse::Error::HeaderName => {
            "a header line is malformed: no colon, a space in front of it or of the line, or a character that no name has"
        }
        httparse::Error::HeaderValue => "the value of a header holds a control character",
        _ => "a header line is malformed",
    })
}

/// The values of all headers of one name.
fn values<'a>(fields: &'a [httparse::Header<'a>], name: &'static str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.trim_ascii())
}

/// Where the body ends. What two readers could read in two ways is refused (RFC 9112 §6.3).
fn body_end(line: &RequestLine<'_>, fields: &[httparse::Header<'_>]) -> Result<BodyEnd, Refusal> {
    if line.is_connect() {
        // CONNECT has no body, whatever its headers say: what follows belongs to the tunnel (RFC 9110 §9.3.6).
        return Ok(BodyEnd::none());
    }
    let mut codings = values(fields, "transfer-encoding");
    if let Some(coding) = codings.next() {
        if line.is_http10 {
            return Err(Refusal::BadRequest("HTTP/1.0 has no Transfer-Encoding"));
        }
        if codings.next().is_some() || !coding.eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::BadRequest("the only Transfer-Encoding that is understood is: chunked"));
        }
        return Ok(BodyEnd::chunked());
    }
    let mut lengths = values(fields, "content-length");
    let Some(length) = lengths.next() else { return Ok(BodyEnd::none()) };
    let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
    let length = std::str::from_utf8(length).ok().filter(|_| digits).and_then(|text| text.parse::<u64>().ok());
    match length {
        // hyper uses the two highest values internally.
        Some(length) if length < u64::MAX - 2 && lengths.next().is_none() => Ok(BodyEnd::length(length)),
        _ => Err(Refusal::BadRequest("Content-Length must be one number")),
    }
}

/// Whether the client wants to switch to another protocol, and `Connection` confirms it.
fn asks_upgrade(fields: &[httparse::Header<'_>]) -> bool {
    let named = values(fields, "connection").flat_map(|value| value.split(|byte| *byte == b','));
    values(fields, "upgrade").next().is_some()
        && named.map(<[u8]>::trim_ascii).any(|name| name.eq_ignore_ascii_case(b"upgrade"))
}

/// The head for hyper, without the headers that were decided about here.
fn strict(line: &RequestLine<'_>, fields: &[httparse::Header<'_>]) -> Vec<u8> {
    let is_chunked = !line.is_connect() && values(fields, "transfer-encoding").next().is_some();
    let drops = |name: &str| {
        let named = |other: &str| name.eq_ignore_ascii_case(other);
        match line.is_connect() {
            true => named("content-length") || named("transfer-encoding") || named("expect"),
            // Transfer-Encoding overrides Content-Length (RFC 9112 §6.3).
            false if is_chunked && named("content-length") => true,
            // HTTP/1.0 knows neither.
            false => line.is_http10 && (named("expect") || named("upgrade")),
        }
    };
    let mut bytes = Vec::with_capacity(1024);
    bytes.extend_from_slice(line.method);
    bytes.extend_from_slice(if line.is_http10 { b" / HTTP/1.0\r\n" } else { b" / HTTP/1.1\r\n" });
    for field in fields.iter().filter(|field| !drops(field.name)) {
        bytes.extend_from_slice(field.name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(field.value);
        bytes.extend_from_slice(b"\r\n");
    }
    if is_chunked && values(fields, "content-length").next().is_some() {
        // A proxy in front of us may have used Content-Length (RFC 9112 §6.1).
        bytes.extend_from_slice(b"Connection: close\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}
