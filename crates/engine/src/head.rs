//! The head of an HTTP/1.1 answer, read from a stream that will not stay HTTP.

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::Cause;

/// The longest head accepted, in bytes.
pub(crate) const MOST_HEAD: usize = 16 * 1024;

/// The most header lines accepted.
const MOST_HEADERS: usize = 100;

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
        let mut lines = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut answer = httparse::Response::new(&mut lines);
        match answer.parse(bytes) {
            Ok(httparse::Status::Complete(length)) if length <= MOST_HEAD => {
                let headers = answer.headers.iter().map(|h| (h.name.into(), h.value.into())).collect();
                Ok(Some((Self { status: answer.code.unwrap_or_default(), headers }, length)))
            }
            Ok(httparse::Status::Partial) if bytes.len() < MOST_HEAD => Ok(None),
            Ok(_) => Err(Cause::Protocol("the head of the HTTP answer is too long")),
            Err(_) => Err(Cause::Protocol("the answer is not HTTP/1")),
        }
    }
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
