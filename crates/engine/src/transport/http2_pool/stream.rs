//! One stream of a shared connection as a stream of bytes.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, client::ResponseFuture};
use http::{HeaderMap, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Exchange, StreamPermit};
use crate::{Cause, Stream, io::copy::pour};

/// The most payload taken by one write, in bytes.
const PIECE: usize = 16 * 1024;

/// How payload is framed in the bytes of a stream.
pub(crate) trait Framing: Send + Sync + Unpin + 'static {
    /// Looks at the answer's head, once its status is known to be 200.
    ///
    /// # Errors
    /// [`Cause`] when it refuses.
    fn head(&mut self, headers: &HeaderMap) -> Result<(), Cause>;

    /// Takes the next piece of payload from the front of what was received; `None` when it holds none. What is left may hold more.
    ///
    /// # Errors
    /// [`Cause`] when the bytes are malformed.
    fn take(&mut self, bytes: &mut Bytes) -> Result<Option<Bytes>, Cause>;

    /// Looks at the end of the answer.
    ///
    /// # Errors
    /// [`Cause`] when it is an error.
    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Cause>;

    /// The bytes that carry this payload.
    fn wrap(&self, payload: &[u8]) -> Bytes;
}

/// The payload as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw;

impl Framing for Raw {
    fn head(&mut self, _: &HeaderMap) -> Result<(), Cause> {
        Ok(())
    }

    fn take(&mut self, bytes: &mut Bytes) -> Result<Option<Bytes>, Cause> {
        Ok((!bytes.is_empty()).then(|| std::mem::take(bytes)))
    }

    fn end(&mut self, _: Option<&HeaderMap>) -> Result<(), Cause> {
        Ok(())
    }

    fn wrap(&self, payload: &[u8]) -> Bytes {
        Bytes::copy_from_slice(payload)
    }
}

/// How far the answer has come.
enum ResponseState {
    /// Its head is to come.
    Awaited(ResponseFuture),
    /// Its body comes.
    Body(RecvStream),
    /// Only the trailers are to come.
    Trailers(RecvStream),
    Ended,
    /// It failed; the failure was told once.
    Failed,
}

/// A stream of a shared connection. Dropping it tells the server, if it has not ended by itself.
pub(crate) struct MuxStream<F> {
    response: ResponseState,
    upload: Option<SendStream<Bytes>>,
    framing: F,
    /// Received bytes that are not decoded yet.
    input: Bytes,
    /// Payload that waits for the reader.
    ready: Bytes,
    /// What could not be sent yet.
    output: Bytes,
    permit: Arc<StreamPermit>,
}

impl<F: Framing> MuxStream<F> {
    /// A stream that was just asked for.
    pub(crate) fn new(permit: Arc<StreamPermit>, exchange: Exchange, framing: F) -> Self {
        Self {
            response: ResponseState::Awaited(exchange.answer),
            upload: Some(exchange.upload),
            framing,
            input: Bytes::new(),
            ready: Bytes::new(),
            output: Bytes::new(),
            permit,
        }
    }

    /// Waits until the next payload is in `ready`, which is empty at the end.
    fn poll_payload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        while self.ready.is_empty() {
            if let Some(payload) = self.framing.take(&mut self.input)? {
                self.ready = payload;
                continue;
            }
            match &mut self.response {
                ResponseState::Awaited(answer) => {
                    let answer = ready!(Pin::new(answer).poll(cx));
                    // Even a refusal shows that the server is there, unless the connection itself has failed.
                    if answer.as_ref().map_or_else(|error| !error.is_io(), |_| true) {
                        self.permit.answered();
                    }
                    self.begin(answer.map_err(cause_of)?)?;
                }
                ResponseState::Body(body) => match ready!(body.poll_data(cx)) {
                    Some(Ok(bytes)) => {
                        // The server may send one more frame while this one is read, so that memory is bounded.
                        let _ = body.flow_control().release_capacity(bytes.len());
                        self.input = bytes;
                    }
                    // The server reads no more, and has sent all of its answer.
                    Some(Err(error)) if error.reason() == Some(Reason::NO_ERROR) => {
                        self.framing.end(None)?;
                        self.response = ResponseState::Ended;
                    }
                    Some(Err(error)) => return Poll::Ready(Err(cause_of(error))),
                    None => {
                        if let ResponseState::Body(body) = std::mem::replace(&mut self.response, ResponseState::Failed)
                        {
                            self.response = ResponseState::Trailers(body);
                        }
                    }
                },
                ResponseState::Trailers(body) => {
                    // An error in the trailers does not concern the bytes before them.
                    let trailers = ready!(body.poll_trailers(cx)).unwrap_or_default();
                    self.framing.end(trailers.as_ref())?;
                    self.response = ResponseState::Ended;
                }
                ResponseState::Ended => return Poll::Ready(Ok(())),
                ResponseState::Failed => return Poll::Ready(Err(Cause::Closed)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn begin(&mut self, answer: Response<RecvStream>) -> Result<(), Cause> {
        if answer.status() != 200 {
            return Err(Cause::TransportStatus(answer.status().as_u16()));
        }
        self.framing.head(answer.headers())?;
        self.response = ResponseState::Body(answer.into_body());
        Ok(())
    }

    /// Sends what waits.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(upload) = &mut self.upload else { return Poll::Ready(Ok(())) };
        while !self.output.is_empty() {
            if upload.capacity() == 0 {
                upload.reserve_capacity(self.output.len());
            }
            if upload.capacity() == 0 {
                match ready!(upload.poll_capacity(cx)) {
                    Some(Ok(_)) => continue,
                    Some(Err(error)) => return Poll::Ready(Err(cause_of(error).into())),
                    // Closed by the server.
                    None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                }
            }
            let piece = self.output.split_to(self.output.len().min(upload.capacity()));
            upload.send_data(piece, false).map_err(|error| io::Error::from(cause_of(error)))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<F: Framing> AsyncRead for MuxStream<F> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Err(cause) = ready!(this.poll_payload(cx)) {
            this.response = ResponseState::Failed;
            this.input = Bytes::new();
            return Poll::Ready(Err(cause.into()));
        }
        pour(&mut this.ready, buf);
        Poll::Ready(Ok(()))
    }
}

impl<F: Framing> Stream for MuxStream<F> {}

impl<F: Framing> AsyncWrite for MuxStream<F> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        if this.upload.is_none() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let piece = buf.get(..buf.len().min(PIECE)).unwrap_or_default();
        if piece.is_empty() {
            return Poll::Ready(Ok(0));
        }
        this.output = this.framing.wrap(piece);
        // What cannot be sent now is sent with the next write or flush.
        if let Poll::Ready(Err(error)) = this.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_drain(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        if let Some(mut upload) = this.upload.take() {
            // A server that has reset the stream needs no end.
            let _ = upload.send_data(Bytes::new(), true);
        }
        Poll::Ready(Ok(()))
    }
}

/// The cause of an HTTP/2 error: the connection's own failure, a reset, or an answer that is not HTTP/2.
pub(crate) fn cause_of(error: h2::Error) -> Cause {
    if error.is_io() {
        return error.into_io().map_or(Cause::Closed, Cause::from);
    }
    match error.reason() {
        Some(Reason::NO_ERROR) => Cause::Closed,
        Some(_) if error.is_remote() => Cause::Reset,
        Some(_) => Cause::Protocol("the server broke the rules of HTTP/2"),
        None => Cause::Closed,
    }
}
