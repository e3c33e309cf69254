//! A stream that counts the reads that brought something, so that a silent server can be told from a busy one.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, ReadBuf};

use crate::{
    BoxStream,
    io::read_through::{ReadThrough, Reader},
};

/// The stream.
pub(crate) type ActivityMeter = ReadThrough<ReadCounter, BoxStream>;

/// Counts the reads that brought something.
pub(crate) struct ReadCounter(Arc<AtomicU64>);

impl ActivityMeter {
    /// Counts in `reads`.
    pub(crate) const fn new(inner: BoxStream, reads: Arc<AtomicU64>) -> Self {
        Self { reader: ReadCounter(reads), inner }
    }
}

impl Reader for ReadCounter {
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        inner: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        result
    }
}
