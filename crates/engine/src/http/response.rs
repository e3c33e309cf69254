//! An answer: its head is there, its body comes as it is asked for.

use std::{
    error::Error,
    fmt,
    future::{Future, poll_fn},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use hezar_core::Stage;
use http::{HeaderMap, Response};
use hyper::body::{Body, Incoming};

use super::{ResponseLimits, Wire};
use crate::{Attempt, Cause, DialError};

/// The answer to one GET. Dropping it closes the connection.
pub struct HttpResponse {
    status: u16,
    headers: HeaderMap,
    body: Incoming,
    /// The connection, until it has nothing more to do.
    wire: Option<Wire>,
    attempt: Attempt,
    limits: ResponseLimits,
    received: u64,
    end_is_certain: bool,
}

impl HttpResponse {
    pub(super) fn new(
        answer: Response<Incoming>,
        wire: Option<Wire>,
        secured: bool,
        attempt: Attempt,
        limits: ResponseLimits,
    ) -> Self {
        let (head, body) = answer.into_parts();
        let end_is_certain = secured || body.size_hint().exact().is_some() || is_chunked(&head.headers);
        let (status, headers) = (head.status.as_u16(), head.headers);
        Self { status, headers, body, wire, attempt, limits, received: 0, end_is_certain }
    }

    /// Whether a body that was read to its end is whole: it has a length or a last chunk, or TLS says where it ends. Otherwise the
    /// end of the connection is the end of the body (RFC 9112 §6.3), and anybody on the way can bring that about.
    #[must_use]
    pub const fn end_is_certain(&self) -> bool {
        self.end_is_certain
    }

    /// The status code.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The headers.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A header's value when it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The bytes of the body received so far.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// [`DialError`] at [`Stage::Exchange`]: [`Cause::Timeout`], a lost connection, a body that was cut short, or
    /// [`Cause::UnexpectedAnswer`] when it is longer than the limit.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, DialError> {
        let attempt = self.attempt;
        attempt.stage(Stage::Exchange, poll_fn(|cx| self.poll_chunk(cx))).await
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`HttpResponse::chunk`].
    pub async fn bytes(mut self) -> Result<Bytes, DialError> {
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let mut whole = BytesMut::from(first);
        whole.extend_from_slice(&second);
        while let Some(chunk) = self.chunk().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Cause>> {
        // The connection does the work; asking for the body wakes it when it has to go on.
        if let Some(wire) = &mut self.wire
            && Pin::new(wire).poll(cx).is_ready()
        {
            self.wire = None;
        }
        loop {
            let data = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                None => return Poll::Ready(Ok(None)),
                Some(Err(error)) => return Poll::Ready(Err(cause_of_body(&error))),
                Some(Ok(frame)) => frame.into_data(),
            };
            // Trailers are not of interest.
            let Ok(data) = data else { continue };
            self.received = self.received.saturating_add(data.len() as u64);
            if self.received > self.limits.body {
                return Poll::Ready(Err(Cause::UnexpectedAnswer("the body is longer than the limit".into())));
            }
            return Poll::Ready(Ok(Some(data)));
        }
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse").field("status", &self.status).field("received", &self.received).finish()
    }
}

/// Whether chunks, of which one is the last, carry the body (RFC 9112 §6.3).
fn is_chunked(headers: &HeaderMap) -> bool {
    let last = headers.get_all(http::header::TRANSFER_ENCODING).iter().next_back();
    let last = last.and_then(|value| value.to_str().ok()?.rsplit(',').next());
    last.is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"))
}

/// What happened to a body.
fn cause_of_body(error: &hyper::Error) -> Cause {
    match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(error) => cause_of_io(error),
        None => Cause::Closed,
    }
}

/// A cause from an I/O error that can only be looked at.
pub(super) fn cause_of_io(error: &io::Error) -> Cause {
    if let Some(Cause::BadAnswer(text)) = error.get_ref().and_then(|inner| inner.downcast_ref::<Cause>()) {
        return Cause::UnexpectedAnswer(format!("not an answer of HTTP: {text}").into());
    }
    if let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<Cause>()).and_then(Cause::of_stream) {
        return cause;
    }
    if let Some(refused) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Cause::Tls(refused.to_string().into());
    }
    match error.raw_os_error() {
        Some(code) => Cause::from(io::Error::from_raw_os_error(code)),
        None => Cause::from(io::Error::new(error.kind(), error.to_string())),
    }
}
