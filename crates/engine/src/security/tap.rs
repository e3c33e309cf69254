//! A reader that keeps a copy of what is read, for those who look at the records of a handshake.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, ReadBuf};

use crate::io::read_through::Reader;

/// The most bytes that are kept; what comes after them is only read.
pub(super) const MOST_KEPT: usize = 128 * 1024;

/// Keeps what is read.
pub(super) struct Tap(pub(super) Arc<Mutex<Vec<u8>>>);

impl Reader for Tap {
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        inner: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(inner).poll_read(cx, buf));
        let mut kept = self.0.lock();
        let room = MOST_KEPT.saturating_sub(kept.len());
        let read = buf.filled().get(before..).unwrap_or_default();
        kept.extend_from_slice(read.get(..room.min(read.len())).unwrap_or_default());
        Poll::Ready(result)
    }
}
