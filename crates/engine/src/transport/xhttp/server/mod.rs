//! The server's side of XHTTP: every way of uploading, over HTTP/2 and HTTP/1.1.
//!
//! ```text
//! GET  {path}/{session}        200, the download, until the session ends
//! POST {path}/{session}        200, padding now and then, until the upload ends          stream-up
//! POST {path}/{session}/{seq}  200 when the piece has its place                           packet-up
//! POST {path}/                 200, the download                                          stream-one
//! ```

mod queue;
mod request;
mod sessions;
mod stream;
#[cfg(test)]
mod tests;

use std::{io, ops::RangeInclusive, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

use self::{
    queue::{QueueError, UploadQueue},
    request::{Asked, Location},
    sessions::Sessions,
    stream::{Upload, XhttpServerStream},
};
use super::plan::random_in;
use crate::{
    BoxStream,
    io::http_head::{self, MOST_REQUEST_HEAD},
    served::{HeadRead, Opening, StrangerReason, read_head},
    transport::http_server::{
        AnswerBody, ExchangeHandler, Handled, Handling, Http2Limits, HttpExchange, HttpServer, HttpSession, Opener,
        PREFACE, RequestBody, Responder, WebBodies, open,
    },
};

/// The length of padding in answers, in bytes.
const PADDING: RangeInclusive<u32> = 100..=1000;
/// The pauses between pieces of padding in the answer to a streamed upload, in seconds.
const PADDING_PAUSE: RangeInclusive<u32> = 20..=80;
/// How long the last padding may take to be read.
const LAST_PADDING: Duration = Duration::from_secs(30);
/// The most bytes of one piece of an upload: what clients send at most unless they are told otherwise.
const MOST_PIECE: usize = 1_000_000;
/// How long the body of a piece may take to come, once there is room for it.
const PIECE: Duration = Duration::from_secs(30);

/// Where an XHTTP server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerXhttp {
    /// The path in front of the session's id.
    pub path: Box<str>,
    /// The only host that is served; absent = any.
    pub host: Option<Box<str>>,
}

/// The server's side of one listener.
pub(crate) struct XhttpServer {
    handler: Arc<Handler>,
    limits: Http2Limits,
}

struct Handler {
    location: Location,
    sessions: Arc<Sessions>,
    web_bodies: WebBodies,
}

/// The versions of HTTP.
#[derive(Clone, Copy)]
enum Version {
    Http1,
    Http2,
}

impl XhttpServer {
    /// A server without sessions.
    pub(crate) fn new(settings: &ServerXhttp) -> Self {
        let location = Location::new(&settings.path, settings.host.as_deref());
        Self {
            handler: Arc::new(Handler { location, sessions: Arc::default(), web_bodies: WebBodies::default() }),
            limits: Http2Limits::default(),
        }
    }

    /// Reads which version of HTTP a connection is. `opener` reads what is asked for in a session.
    ///
    /// # Errors
    /// The connection failed, or ended before it said anything.
    pub(crate) async fn accept(&self, stream: BoxStream, opener: Opener) -> io::Result<Opening> {
        let location = &self.handler.location;
        let (version, stream) = match read_head(stream, MOST_REQUEST_HEAD, |bytes| version(location, bytes)).await? {
            Ok(read) => read,
            Err(stranger) => return Ok(Opening::Stranger(stranger)),
        };
        let server = match version {
            Version::Http1 => HttpServer::http1(stream, false),
            Version::Http2 => HttpServer::http2(stream, self.limits.clone()),
        };
        Ok(Opening::Session(Box::new(HttpSession::new(server, &self.handler, opener))))
    }
}

/// Which version of HTTP these bytes begin. None of them is taken away. With HTTP/1.1 the first request tells whether it is a
/// client's connection.
fn version(location: &Location, bytes: &[u8]) -> HeadRead<Version> {
    if bytes.starts_with(PREFACE) {
        return Ok(Some((Version::Http2, 0)));
    }
    if PREFACE.starts_with(bytes) {
        return Ok(None);
    }
    match http_head::parse_request(bytes) {
        Ok(Some((request, _))) if location.read(&request).is_some() => Ok(Some((Version::Http1, 0))),
        Ok(None) => Ok(None),
        _ => Err(StrangerReason::Protocol),
    }
}

impl ExchangeHandler for Handler {
    fn handle(&self, exchange: HttpExchange, opener: &Opener) -> Handling {
        let (sessions, opener, web_bodies) = (Arc::clone(&self.sessions), Arc::clone(opener), self.web_bodies.clone());
        let Some(asked) = self.location.read(&exchange.request) else {
            return Box::pin(async move { exchange.into_web(web_bodies).await.into() });
        };
        let HttpExchange { request, body, responder } = exchange;
        match asked {
            Asked::Both => Box::pin(async move {
                let upload = Upload::Same(body.into_stream());
                download(upload, responder, &request, &opener).await
            }),
            Asked::Download { session } => Box::pin(async move {
                let Some(session) = sessions.download(&session) else {
                    return HttpExchange { request, body, responder }.into_web(web_bodies).await.into();
                };
                let queue = Arc::clone(&session.queue);
                let handled = download(Upload::Others(session), responder, &request, &opener).await;
                if let Handled::Item(_) | Handled::Session(..) = handled {
                    queue.prove();
                }
                handled
            }),
            Asked::Upload { session, padded } => Box::pin(async move {
                match sessions.upload(&session) {
                    Some(queue) => upload(&queue, body, responder, &request, padded).await,
                    None => responder.refuse(StatusCode::SERVICE_UNAVAILABLE),
                }
                Handled::Done
            }),
            Asked::Piece { session, number } => Box::pin(async move {
                match sessions.upload(&session) {
                    Some(queue) => piece(&queue, number, body, responder, &request).await,
                    None => responder.refuse(StatusCode::SERVICE_UNAVAILABLE),
                }
                Handled::Done
            }),
            Asked::Preflight => Box::pin(async move {
                let _ = responder.finish(preflight(&request));
                Handled::Done
            }),
        }
    }

    fn is_ours(&self, exchange: &HttpExchange) -> bool {
        match (&exchange.body, self.location.read(&exchange.request)) {
            // Clients keep connections for pieces alone. The download of a new session is at whoever accepts connections now.
            (RequestBody::Http1(_), Some(Asked::Piece { session, .. })) => self.sessions.has(&session),
            _ => true,
        }
    }

    fn has_spread_streams(&self) -> bool {
        !self.sessions.is_empty()
    }
}

/// Begins the download, and reads what the client asks for.
async fn download(upload: Upload, responder: Responder, request: &Request<()>, opener: &Opener) -> Handled {
    let mut head = streamed_head(request);
    head.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    let Ok(download) = responder.begin(head) else { return Handled::Done };
    open(opener, Box::new(XhttpServerStream::new(upload, download))).await.into()
}

/// Takes a whole upload. Its answer lasts as long as the upload, so that nothing in between gives it up.
async fn upload(
    queue: &Arc<UploadQueue>,
    body: RequestBody,
    responder: Responder,
    request: &Request<()>,
    padded: bool,
) {
    if queue.attach(body.into_stream()).is_err() {
        return responder.refuse(StatusCode::CONFLICT);
    }
    let Ok(mut answer) = responder.begin(streamed_head(request)) else { return };
    tokio::select! {
        () = queue.ended() => {
            let _ = timeout(LAST_PADDING, answer.shutdown()).await;
        }
        () = pad(&mut answer, padded) => {}
    }
}

/// Sends padding now and then, until the client is gone.
async fn pad(answer: &mut AnswerBody, padded: bool) {
    loop {
        if padded && answer.write_all(padding().as_bytes()).await.is_err() {
            return;
        }
        sleep(Duration::from_secs(random_in(&PADDING_PAUSE).into())).await;
    }
}

/// Takes a piece of an upload.
async fn piece(queue: &Arc<UploadQueue>, number: u64, body: RequestBody, responder: Responder, request: &Request<()>) {
    let said: Option<usize> =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let length = said.unwrap_or(MOST_PIECE);
    if length > MOST_PIECE {
        return responder.refuse(StatusCode::PAYLOAD_TOO_LARGE);
    }
    match queue.room(number, length).await {
        Ok(Some(room)) => {
            let mut piece = Vec::with_capacity(said.unwrap_or(0));
            let mut body = body.into_stream().take(length as u64 + 1);
            if !matches!(timeout(PIECE, body.read_to_end(&mut piece)).await, Ok(Ok(_))) {
                return;
            }
            if piece.len() > length {
                return responder.refuse(StatusCode::PAYLOAD_TOO_LARGE);
            }
            // A client that takes a request back may leave a part of it. Without a length nothing would tell; clients send one.
            if said.is_some_and(|said| piece.len() < said) {
                return;
            }
            room.fill(Bytes::from(piece));
        }
        // It came before: its sender has not heard of that.
        Ok(None) => {}
        Err(QueueError::Full) => return responder.refuse(StatusCode::SERVICE_UNAVAILABLE),
        Err(QueueError::Over | QueueError::Conflict) => return responder.refuse(StatusCode::CONFLICT),
    }
    let _ = responder.finish(head(request));
}

/// What all answers to clients have: padding, and leave for pages of other sites to read them.
fn head(request: &Request<()>) -> Response<()> {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut head = Response::new(());
    let headers = head.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.unwrap_or(HeaderValue::from_static("*")));
    if let Ok(padding) = HeaderValue::from_str(&padding()) {
        headers.insert("x-padding", padding);
    }
    head
}

/// The same for an answer that lasts, which nothing on the way may buffer or keep.
fn streamed_head(request: &Request<()>) -> Response<()> {
    let mut head = head(request);
    let headers = head.headers_mut();
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    head
}

/// The answer to a browser's question whether it may send the request.
fn preflight(request: &Request<()>) -> Response<()> {
    let mut head = head(request);
    let asked = |name: &HeaderName| request.headers().get(name).cloned().unwrap_or(HeaderValue::from_static("*"));
    let methods = asked(&header::ACCESS_CONTROL_REQUEST_METHOD);
    let names = asked(&header::ACCESS_CONTROL_REQUEST_HEADERS);
    head.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    head.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
    head
}

/// New padding. `X` stays eight bits long under HPACK's Huffman code.
fn padding() -> String {
    "X".repeat(random_in(&PADDING) as usize)
}
