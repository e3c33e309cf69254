//! One stream of a shared connection as a stream of bytes.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use h2::{RecvStream, client::ResponseFuture};
use http::Response;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Exchange, StreamPermit};
use crate::{
    Cause, Stream,
    transport::http2_body::{BodyReader, BodyWriter, Framing, cause_of},
};

/// How far the answer has come.
enum ResponseState<F> {
    /// Its head is to come.
    Awaited(ResponseFuture, F),
    /// Its body comes.
    Body(BodyReader<F>),
    /// It was refused; that was told once.
    Failed,
}

/// A stream of a shared connection. Dropping it tells the server, if it has not ended by itself.
pub(crate) struct MuxStream<F> {
    response: ResponseState<F>,
    upload: BodyWriter,
    permit: Arc<StreamPermit>,
}

impl<F: Framing> MuxStream<F> {
    /// A stream that was just asked for.
    pub(crate) fn new(permit: Arc<StreamPermit>, exchange: Exchange, framing: F) -> Self {
        let Exchange { answer, upload } = exchange;
        Self { response: ResponseState::Awaited(answer, framing), upload: BodyWriter::new(upload), permit }
    }

    /// Waits for the body of the answer.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<&mut BodyReader<F>, Cause>> {
        if let ResponseState::Awaited(answer, _) = &mut self.response {
            let answer = ready!(Pin::new(answer).poll(cx));
            // Even a refusal shows that the server is there, unless the connection itself has failed.
            if answer.as_ref().map_or_else(|error| !error.is_io(), |_| true) {
                self.permit.answered();
            }
            if let ResponseState::Awaited(_, framing) = std::mem::replace(&mut self.response, ResponseState::Failed) {
                self.response = ResponseState::Body(begin(answer.map_err(cause_of)?, framing)?);
            }
        }
        Poll::Ready(match &mut self.response {
            ResponseState::Body(body) => Ok(body),
            _ => Err(Cause::Closed),
        })
    }
}

/// The body behind an answer's head.
fn begin<F: Framing>(answer: Response<RecvStream>, mut framing: F) -> Result<BodyReader<F>, Cause> {
    if answer.status() != 200 {
        return Err(Cause::TransportStatus(answer.status().as_u16()));
    }
    framing.head(answer.headers())?;
    Ok(BodyReader::new(answer.into_body(), framing))
}

impl<F: Framing> AsyncRead for MuxStream<F> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let body = ready!(self.get_mut().poll_body(cx))?;
        Pin::new(body).poll_read(cx, buf)
    }
}

impl<F: Framing> Stream for MuxStream<F> {}

impl<F: Framing> AsyncWrite for MuxStream<F> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().upload.poll_write::<F>(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().upload.poll_drain(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().upload.poll_end(cx, None)
    }
}
