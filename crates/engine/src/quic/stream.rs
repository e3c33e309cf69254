//! One stream of a QUIC connection, which stays open as long as the stream is used.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use quinn::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    connection::ConnectionGuard,
    fault::{cause_of_read, cause_of_write},
};

use crate::Stream;

/// Both directions of a stream.
#[derive(Debug)]
pub(crate) struct QuicStream {
    send: SendStream,
    receive: RecvStream,
    _lease: ConnectionGuard,
}

impl QuicStream {
    pub(super) fn new((send, receive): (SendStream, RecvStream), lease: ConnectionGuard) -> Self {
        Self { send, receive, _lease: lease }
    }
}

impl AsyncRead for QuicStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.receive.poll_read_buf(cx, buf).map_err(|error| cause_of_read(&error).into())
    }
}

impl Stream for QuicStream {}

impl AsyncWrite for QuicStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().send).poll_write(cx, buf).map_err(|error| cause_of_write(&error).into())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection's driver sends what was written.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A second end, or an end after the server has stopped reading, changes nothing.
        let _ = self.send.finish();
        Poll::Ready(Ok(()))
    }
}
