//! The server's side of HTTP beneath the transports that look like it: the requests of one connection, over either version.

mod answer;
mod http1;
mod http2;
mod request_head;
mod session;
#[cfg(test)]
pub(crate) mod testing;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use h2::RecvStream;
use http::{Request, StatusCode};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::Semaphore,
    time::timeout,
};

pub(crate) use self::{
    answer::{AnswerBody, Responder},
    http2::Http2Limits,
    request_head::{is_for_host, text},
    session::{ExchangeHandler, Handled, Handling, HttpSession, Opened, Opener, open},
};
use self::{http1::Http1Server, http2::Http2Server};
use crate::{
    BoxStream,
    served::{SessionItem, WebRequest},
    transport::http2_body::{BodyReader, Raw},
};

/// What a client of HTTP/2 sends first (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The longest body of a request that the fallback answers, in bytes, and how long it may take to come.
const MOST_WEB_BODY: usize = 64 * 1024;
const WEB_BODY: Duration = Duration::from_secs(30);
/// How many of them one listener holds at the same time.
const MOST_WEB_BODIES: usize = 256;

/// The places for the bodies of requests that a listener's fallback answers.
#[derive(Clone, Debug)]
pub(crate) struct WebBodies(Arc<Semaphore>);

impl Default for WebBodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_WEB_BODIES)))
    }
}

/// The body of a request.
pub(crate) enum RequestBody {
    Http1(BodyStream),
    Http2(RecvStream),
}

/// The body of a request as a stream of bytes.
pub(crate) type BodyStream = Box<dyn AsyncRead + Send + Sync + Unpin>;

impl RequestBody {
    /// Whether it is known that nothing comes.
    fn is_empty(&self) -> bool {
        match self {
            Self::Http1(_) => false,
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    /// Its bytes as they are.
    pub(crate) fn into_stream(self) -> BodyStream {
        match self {
            Self::Http1(stream) => stream,
            Self::Http2(body) => Box::new(BodyReader::new(body, Raw)),
        }
    }
}

/// A request, whose body is to come, and the way to its answer.
pub(crate) struct HttpExchange {
    pub(crate) request: Request<()>,
    pub(crate) body: RequestBody,
    pub(crate) responder: Responder,
}

impl HttpExchange {
    /// The request with its whole body, for the fallback. `None` when the body does not come; one that is too long is refused.
    pub(crate) async fn into_web(self, places: WebBodies) -> Option<SessionItem> {
        let Self { request, body, responder } = self;
        if body.is_empty() {
            return Some(web(request, Bytes::new(), responder));
        }
        let mut bytes = Vec::new();
        let mut body = body.into_stream().take(MOST_WEB_BODY as u64 + 1);
        let reading = async {
            let place = places.0.acquire_owned().await.ok()?;
            body.read_to_end(&mut bytes).await.ok()?;
            Some(place)
        };
        let place = timeout(WEB_BODY, reading).await.ok()?;
        let responder = responder.keep(Some(place?));
        if bytes.len() > MOST_WEB_BODY {
            responder.refuse(StatusCode::PAYLOAD_TOO_LARGE);
            return None;
        }
        Some(web(request, bytes.into(), responder))
    }
}

/// A request for the fallback.
pub(crate) fn web(request: Request<()>, body: Bytes, responder: Responder) -> SessionItem {
    SessionItem::Web(Box::new(WebRequest { request: request.map(|()| body), responder: Box::new(responder) }))
}

/// One connection.
pub(crate) enum HttpServer {
    Http1(Http1Server),
    Http2(Http2Server),
}

impl HttpServer {
    /// Serves a connection of HTTP/1.1. With `half_close`, a client that ends its direction still gets its answer; without, it has left.
    pub(crate) fn http1(io: BoxStream, half_close: bool) -> Self {
        Self::Http1(http1::serve(io, half_close))
    }

    /// Serves a connection of HTTP/2, whose next bytes are the client's preface.
    pub(crate) fn http2(io: BoxStream, limits: Http2Limits) -> Self {
        Self::Http2(http2::serve(io, limits))
    }

    /// The next request; `None` when the connection is over. Cancel safe.
    async fn next(&mut self) -> Option<HttpExchange> {
        match self {
            Self::Http1(server) => server.next().await,
            Self::Http2(server) => server.next().await,
        }
    }

    /// Asks the client for another connection. The requests that are open go on.
    fn go_away(&self) {
        match self {
            Self::Http1(server) => server.go_away(),
            Self::Http2(server) => server.go_away(),
        }
    }

    /// Says that the connection is a client's, which may send more ahead than a stranger.
    fn trust(&self) {
        if let Self::Http2(server) = self {
            server.trust();
        }
    }
}
