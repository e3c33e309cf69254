//! The server's side of transports that begin as an HTTP/1.1 upgrade (RFC 9110 §7.8): which requests are a client's.
//!
//! A connection may carry ordinary web requests before the upgrade: CDNs send whatever they have over the connections that they keep. So a
//! visitor's connection is served request by request, as long as its first one is plain; anything else goes to the site as it is.

#[cfg(test)]
pub(super) mod tests;

use std::{fmt, io, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

use super::{
    http_server::{
        ExchangeHandler, Handled, Handling, HttpExchange, HttpServer, HttpSession, Opener, WebBodies, is_for_host,
        open, text,
    },
    http1,
};
use crate::{
    BoxStream, Prefixed,
    io::http_head::{self, MOST_REQUEST_HEAD},
    served::{HeadRead, Opening, Stranger, StrangerReason, read_head},
};

/// How a client's or a visitor's first request begins.
const METHODS: [&[u8]; 2] = [b"GET ", b"HEAD "];
/// The end of a head.
const END: &[u8] = b"\r\n\r\n";

/// Where clients of a transport over HTTP/1.1 are expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerPath {
    path: Box<str>,
    host: Option<Box<str>>,
}

impl ServerPath {
    /// Expects clients at `path`, with any Host header or this one. What stands behind a `?` is for clients alone.
    #[must_use]
    pub fn new(path: &str, host: Option<&str>) -> Self {
        let path = path.split('?').next().unwrap_or_default();
        Self { path: http1::path(path).into(), host: host.map(Into::into) }
    }

    /// Whether a request asks for a WebSocket here. Returns what stands behind the path, which is `/` for nothing but itself.
    pub(super) fn asks_upgrade<'a>(&self, request: &'a Request<()>) -> Option<&'a str> {
        let rest = request.uri().path().strip_prefix(&*self.path);
        let rest = rest.filter(|rest| rest.is_empty() || &*self.path != "/")?;
        let headers = request.headers();
        let websocket = text(headers, &header::UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
        let asks = websocket && has_word(headers, &header::CONNECTION, "upgrade");
        let is_here = self.host.as_deref().is_none_or(|host| is_for_host(request, host));
        (asks && request.method() == Method::GET && is_here).then_some(rest)
    }
}

/// Whether a header's list has a word; letter case does not matter.
fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    text(headers, name).unwrap_or_default().split(',').any(|value| value.trim().eq_ignore_ascii_case(word))
}

/// How a client's request is accepted.
pub(super) struct Acceptance {
    answer: Response<()>,
    wrap: Wrap,
}

/// Makes a client's stream of the connection behind the answer.
type Wrap = Box<dyn FnOnce(BoxStream) -> BoxStream + Send>;

impl Acceptance {
    /// Switches to WebSocket by name, and to what `wrap` makes of the connection.
    pub(super) fn new(wrap: impl FnOnce(BoxStream) -> BoxStream + Send + 'static) -> Self {
        let mut answer = Response::new(());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let acceptance = Self { answer, wrap: Box::new(wrap) };
        let acceptance = acceptance.with(header::UPGRADE, HeaderValue::from_static("websocket"));
        acceptance.with(header::CONNECTION, HeaderValue::from_static("Upgrade"))
    }

    /// The same with another header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.answer.headers_mut().insert(name, value);
        self
    }

    /// The bytes of the answer.
    fn head(&self) -> Vec<u8> {
        let mut head = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
        for (name, value) in self.answer.headers() {
            head.extend(capitalized(name.as_str()).bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

/// A header's name as its RFC writes it.
fn capitalized(name: &str) -> String {
    let mut starts = true;
    let letters = name.chars().map(|letter| {
        let letter = if starts { letter.to_ascii_uppercase() } else { letter };
        starts = letter == '-';
        letter
    });
    letters.collect::<String>().replace("Websocket", "WebSocket")
}

/// Which requests are a client's, of one of the transports.
type Judge = fn(&ServerPath, &Request<()>) -> Option<Acceptance>;

/// The server's side of one listener.
#[derive(Debug)]
pub(crate) struct UpgradeServer(Arc<Handler>);

struct Handler {
    path: ServerPath,
    judge: Judge,
    web_bodies: WebBodies,
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What the first request of a connection is.
enum First {
    /// A client's.
    Client(Acceptance),
    /// A plain one, which a site answers; others may follow.
    Visitor,
}

impl UpgradeServer {
    /// A server of one of the transports.
    pub(super) fn new(path: ServerPath, judge: Judge) -> Self {
        Self(Arc::new(Handler { path, judge, web_bodies: WebBodies::default() }))
    }

    /// Opens a client's stream, on which `opener` reads what is asked for.
    ///
    /// # Errors
    /// The connection failed, or ended before it said anything.
    pub(crate) async fn accept(&self, io: BoxStream, opener: Opener) -> io::Result<Opening> {
        let mut searched = 0;
        let first = read_head(io, MOST_REQUEST_HEAD, |bytes| {
            // A head in many small pieces is searched once and parsed once.
            let news = bytes.get(searched..).unwrap_or_default();
            searched = bytes.len().saturating_sub(END.len() - 1);
            self.0.first(bytes, news.windows(END.len()).any(|window| window == END))
        });
        let (acceptance, mut stream) = match first.await? {
            Ok((First::Client(acceptance), stream)) => (acceptance, stream),
            Ok((First::Visitor, stream)) => {
                let session = HttpSession::new(HttpServer::http1(stream, true), &self.0, opener);
                return Ok(Opening::Session(Box::new(session)));
            }
            Err(stranger) => return Ok(Opening::Stranger(stranger)),
        };
        stream.write_all(&acceptance.head()).await?;
        stream.flush().await?;
        opener((acceptance.wrap)(stream)).await.map(closed_to_strangers)
    }
}

/// Closes the stream of a stranger inside the transport, which has answered already, so that no site can.
fn closed_to_strangers(opening: Opening) -> Opening {
    match opening {
        Opening::Stranger(Stranger { why, .. }) => {
            Opening::Stranger(Stranger { stream: Box::new(tokio::io::empty()), why })
        }
        other => other,
    }
}

impl Handler {
    /// What the front of a connection is, of which a head may be whole.
    fn first(&self, bytes: &[u8], is_whole: bool) -> HeadRead<First> {
        if !METHODS.iter().any(|method| method.starts_with(bytes) || bytes.starts_with(method)) {
            return Err(StrangerReason::Protocol);
        }
        if !is_whole {
            return Ok(None);
        }
        let Ok(Some((request, length))) = http_head::parse_request(bytes) else {
            return Err(StrangerReason::Protocol);
        };
        match (self.judge)(&self.path, &request) {
            Some(acceptance) => Ok(Some((First::Client(acceptance), length))),
            // The head is read again as the first of many.
            None if is_plain(&request) => Ok(Some((First::Visitor, 0))),
            None => Err(StrangerReason::Protocol),
        }
    }
}

/// Whether a request has no body and changes nothing of its connection.
fn is_plain(request: &Request<()>) -> bool {
    let headers = request.headers();
    let others = [header::UPGRADE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::EXPECT];
    request.version() == Version::HTTP_11
        && !others.iter().any(|name| headers.contains_key(name))
        && !has_word(headers, &header::CONNECTION, "close")
}

impl ExchangeHandler for Handler {
    fn handle(&self, exchange: HttpExchange, opener: &Opener) -> Handling {
        match (self.judge)(&self.path, &exchange.request) {
            Some(acceptance) => {
                let opener = Arc::clone(opener);
                Box::pin(async move { upgrade(exchange, acceptance, &opener).await.unwrap_or(Handled::Done) })
            }
            None => {
                let web_bodies = self.web_bodies.clone();
                Box::pin(async move { exchange.into_web(web_bodies).await.into() })
            }
        }
    }
}

/// Accepts a client's request that came behind others.
async fn upgrade(exchange: HttpExchange, acceptance: Acceptance, opener: &Opener) -> Option<Handled> {
    let HttpExchange { mut request, responder, .. } = exchange;
    let upgraded = hyper::upgrade::on(&mut request);
    responder.finish(acceptance.answer).ok()?;
    let parts = upgraded.await.ok()?.downcast::<TokioIo<BoxStream>>().ok()?;
    let (front, stream): (Bytes, BoxStream) = (parts.read_buf, parts.io.into_inner());
    Some(open(opener, (acceptance.wrap)(Box::new(Prefixed::new(front, stream)))).await.into())
}
