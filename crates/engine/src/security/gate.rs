//! A stream beneath TLS that gives out one record at a time, so that TLS never holds bytes that come after it.
//!
//! Where a protocol leaves TLS in the middle of a connection (XTLS Vision), the bytes after the last record are not for
//! rustls. rustls reads what it can get; behind this gate it cannot get more than the record that it asks for.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::read_through::{ReadThrough, Reader};

/// The size of a read when little comes, and when the last read was full.
const CHUNKS: [usize; 2] = [4 * 1024, 64 * 1024];

/// The header of a TLS record.
const HEADER: usize = 5;

/// The gate over a stream.
pub(crate) type RecordGate<S> = ReadThrough<Gate, S>;

/// The gate.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    buffer: BytesMut,
    /// What is left of the record that is being given out.
    left: usize,
    busy: bool,
}

impl<S> RecordGate<S> {
    /// Puts the gate over `inner`.
    pub(crate) fn new(inner: S) -> Self {
        Self { reader: Gate::default(), inner }
    }

    /// The stream, and what was read from it and not given out.
    pub(crate) fn into_parts(self) -> (S, Bytes) {
        (self.inner, self.reader.buffer.freeze())
    }
}

impl<S: AsyncRead + Unpin> RecordGate<S> {
    /// Reads past the gate: what comes from here on is not TLS.
    pub(crate) fn poll_read_raw(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { reader: gate, inner } = self;
        if gate.buffer.is_empty() {
            gate.buffer = BytesMut::new();
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
        let chunk = CHUNKS[usize::from(self.busy)];
        self.buffer.reserve(chunk);
        let Poll::Ready(result) = poll_read_buf(Pin::new(inner), cx, &mut self.buffer) else {
            if self.buffer.is_empty() {
                // Idle: no buffer waits for the next piece.
                self.buffer = BytesMut::new();
            }
            return Poll::Pending;
        };
        let read = result?;
        self.busy = read >= CHUNKS[0];
        Poll::Ready(Ok(read))
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
