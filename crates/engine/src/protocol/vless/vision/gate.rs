//! For tests: a stream beneath the TLS of a server that passes on one record at a time, so that rustls never reads bytes that
//! come after the end of TLS.

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

/// A stream with the gate.
pub(super) type RecordGate<S> = ReadThrough<Gate, S>;

/// Splits what is read into records.
#[derive(Debug, Default)]
pub(super) struct Gate {
    buffer: BytesMut,
    /// How many bytes are left of the record that is being passed on.
    left: usize,
}

impl<S> RecordGate<S> {
    /// A gate over `inner`.
    pub(super) fn new(inner: S) -> Self {
        Self { reader: Gate::default(), inner }
    }
}

impl<S: AsyncRead + Unpin> RecordGate<S> {
    /// Reads what comes after the end of TLS.
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

    /// Reads more into the buffer. Returns the number of bytes; 0 at the end.
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
                // This is the end, perhaps in the middle of a header; it is passed on to rustls as it is.
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
