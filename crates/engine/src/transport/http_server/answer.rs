//! The answer to one request, over either version of HTTP.

use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use h2::server::SendResponse;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body, Frame};
use tokio::{
    io::AsyncWrite,
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::PollSender;

use crate::{
    served::{WebBody, WebResponder, adapt_head},
    transport::http2_body::{BodyWriter, Framing, Raw, cause_of},
};

/// The most bytes of one piece of an HTTP/1.1 answer, and how many pieces wait for the connection.
const PIECE: usize = 16 * 1024;
const WAITING: usize = 2;
/// How long a piece of the site's answer over HTTP/2 may wait for its reader. Over HTTP/1.1 the socket bounds that.
const STALLED: Duration = Duration::from_secs(60);

/// The way to the answer of one request. Dropping it resets the request.
pub(crate) struct Responder {
    way: Way,
    /// What the request holds until it is answered.
    _place: Option<OwnedSemaphorePermit>,
}

enum Way {
    Http1(oneshot::Sender<Response<WebBody>>),
    Http2(SendResponse<Bytes>, OwnedSemaphorePermit),
}

impl Responder {
    /// Answers a request of HTTP/1.1.
    pub(super) const fn http1(answer: oneshot::Sender<Response<WebBody>>) -> Self {
        Self { way: Way::Http1(answer), _place: None }
    }

    /// Answers a request of HTTP/2; the permit is kept until then.
    pub(super) const fn http2(respond: SendResponse<Bytes>, permit: OwnedSemaphorePermit) -> Self {
        Self { way: Way::Http2(respond, permit), _place: None }
    }

    /// Keeps a place until the answer begins.
    pub(super) fn keep(self, place: Option<OwnedSemaphorePermit>) -> Self {
        Self { _place: place, ..self }
    }

    /// Sends the head of an answer whose body is written later.
    ///
    /// # Errors
    /// When the client is gone.
    pub(crate) fn begin(self, head: Response<()>) -> io::Result<AnswerBody> {
        match self.way {
            Way::Http1(answer) => {
                let (pieces, receiver) = mpsc::channel(WAITING);
                let (alive, gone) = oneshot::channel();
                answer.send(head.map(|()| body_of(receiver, alive))).map_err(|_| gone_error())?;
                Ok(AnswerBody::Http1 { pieces: PollSender::new(pieces), gone: Some(gone) })
            }
            Way::Http2(mut respond, permit) => {
                let stream = respond.send_response(head, false).map_err(cause_of)?;
                Ok(AnswerBody::Http2 { body: BodyWriter::new(stream), _permit: permit })
            }
        }
    }

    /// Sends an answer without a body.
    ///
    /// # Errors
    /// When the client is gone.
    pub(crate) fn finish(self, head: Response<()>) -> io::Result<()> {
        match self.way {
            Way::Http1(answer) => answer.send(head.map(|()| WebBody::default())).map_err(|_| gone_error()),
            Way::Http2(mut respond, _) => {
                respond.send_response(head, true).map_err(cause_of)?;
                Ok(())
            }
        }
    }

    /// Whether the client has taken its request back.
    pub(crate) fn is_unwanted(&mut self) -> bool {
        match &mut self.way {
            Way::Http1(answer) => answer.is_closed(),
            Way::Http2(respond, _) => respond.poll_reset(&mut Context::from_waker(Waker::noop())).is_ready(),
        }
    }

    /// Sends an answer that is only a status. What becomes of it does not matter.
    pub(crate) fn refuse(self, status: StatusCode) {
        let mut head = Response::new(());
        *head.status_mut() = status;
        adapt_head(head.headers_mut());
        let _ = self.finish(head);
    }
}

#[async_trait]
impl WebResponder for Responder {
    async fn respond(self: Box<Self>, response: Response<WebBody>) -> io::Result<()> {
        let http2 = match self.way {
            Way::Http1(answer) => return answer.send(response).map_err(|_| gone_error()),
            way @ Way::Http2(..) => Self { way, _place: None },
        };
        let (mut head, mut body) = response.into_parts();
        adapt_head(&mut head.headers);
        let head = Response::from_parts(head, ());
        if body.is_end_stream() {
            return http2.finish(head);
        }
        let mut writer = http2.begin(head)?;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            let mut rest = data.as_ref();
            while !rest.is_empty() {
                let write = poll_fn(|cx| Pin::new(&mut writer).poll_write(cx, rest));
                let written = timeout(STALLED, write).await??;
                rest = rest.get(written..).unwrap_or_default();
            }
        }
        timeout(STALLED, poll_fn(|cx| writer.poll_end(cx, None))).await?
    }
}

/// The body of an answer. Dropping it before its end resets the request.
pub(crate) enum AnswerBody {
    /// Pieces for the connection's task. An empty one is the end.
    Http1 { pieces: PollSender<Bytes>, gone: Option<oneshot::Receiver<()>> },
    /// The body itself.
    Http2 { body: BodyWriter, _permit: OwnedSemaphorePermit },
}

impl AnswerBody {
    /// Takes some of `payload`, framed. What cannot be sent now is sent with the next write or flush.
    ///
    /// # Errors
    /// When the client is gone, or the body has ended.
    pub(crate) fn poll_framed<F: Framing>(&mut self, cx: &mut Context<'_>, payload: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Http1 { pieces, .. } => {
                let piece = payload.get(..payload.len().min(PIECE)).unwrap_or_default();
                if piece.is_empty() {
                    return Poll::Ready(Ok(0));
                }
                ready!(pieces.poll_reserve(cx)).map_err(|_| gone_error())?;
                pieces.send_item(F::wrap(piece)).map_err(|_| gone_error())?;
                Poll::Ready(Ok(piece.len()))
            }
            Self::Http2 { body, .. } => body.poll_write::<F>(cx, payload),
        }
    }

    /// Sends the end, with trailers where the version of HTTP has them.
    ///
    /// # Errors
    /// When the client is gone.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>, trailers: Option<HeaderMap>) -> Poll<io::Result<()>> {
        match self {
            Self::Http1 { pieces, .. } => {
                if !pieces.is_closed() {
                    ready!(pieces.poll_reserve(cx)).map_err(|_| gone_error())?;
                    pieces.send_item(Bytes::new()).map_err(|_| gone_error())?;
                    pieces.close();
                }
                Poll::Ready(Ok(()))
            }
            Self::Http2 { body, .. } => body.poll_end(cx, trailers),
        }
    }

    /// Ready once the client wants no more of it: `Ok` when it said so, an error when its connection is lost.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Http1 { gone, .. } => {
                if let Some(waiting) = gone {
                    let _ = ready!(Pin::new(waiting).poll(cx));
                    *gone = None;
                }
                Poll::Ready(Ok(()))
            }
            Self::Http2 { body, .. } => body.poll_reset(cx),
        }
    }
}

impl AsyncWrite for AnswerBody {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_framed::<Raw>(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // The connection's task sends what it has without being asked.
            Self::Http1 { .. } => Poll::Ready(Ok(())),
            Self::Http2 { body, .. } => body.poll_drain(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_end(cx, None)
    }
}

/// The pieces as a body. It fails when their sender is dropped before the end, so that the client does not take a broken download for a
/// whole one.
fn body_of(pieces: mpsc::Receiver<Bytes>, alive: oneshot::Sender<()>) -> WebBody {
    let frames = stream::unfold(Some((pieces, alive)), |source| async move {
        let (mut pieces, alive) = source?;
        match pieces.recv().await {
            Some(piece) if piece.is_empty() => None,
            Some(piece) => Some((Ok(Frame::data(piece)), Some((pieces, alive)))),
            None => Some((Err(gone_error()), None)),
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

fn gone_error() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}
