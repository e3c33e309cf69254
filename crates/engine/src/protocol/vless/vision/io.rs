//! What a Vision stream reads and writes: a layer over a connection, and after the layer was left the connection alone.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, Empty, ReadBuf},
    net::TcpStream,
};

use super::layer::{Layer, Writer};
use crate::{
    BoxStream, Cause, Stream as _,
    io::{prefixed::Prefixed, write_buffer::WriteBuffer},
};

/// The layer and the connection beneath it.
pub(super) enum Layers {
    /// The layer over the connection.
    Both(Box<dyn Layer>),
    /// The connection alone, with the bytes that the layer had read and not used in front.
    Bare(Prefixed<BoxStream>),
    /// The state in the middle of [`Layers::leave`].
    Moving(Empty),
}

fn gone<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(Cause::Closed.into()))
}

impl Layers {
    /// Drops the layer after both directions have left it.
    pub(super) fn leave(&mut self) {
        *self = match std::mem::replace(self, Self::Moving(tokio::io::empty())) {
            Self::Both(layer) => {
                let (io, front) = layer.leave();
                Self::Bare(Prefixed::new(front, io))
            }
            other => other,
        };
    }

    /// The socket, when it is all that is left and no bytes that the layer had read are waiting.
    pub(super) fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Bare(io) => io.socket(),
            _ => None,
        }
    }

    /// The bytes that the layer has decrypted, of one record at most; empty at the end.
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let Self::Both(layer) = self else { return gone() };
        layer.poll_chunk(cx)
    }

    /// Removes bytes from the front of the chunk.
    pub(super) fn consume(&mut self, length: usize) {
        if let Self::Both(layer) = self {
            layer.consume(length);
        }
    }

    /// Reads from the connection beneath the layer.
    pub(super) fn poll_read_raw(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Bare(io) => Pin::new(io).poll_read(cx, buf),
            Self::Both(layer) => layer.poll_read_raw(cx, buf),
            Self::Moving(_) => gone(),
        }
    }

    /// Writes the contents of the write buffer through the layer.
    pub(super) fn poll_drain(&mut self, write_buffer: &mut WriteBuffer, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Both(layer) => write_buffer.poll_drain(&mut layer.inside(), cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// The writer that goes through the layer.
    pub(super) fn inside(&mut self) -> Writer<'_> {
        match self {
            Self::Both(layer) => layer.inside(),
            _ => self.outside(),
        }
    }

    /// The writer to the connection beneath the layer.
    pub(super) fn outside(&mut self) -> Writer<'_> {
        match self {
            Self::Both(layer) => layer.outside(),
            Self::Bare(io) => Pin::new(io),
            Self::Moving(nothing) => Pin::new(nothing),
        }
    }

    /// Whether the connection beneath the layer takes several buffers at once.
    pub(super) fn outside_is_vectored(&self) -> bool {
        match self {
            Self::Bare(io) => io.is_write_vectored(),
            _ => false,
        }
    }
}
