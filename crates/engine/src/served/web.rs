//! Web requests that reach an inbound: what they are, and who answers them.

use std::{fmt, io};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
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

impl fmt::Debug for WebRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebRequest").field("request", &self.request).finish_non_exhaustive()
    }
}
