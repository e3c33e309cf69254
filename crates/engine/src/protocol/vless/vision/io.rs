//! What a Vision stream runs on: a layer over a connection, and in the end the connection alone.

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

/// The two layers, as long as there are two.
pub(super) enum Layers {
    /// The layer over the connection.
    Both(Box<dyn Layer>),
    /// The connection, behind what was read from it before the layer was gone.
    Bare(Prefixed<BoxStream>),
    /// Between the two for the length of a call.
    Moving(Empty),
}

fn gone<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(Cause::Closed.into()))
}

impl Layers {
    /// Throws the layer away: both directions have left it.
    pub(super) fn leave(&mut self) {
        *self = match std::mem::replace(self, Self::Moving(tokio::io::empty())) {
            Self::Both(layer) => {
                let (io, front) = layer.leave();
                Self::Bare(Prefixed::new(front, io))
            }
            other => other,
        };
    }

    /// The socket, when it is all that is left and nothing that came with the layer waits.
    pub(super) fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Bare(io) => io.socket(),
            _ => None,
        }
    }

    /// What the layer has for us, of one record at most; empty at the end.
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let Self::Both(layer) = self else { return gone() };
        layer.poll_chunk(cx)
    }

    /// Takes bytes off the chunk.
    pub(super) fn consume(&mut self, length: usize) {
        if let Self::Both(layer) = self {
            layer.consume(length);
        }
    }

    /// Reads outside the layer.
    pub(super) fn poll_read_raw(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Bare(io) => Pin::new(io).poll_read(cx, buf),
            Self::Both(layer) => layer.poll_read_raw(cx, buf),
            Self::Moving(_) => gone(),
        }
    }

    /// Writes through the layer what the write_buffer has.
    pub(super) fn poll_drain(&mut self, write_buffer: &mut WriteBuffer, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Both(layer) => write_buffer.poll_drain(&mut layer.inside(), cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// The writer through the layer.
    pub(super) fn inside(&mut self) -> Writer<'_> {
        match self {
            Self::Both(layer) => layer.inside(),
            _ => self.outside(),
        }
    }

    /// The writer outside it.
    pub(super) fn outside(&mut self) -> Writer<'_> {
        match self {
            Self::Both(layer) => layer.outside(),
            Self::Bare(io) => Pin::new(io),
            Self::Moving(nothing) => Pin::new(nothing),
        }
    }

    /// Whether the writer outside the layer takes several buffers at once.
    pub(super) fn outside_is_vectored(&self) -> bool {
        match self {
            Self::Bare(io) => io.is_write_vectored(),
            _ => false,
        }
    }
}
