//! The two bodies of an HTTP/2 stream as a stream of bytes, and how payload is framed in them.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;
use tokio::io::{AsyncRead, ReadBuf};

use crate::{Cause, io::copy::pour};

/// The most payload taken by one write, in bytes.
const PIECE: usize = 16 * 1024;

/// How payload is framed in the bytes of a body.
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

    /// Looks at the end of the body.
    ///
    /// # Errors
    /// [`Cause`] when it is an error.
    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Cause>;

    /// The bytes that carry this payload.
    fn wrap(payload: &[u8]) -> Bytes;
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

    fn wrap(payload: &[u8]) -> Bytes {
        Bytes::copy_from_slice(payload)
    }
}

/// How far a body has been read.
enum ReadState {
    /// Its data comes.
    Data(RecvStream),
    /// Only the trailers are to come.
    Trailers(RecvStream),
    Ended,
    /// It failed; the failure was told once.
    Failed,
}

/// The body that comes from the other side.
pub(crate) struct BodyReader<F> {
    state: ReadState,
    framing: F,
    /// Received bytes that are not decoded yet.
    input: Bytes,
    /// Payload that waits for the reader.
    ready: Bytes,
}

impl<F: Framing> BodyReader<F> {
    /// A body whose head was read.
    pub(crate) const fn new(body: RecvStream, framing: F) -> Self {
        Self { state: ReadState::Data(body), framing, input: Bytes::new(), ready: Bytes::new() }
    }

    /// Waits until the next payload is in `ready`, which is empty at the end.
    fn poll_payload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        while self.ready.is_empty() {
            if let Some(payload) = self.framing.take(&mut self.input)? {
                self.ready = payload;
                continue;
            }
            match &mut self.state {
                ReadState::Data(body) => match ready!(body.poll_data(cx)) {
                    Some(Ok(bytes)) => {
                        // One more frame may be sent while this one is read, so that memory is bounded.
                        let _ = body.flow_control().release_capacity(bytes.len());
                        self.input = bytes;
                    }
                    // The other side reads no more, and has sent everything.
                    Some(Err(error)) if error.reason() == Some(Reason::NO_ERROR) => {
                        self.framing.end(None)?;
                        self.state = ReadState::Ended;
                    }
                    Some(Err(error)) => return Poll::Ready(Err(cause_of(error))),
                    None => {
                        if let ReadState::Data(body) = std::mem::replace(&mut self.state, ReadState::Failed) {
                            self.state = ReadState::Trailers(body);
                        }
                    }
                },
                ReadState::Trailers(body) => {
                    // An error in the trailers does not concern the bytes before them.
                    let trailers = ready!(body.poll_trailers(cx)).unwrap_or_default();
                    self.framing.end(trailers.as_ref())?;
                    self.state = ReadState::Ended;
                }
                ReadState::Ended => return Poll::Ready(Ok(())),
                ReadState::Failed => return Poll::Ready(Err(Cause::Closed)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<F: Framing> AsyncRead for BodyReader<F> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Err(cause) = ready!(this.poll_payload(cx)) {
            this.state = ReadState::Failed;
            this.input = Bytes::new();
            return Poll::Ready(Err(cause.into()));
        }
        pour(&mut this.ready, buf);
        Poll::Ready(Ok(()))
    }
}

/// The body that goes to the other side. Dropping it before its end resets the stream.
pub(crate) struct BodyWriter {
    stream: Option<SendStream<Bytes>>,
    /// What could not be sent yet.
    output: Bytes,
}

impl BodyWriter {
    /// A body of which nothing was sent.
    pub(crate) const fn new(stream: SendStream<Bytes>) -> Self {
        Self { stream: Some(stream), output: Bytes::new() }
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// When the stream is reset or the connection has failed.
    pub(crate) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
        while !self.output.is_empty() {
            if stream.capacity() == 0 {
                stream.reserve_capacity(self.output.len());
            }
            if stream.capacity() == 0 {
                match ready!(stream.poll_capacity(cx)) {
                    Some(Ok(_)) => continue,
                    Some(Err(error)) => return Poll::Ready(Err(cause_of(error).into())),
                    // Closed by the other side.
                    None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                }
            }
            let piece = self.output.split_to(self.output.len().min(stream.capacity()));
            stream.send_data(piece, false).map_err(|error| io::Error::from(cause_of(error)))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes some of `payload`, framed. What cannot be sent now is sent with the next write or drain.
    ///
    /// # Errors
    /// As [`BodyWriter::poll_drain`], and when the body has ended.
    pub(crate) fn poll_write<F: Framing>(&mut self, cx: &mut Context<'_>, payload: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(cx))?;
        if self.stream.is_none() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let piece = payload.get(..payload.len().min(PIECE)).unwrap_or_default();
        if piece.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.output = F::wrap(piece);
        if let Poll::Ready(Err(error)) = self.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(piece.len()))
    }

    /// Sends what waits, and the end with these trailers.
    ///
    /// # Errors
    /// As [`BodyWriter::poll_drain`].
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>, trailers: Option<HeaderMap>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        if let Some(mut stream) = self.stream.take() {
            // Somebody who has reset the stream needs no end.
            let _ = match trailers {
                None => stream.send_data(Bytes::new(), true),
                Some(trailers) => stream.send_trailers(trailers),
            };
        }
        Poll::Ready(Ok(()))
    }

    /// Ready once the other side wants no more of the body: `Ok` when it said so, an error when the connection has failed.
    pub(crate) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(stream) = &mut self.stream else { return Poll::Pending };
        stream.poll_reset(cx).map(|reset| reset.map(|_| ()).map_err(|error| cause_of(error).into()))
    }
}

/// The cause of an HTTP/2 error: the connection's own failure, a reset, or bytes that are not HTTP/2.
pub(crate) fn cause_of(error: h2::Error) -> Cause {
    if error.is_io() {
        return error.into_io().map_or(Cause::Closed, Cause::from);
    }
    match error.reason() {
        Some(Reason::NO_ERROR) => Cause::Closed,
        Some(_) if error.is_remote() => Cause::Reset,
        Some(_) => Cause::Protocol("it breaks the rules of HTTP/2"),
        None => Cause::Closed,
    }
}
