//! A stream with bytes in front that were already read from it.

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

/// Gives out `front` first, then reads from the stream itself; writes go straight through.
pub type Prefixed<S> = ReadThrough<Front, S>;

/// What comes first.
#[derive(Debug)]
pub struct Front(Bytes);

impl<S> Prefixed<S> {
    /// Puts `front` before what `inner` will read.
    pub const fn new(front: Bytes, inner: S) -> Self {
        Self { reader: Front(front), inner }
    }
}

impl Reader for Front {
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        inner: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self(front) = self;
        if front.is_empty() {
            return Pin::new(inner).poll_read(cx, buf);
        }
        pour(front, buf);
        if front.is_empty() {
            // The buffer behind a front may be much larger than it; a tunnel lives long.
            *front = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }

    fn is_bare(&self) -> bool {
        self.0.is_empty()
    }
}
