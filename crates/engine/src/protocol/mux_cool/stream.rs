//! A session of mux.cool that is a stream.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::channel::Channel;
use crate::{
    Stream,
    io::copy::pour,
    served::{RequestRefusal, ServedStream},
};

/// The most payload of one frame, in bytes, so that sessions take turns. Clients of Xray have room for no more of a stream's frame: a longer
/// one that comes in one piece, as gRPC gives it, ends the program.
const MOST_PAYLOAD: usize = 8 * 1024;

/// The stream.
pub(super) struct MuxStream {
    channel: Channel,
    /// What is left of the last piece.
    rest: Bytes,
}

impl MuxStream {
    /// The stream of a session that has just begun.
    pub(super) const fn new(channel: Channel) -> Self {
        Self { channel, rest: Bytes::new() }
    }
}

impl Drop for MuxStream {
    /// A client must not take what it has for everything when the end was not sent.
    fn drop(&mut self) {
        self.channel.end(true);
    }
}

impl Stream for MuxStream {}

impl ServedStream for MuxStream {
    fn refuse(&mut self, _: RequestRefusal) {
        self.channel.end(true);
    }
}

impl AsyncRead for MuxStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // An empty piece is no end.
        while self.rest.is_empty() {
            let Some(piece) = ready!(self.channel.poll_take(cx))? else { return Poll::Ready(Ok(())) };
            self.rest = piece.bytes;
        }
        pour(&mut self.rest, buf);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MuxStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let piece = buf.get(..buf.len().min(MOST_PAYLOAD)).unwrap_or_default();
        if !piece.is_empty() {
            ready!(self.channel.poll_send(cx, None, piece))?;
        }
        Poll::Ready(Ok(piece.len()))
    }

    /// The connection sends what is queued by itself.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.channel.end(false);
        Poll::Ready(Ok(()))
    }
}
