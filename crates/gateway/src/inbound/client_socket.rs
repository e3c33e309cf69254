//! The connection of a client: a bare socket, TLS over it, or what an encrypted inbound has unwrapped.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use hezar_accept::TlsStream;
use hezar_engine::{Prefixed, Stream, server::BoxServed};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// The stream of a client beneath the protocol that it speaks.
pub(crate) enum ClientSocket {
    /// Bytes as they come.
    Plain(TcpStream),
    /// TLS, from whose handshake the first bytes may have been read before.
    Tls(Box<TlsStream<Prefixed<TcpStream>>>),
    /// One request's bytes, without the protocol that they came in.
    Unwrapped(BoxServed),
}

impl fmt::Debug for ClientSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Tls(_) => "Tls",
            Self::Unwrapped(_) => "Unwrapped",
        })
    }
}

impl ClientSocket {
    /// What tells the client how its request went, where the protocol has been unwrapped.
    pub(super) fn served(&mut self) -> Option<&mut BoxServed> {
        match self {
            Self::Unwrapped(stream) => Some(stream),
            Self::Plain(_) | Self::Tls(_) => None,
        }
    }

    /// The address at which the client reached us.
    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        let socket = match self {
            Self::Plain(socket) => Some(socket),
            Self::Tls(stream) => stream.get_ref().0.socket(),
            Self::Unwrapped(stream) => stream.socket(),
        };
        socket.ok_or(io::ErrorKind::NotConnected)?.local_addr()
    }
}

impl Stream for ClientSocket {
    fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(socket) => Some(socket),
            // The kernel must never move bytes past the encryption.
            Self::Tls(_) => None,
            Self::Unwrapped(stream) => stream.socket(),
        }
    }
}

impl AsyncRead for ClientSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Unwrapped(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ClientSocket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, data),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, data),
            Self::Unwrapped(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Unwrapped(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Unwrapped(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unwrapped(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unwrapped(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
