//! Heads of HTTP/1.1 on a stream that will not stay HTTP: of an answer, read as leniently as browsers and curl do, and of a
//! request, read strictly.

use bytes::{Buf, BytesMut};
use http::{Request, Version};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::Cause;

/// The longest head accepted, in bytes.
pub(crate) const MOST_HEAD: usize = 64 * 1024;

/// Room for header lines: enough for nearly all heads, and for as many as [`MOST_HEAD`] holds.
const USUAL_HEADERS: usize = 64;
const MOST_HEADERS: usize = MOST_HEAD / 3;

/// The longest head of a request accepted, in bytes, and the most headers in it.
pub(crate) const MOST_REQUEST_HEAD: usize = 16 * 1024;
const MOST_REQUEST_HEADERS: usize = 64;

type Parsed = Result<httparse::Status<(Head, usize)>, httparse::Error>;

/// A status and the headers after it.
#[derive(Debug)]
pub(crate) struct Head {
    /// The status code.
    pub(crate) status: u16,
    headers: Vec<(Box<str>, Box<[u8]>)>,
}

impl Head {
    /// The first value of a header; letter case does not matter.
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_ref())
    }

    /// Reads a head from the front of `bytes`; `None` while it is incomplete. Returns its length beside it.
    ///
    /// # Errors
    /// [`Cause::Protocol`] for anything but HTTP/1, or a head longer than [`MOST_HEAD`].
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Cause> {
        match Self::parse_with(bytes, USUAL_HEADERS) {
            Err(httparse::Error::TooManyHeaders) => Self::checked(bytes, Self::parse_with(bytes, MOST_HEADERS)),
            parsed => Self::checked(bytes, parsed),
        }
    }

    /// Folded lines are joined, a space before the colon is allowed, and lines that are no headers are passed over.
    fn parse_with(bytes: &[u8], room: usize) -> Parsed {
        let mut lines = vec![httparse::EMPTY_HEADER; room];
        let mut answer = httparse::Response::new(&mut lines);
        let mut lenient = httparse::ParserConfig::default();
        lenient
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .allow_multiple_spaces_in_response_status_delimiters(true)
            .ignore_invalid_headers_in_responses(true);
        let httparse::Status::Complete(length) = lenient.parse_response(&mut answer, bytes)? else {
            return Ok(httparse::Status::Partial);
        };
        let headers = answer.headers.iter().map(|h| (h.name.into(), h.value.into())).collect();
        Ok(httparse::Status::Complete((Self { status: answer.code.unwrap_or_default(), headers }, length)))
    }

    fn checked(bytes: &[u8], parsed: Parsed) -> Result<Option<(Self, usize)>, Cause> {
        match parsed {
            Ok(httparse::Status::Complete((head, length))) if length <= MOST_HEAD => Ok(Some((head, length))),
            Ok(httparse::Status::Partial) if bytes.len() < MOST_HEAD => Ok(None),
            Ok(_) => Err(Cause::Protocol("the head of the HTTP answer is too long")),
            Err(_) => Err(Cause::Protocol("the answer is not HTTP/1")),
        }
    }
}

/// Reads the head of a request from the front of `bytes`; `None` while it is incomplete. Returns its length beside it.
///
/// # Errors
/// [`Cause::Protocol`] for anything but HTTP/1, more than 64 headers, or a head longer than [`MOST_REQUEST_HEAD`].
pub(crate) fn parse_request(bytes: &[u8]) -> Result<Option<(Request<()>, usize)>, Cause> {
    let mut lines = [httparse::EMPTY_HEADER; MOST_REQUEST_HEADERS];
    let mut parsed = httparse::Request::new(&mut lines);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= MOST_REQUEST_HEAD => {
            Ok(Some((request(&parsed).ok_or(NO_REQUEST)?, length)))
        }
        Ok(httparse::Status::Partial) if bytes.len() < MOST_REQUEST_HEAD => Ok(None),
        Ok(_) => Err(Cause::Protocol("the head of the HTTP request is too long")),
        Err(_) => Err(NO_REQUEST),
    }
}

const NO_REQUEST: Cause = Cause::Protocol("the request is not HTTP/1");

fn request(parsed: &httparse::Request<'_, '_>) -> Option<Request<()>> {
    let version = if parsed.version? == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
    let mut request = Request::builder().method(parsed.method?).uri(parsed.path?).version(version);
    for line in parsed.headers.iter() {
        request = request.header(line.name, line.value);
    }
    request.body(()).ok()
}

/// Reads one head; what the stream brought after it stays in `buffer`. Informational answers (1xx except 101) are
/// skipped.
///
/// # Errors
/// [`Cause::Closed`] when the stream ends before the head does, [`Cause::Protocol`] as [`Head::parse`].
pub(crate) async fn read<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut BytesMut) -> Result<Head, Cause> {
    let mut skipped = 0;
    loop {
        while let Some((head, length)) = Head::parse(buffer)? {
            buffer.advance(length);
            skipped += 1;
            if head.status == 101 || !(100..200).contains(&head.status) {
                return Ok(head);
            }
            if skipped > 4 {
                return Err(Cause::Protocol("the HTTP answer never comes to its point"));
            }
        }
        buffer.reserve(1024);
        if stream.read_buf(buffer).await? == 0 {
            return Err(Cause::Closed);
        }
    }
}
