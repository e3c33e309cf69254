//! Web requests that reach an inbound: what they are, and who answers them.

use std::{fmt, io, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body_util::combinators::UnsyncBoxBody;

/// The body of an answer.
pub type WebBody = UnsyncBoxBody<Bytes, io::Error>;

/// Answers web requests as a site does. Its answers must not depend on whether somebody is a client.
#[async_trait]
pub trait WebAnswer: Send + Sync {
    /// The site's answer.
    async fn answer(&self, request: Request<Bytes>) -> Response<WebBody>;
}

/// A web request that is no client's, with its whole body (which the server half bounds) and the way back.
pub struct WebRequest {
    /// The request.
    pub request: Request<Bytes>,
    /// Takes the answer.
    pub responder: Box<dyn WebResponder>,
}

/// Sends the answer to one web request.
#[async_trait]
pub trait WebResponder: Send {
    /// Sends it whole.
    ///
    /// # Errors
    /// When the connection is gone, or the body fails.
    async fn respond(self: Box<Self>, response: Response<WebBody>) -> io::Result<()>;
}

/// Fields that belong to one connection of HTTP/1.1 (RFC 9113 §8.2.2, RFC 9114 §4.2).
static OF_CONNECTION: [HeaderName; 4] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, HeaderName::from_static("keep-alive")];

/// Leaves only fields that HTTP/2 and HTTP/3 have, and says when the answer was made, as a web server does (RFC 9110 §6.6.1).
pub(crate) fn adapt_head(headers: &mut HeaderMap) {
    for name in &OF_CONNECTION {
        headers.remove(name);
    }
    if !headers.contains_key(header::DATE)
        && let Ok(now) = HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::now()))
    {
        headers.insert(header::DATE, now);
    }
}

impl fmt::Debug for WebRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebRequest").field("request", &self.request).finish_non_exhaustive()
    }
}
