//! What Vision can leave, each direction on its own: TLS for the socket beneath it, or VLESS encryption for whatever it is
//! put around. Where encryption lies on TLS, only encryption is left.

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

/// Where bytes go.
pub(in super::super) type Writer<'a> = Pin<&'a mut (dyn AsyncWrite + Send + Unpin + 'a)>;

/// The layer. Its records are read one by one, so that nothing behind the last one is taken for its own.
pub(in super::super) trait Layer: Send + Sync {
    /// What one record has for us at most; empty at the end, with or without a sign of it.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>>;

    /// Takes bytes off the chunk.
    fn consume(&mut self, length: usize);

    /// Reads beneath the layer.
    fn poll_read_raw(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>>;

    /// The writer through the layer.
    fn inside(&mut self) -> Writer<'_>;

    /// The writer beneath it.
    fn outside(&mut self) -> Writer<'_>;

    /// What is beneath, and what was read from it and not given out.
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
