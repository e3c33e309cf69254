//! The server's side of gRPC: each call of one of its two methods is a client's stream.

#[cfg(test)]
mod tests;

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hezar_core::GrpcMode;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Messages, path, wire::Decoder};
use crate::{
    BoxStream, Stream,
    served::{HeadRead, Opening, SessionItem, StrangerReason, read_head},
    transport::{
        http_server::{
            AnswerBody, ExchangeHandler, Handled, Handling, Http2Limits, HttpExchange, HttpServer, HttpSession, Opened,
            Opener, PREFACE, RequestBody, Responder, WebBodies, open, web,
        },
        http2_body::BodyReader,
    },
};

/// The server's side of one listener.
#[derive(Debug)]
pub(crate) struct GrpcServer {
    service: Arc<Service>,
    limits: Http2Limits,
}

/// The paths of the two methods.
#[derive(Debug)]
struct Service {
    paths: [String; 2],
    web_bodies: WebBodies,
}

impl GrpcServer {
    /// A service under this name, or under this path when it begins with a slash.
    pub(crate) fn new(service: &str) -> Self {
        let paths = [path(service, GrpcMode::Gun), path(service, GrpcMode::Multi)];
        let service = Service { paths, web_bodies: WebBodies::default() };
        Self { service: Arc::new(service), limits: Http2Limits::default() }
    }

    /// Reads whether a connection is one of HTTP/2. `opener` reads what is asked for in a call.
    ///
    /// # Errors
    /// The connection failed, or ended before it said anything.
    pub(crate) async fn accept(&self, stream: BoxStream, opener: Opener) -> io::Result<Opening> {
        Ok(match read_head(stream, PREFACE.len(), preface).await? {
            Ok(((), stream)) => {
                let server = HttpServer::http2(stream, self.limits.clone());
                Opening::Session(Box::new(HttpSession::new(server, &self.service, opener)))
            }
            Err(stranger) => Opening::Stranger(stranger),
        })
    }
}

/// Whether these bytes begin HTTP/2. None of them is taken away.
fn preface(bytes: &[u8]) -> HeadRead<()> {
    if bytes.starts_with(PREFACE) {
        Ok(Some(((), 0)))
    } else if PREFACE.starts_with(bytes) {
        Ok(None)
    } else {
        Err(StrangerReason::Protocol)
    }
}

impl Service {
    /// Whether a request calls one of the methods.
    fn is_call(&self, request: &Request<()>) -> bool {
        let content = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        request.method() == Method::POST
            && content.starts_with(b"application/grpc")
            && self.paths.iter().any(|path| path == request.uri().path())
    }
}

impl ExchangeHandler for Service {
    fn handle(&self, exchange: HttpExchange, opener: &Opener) -> Handling {
        match exchange {
            HttpExchange { request, body: RequestBody::Http2(body), responder } if self.is_call(&request) => {
                let opener = Arc::clone(opener);
                Box::pin(async move {
                    let responder = Arc::new(Mutex::new(Some(responder)));
                    let call = Call::new(BodyReader::new(body, Messages(Decoder::new())), Arc::clone(&responder));
                    match open(&opener, Box::new(call)).await {
                        Opened::Stranger(why) => Handled::Stranger(why, for_site(request, &responder)),
                        Opened::Nothing => for_site(request, &responder).into(),
                        served => served.into(),
                    }
                })
            }
            other => {
                let web_bodies = self.web_bodies.clone();
                Box::pin(async move { other.into_web(web_bodies).await.into() })
            }
        }
    }
}

/// A call that is no client's, as a request to any other path. `None` when it was answered, or nobody waits for an answer.
fn for_site(request: Request<()>, responder: &Mutex<Option<Responder>>) -> Option<SessionItem> {
    let mut responder = responder.lock().take()?;
    (!responder.is_unwanted()).then(|| web(request, Bytes::new(), responder))
}

/// A call as a stream of bytes. The head of its answer leaves with the first bytes of it.
struct Call {
    reader: BodyReader<Messages>,
    answer: Answer,
}

/// How far the answer has come.
enum Answer {
    /// Nothing was sent. Whoever finds that the call is no client's takes the way to another answer.
    Awaited(Arc<Mutex<Option<Responder>>>),
    Begun(AnswerBody),
    Ended,
}

impl Call {
    const fn new(reader: BodyReader<Messages>, responder: Arc<Mutex<Option<Responder>>>) -> Self {
        Self { reader, answer: Answer::Awaited(responder) }
    }

    /// The body of the answer, whose head is sent if it was not.
    fn begun(&mut self) -> io::Result<&mut AnswerBody> {
        if let Answer::Awaited(responder) = &self.answer {
            let responder = responder.lock().take().ok_or(io::ErrorKind::BrokenPipe)?;
            self.answer = Answer::Begun(responder.begin(head())?);
        }
        match &mut self.answer {
            Answer::Begun(body) => Ok(body),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// The head of the answer to a call.
fn head() -> Response<()> {
    let mut head = Response::new(());
    head.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    head
}

/// What says that a call went well.
fn put_status(headers: &mut HeaderMap) {
    headers.insert("grpc-status", HeaderValue::from_static("0"));
}

impl Stream for Call {}

impl AsyncRead for Call {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buf)
    }
}

impl AsyncWrite for Call {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.begun()?.poll_framed::<Messages>(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.answer {
            Answer::Begun(body) => Pin::new(body).poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.answer {
            Answer::Awaited(responder) => {
                // A call without any answer has its status in the only head.
                let mut head = head();
                put_status(head.headers_mut());
                if let Some(responder) = responder.lock().take() {
                    responder.finish(head)?;
                }
            }
            Answer::Begun(body) => {
                let mut trailers = HeaderMap::new();
                put_status(&mut trailers);
                ready!(body.poll_end(cx, Some(trailers)))?;
            }
            Answer::Ended => {}
        }
        self.answer = Answer::Ended;
        Poll::Ready(Ok(()))
    }
}
