//! A stream beneath a test server's TLS that gives out one record at a time: rustls never holds bytes that come after TLS.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::io::read_through::{ReadThrough, Reader};

/// The size of a read.
const CHUNK: usize = 4 * 1024;

/// The header of a TLS record.
const HEADER: usize = 5;

/// The gate over a stream.
pub(super) type RecordGate<S> = ReadThrough<Gate, S>;

/// The gate.
#[derive(Debug, Default)]
pub(super) struct Gate {
    buffer: BytesMut,
    /// What is left of the record that is being given out.
    left: usize,
}

impl<S> RecordGate<S> {
    /// Puts the gate over `inner`.
    pub(super) fn new(inner: S) -> Self {
        Self { reader: Gate::default(), inner }
    }
}

impl<S: AsyncRead + Unpin> RecordGate<S> {
    /// Reads past the gate: what comes from here on is not TLS.
    pub(super) fn poll_read_raw(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { reader: gate, inner } = self;
        if gate.buffer.is_empty() {
            return Pin::new(inner).poll_read(cx, buf);
        }
        gate.give(usize::MAX, buf);
        Poll::Ready(Ok(()))
    }
}

impl Gate {
    fn give(&mut self, most: usize, buf: &mut ReadBuf<'_>) -> usize {
        let length = most.min(self.buffer.len()).min(buf.remaining());
        buf.put_slice(self.buffer.get(..length).unwrap_or_default());
        self.buffer.advance(length);
        length
    }

    /// Reads more into the buffer. Returns how much came; 0 at the end.
    fn poll_fill<S: AsyncRead + Unpin>(&mut self, inner: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.buffer.reserve(CHUNK);
        poll_read_buf(Pin::new(inner), cx, &mut self.buffer)
    }
}

impl Reader for Gate {
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        inner: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while self.left == 0 {
            if let [_, _, _, high, low, ..] = *self.buffer {
                self.left = HEADER + usize::from(u16::from_be_bytes([high, low]));
            } else if ready!(self.poll_fill(inner, cx))? == 0 {
                // The end, in the middle of a header or not: rustls sees it as it is.
                self.give(HEADER, buf);
                return Poll::Ready(Ok(()));
            }
        }
        if self.buffer.is_empty() && ready!(self.poll_fill(inner, cx))? == 0 {
            return Poll::Ready(Ok(()));
        }
        let given = self.give(self.left, buf);
        self.left -= given;
        Poll::Ready(Ok(()))
    }
}
