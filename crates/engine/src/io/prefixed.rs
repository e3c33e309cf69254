//! A stream that returns bytes which were read from it before, and then reads on.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

use crate::io::{
    copy::pour,
    read_through::{ReadThrough, Reader},
};

/// Returns `prefix` first and then reads from the stream itself. Writes go to the stream unchanged.
pub type Prefixed<S> = ReadThrough<Prefix, S>;

/// The bytes that come first.
#[derive(Debug)]
pub struct Prefix(Bytes);

impl<S> Prefixed<S> {
    /// Puts `prefix` before what `inner` will read.
    pub const fn new(prefix: Bytes, inner: S) -> Self {
        Self { reader: Prefix(prefix), inner }
    }
}

impl Reader for Prefix {
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        inner: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self(prefix) = self;
        if prefix.is_empty() {
            return Pin::new(inner).poll_read(cx, buf);
        }
        pour(prefix, buf);
        if prefix.is_empty() {
            // The buffer that holds the prefix may be much larger than it, and a tunnel lives long.
            *prefix = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }

    fn is_bare(&self) -> bool {
        self.0.is_empty()
    }
}
