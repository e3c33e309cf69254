//! What a Vision stream runs on: our TLS, the socket beneath it, and in the end the socket alone.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncBufRead, AsyncRead, AsyncWrite, Empty, ReadBuf},
    net::TcpStream,
};

use crate::{BoxStream, Cause, protocol::outbox::Outbox, security::Gated};

/// The two layers, as long as there are two.
pub(super) enum Layers {
    /// TLS over the socket.
    Both(Box<Gated>),
    /// The socket, and what was read from it before TLS was gone.
    Socket { front: Bytes, socket: BoxStream },
    /// Between the two for the length of a call.
    Moving(Empty),
}

/// Where bytes go.
pub(super) type Writer<'a> = Pin<&'a mut (dyn AsyncWrite + Unpin + 'a)>;

fn gone<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(Cause::Closed.into()))
}

impl Layers {
    /// Throws TLS away: both directions have left it.
    pub(super) fn leave(&mut self) {
        *self = match std::mem::replace(self, Self::Moving(tokio::io::empty())) {
            Self::Both(tls) => {
                let (socket, front) = tls.into_inner().0.into_inner().into_parts();
                Self::Socket { front, socket }
            }
            other => other,
        };
    }

    /// The socket, when TLS is gone and nothing that came with it waits.
    pub(super) fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Socket { front, socket } if front.is_empty() => socket.socket(),
            _ => None,
        }
    }

    /// What TLS has for us, of one record at most; empty at the end, with or without `close_notify`.
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let Self::Both(tls) = self else { return gone() };
        match ready!(Pin::new(&mut **tls).poll_fill_buf(cx)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(&[])),
            result => Poll::Ready(result),
        }
    }

    /// Takes bytes off the chunk.
    pub(super) fn consume(&mut self, length: usize) {
        if let Self::Both(tls) = self {
            Pin::new(&mut **tls).consume(length);
        }
    }

    /// Reads outside TLS.
    pub(super) fn poll_read_raw(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Socket { front, socket } if front.is_empty() => Pin::new(socket).poll_read(cx, buf),
            Self::Socket { front, .. } => {
                let length = front.len().min(buf.remaining());
                buf.put_slice(front.get(..length).unwrap_or_default());
                front.advance(length);
                Poll::Ready(Ok(()))
            }
            Self::Both(tls) => tls.get_mut().0.inner_mut().poll_read_raw(cx, buf),
            Self::Moving(_) => gone(),
        }
    }

    /// Writes inside TLS what the outbox has.
    pub(super) fn poll_drain(&mut self, outbox: &mut Outbox, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Both(tls) => outbox.poll_drain(&mut **tls, cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// The writer inside TLS.
    pub(super) fn inside(&mut self) -> Writer<'_> {
        match self {
            Self::Both(tls) => Pin::new(&mut **tls),
            _ => self.outside(),
        }
    }

    /// The writer outside TLS.
    pub(super) fn outside(&mut self) -> Writer<'_> {
        match self {
            Self::Both(tls) => Pin::new(tls.get_mut().0),
            Self::Socket { socket, .. } => Pin::new(socket),
            Self::Moving(nothing) => Pin::new(nothing),
        }
    }

    /// Whether the writer outside TLS takes several buffers at once.
    pub(super) fn outside_is_vectored(&self) -> bool {
        match self {
            Self::Socket { socket, .. } => socket.is_write_vectored(),
            _ => false,
        }
    }
}
