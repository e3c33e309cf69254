//! One request of an HTTP/3 connection as a stream of bytes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::wire::{self, Next, ResponseReader};
use crate::{Cause, Stream};

/// The most payload taken by one write, in bytes.
const PIECE: usize = 16 * 1024;
/// The most that is read at once of what is not payload, in bytes.
const OURS: usize = 512;

/// A request whose head is on its way: what is written is its body, what is read is that of the answer.
#[derive(Debug)]
pub(in crate::transport) struct Http3Stream<S> {
    inner: S,
    answer: ResponseReader,
    failed: bool,
    /// What could not be sent yet.
    output: Vec<u8>,
    sent: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Http3Stream<S> {
    /// Of a stream that has the request's head, or has it to send before all else.
    pub(super) fn new(inner: S, head: Vec<u8>) -> Self {
        Self { inner, answer: ResponseReader::new(), failed: false, output: head, sent: 0 }
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.answer.next() {
                Next::Payload(left) => {
                    let most = usize::try_from(left).unwrap_or(usize::MAX).min(buf.remaining());
                    let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
                    ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part))?;
                    let length = part.filled().len();
                    if length == 0 {
                        return Poll::Ready(Err(Cause::Closed.into()));
                    }
                    self.answer.passed(length);
                    buf.advance(length);
                    return Poll::Ready(Ok(()));
                }
                Next::Ours(left) => {
                    let mut bytes = [0; OURS];
                    let mut part = ReadBuf::new(bytes.get_mut(..left.min(OURS)).unwrap_or_default());
                    ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part))?;
                    if part.filled().is_empty() {
                        return Poll::Ready(self.answer.end().map_err(Into::into));
                    }
                    self.answer.take(part.filled())?;
                }
            }
        }
    }

    /// Sends what waits.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest @ [_, ..]) = self.output.get(self.sent..) {
            let sent = ready!(Pin::new(&mut self.inner).poll_write(cx, rest))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += sent;
        }
        (self.output, self.sent) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static> Stream for Http3Stream<S> {}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Http3Stream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if this.failed {
            return Poll::Ready(Err(Cause::Closed.into()));
        }
        let result = ready!(this.poll_answer(cx, buf));
        this.failed = result.is_err();
        Poll::Ready(result)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Http3Stream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        let piece = buf.get(..buf.len().min(PIECE)).unwrap_or_default();
        if piece.is_empty() {
            return Poll::Ready(Ok(0));
        }
        this.output = wire::data(piece);
        // What does not leave now leaves with the next write or flush.
        if let Poll::Ready(Err(error)) = this.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}
