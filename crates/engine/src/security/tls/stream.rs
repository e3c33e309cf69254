//! A TLS stream whose end is the end, with or without `close_notify`.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};
use tokio_rustls::client::TlsStream;

use crate::{
    Stream,
    read_through::{ReadThrough, Reader},
};

impl<S: Stream> Stream for TlsStream<S> {}

/// TLS as the layers above read it.
pub(crate) type Secured<S> = ReadThrough<AnyEnd, TlsStream<S>>;

/// Many servers of the field close TCP without `close_notify`: that is read as an ordinary end. What the inner
/// protocol lost by it, the inner protocol notices.
pub(crate) struct AnyEnd;

impl<S> Secured<S> {
    /// Wraps a stream whose handshake is done.
    pub(crate) const fn new(inner: TlsStream<S>) -> Self {
        Self { reader: AnyEnd, inner }
    }
}

impl Reader for AnyEnd {
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        inner: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(Pin::new(inner).poll_read(cx, buf)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }
}
