//! A layer that Vision can leave, each direction at its own time: TLS over a socket, or VLESS encryption over any connection.
//! Where encryption runs over TLS, only encryption is left.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::{AsyncWrite, ReadBuf};

use crate::{
    BoxStream,
    io::codec_stream::{Codec, CodecStream},
};

/// A writer, borrowed from a layer.
pub(in super::super) type Writer<'a> = Pin<&'a mut (dyn AsyncWrite + Send + Unpin + 'a)>;

/// The layer. Its records are read one by one, so that bytes behind the last record are not read as a record.
pub(in super::super) trait Layer: Send + Sync {
    /// Decrypted bytes of one record at most; empty at the end, whether the layer has a sign of its end or not.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>>;

    /// Removes bytes from the front of the chunk.
    fn consume(&mut self, length: usize);

    /// Reads from the connection beneath the layer.
    fn poll_read_raw(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;

    /// The writer that goes through the layer.
    fn inside(&mut self) -> Writer<'_>;

    /// The writer to the connection beneath the layer.
    fn outside(&mut self) -> Writer<'_>;

    /// Takes the layer apart: the connection beneath it, and the bytes that were read from the connection and not used.
    fn leave(self: Box<Self>) -> (BoxStream, Bytes);
}

impl<C: Codec> Layer for CodecStream<C> {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.poll_chunk(cx)
    }

    fn consume(&mut self, length: usize) {
        self.consume(length);
    }

    fn poll_read_raw(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_read_beneath(cx, buf)
    }

    fn inside(&mut self) -> Writer<'_> {
        Pin::new(self)
    }

    fn outside(&mut self) -> Writer<'_> {
        Pin::new(self.beneath())
    }

    fn leave(self: Box<Self>) -> (BoxStream, Bytes) {
        self.into_beneath()
    }
}
