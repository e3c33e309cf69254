//! Received bytes that wait to be opened, in a buffer that grows with the traffic and is bounded.

use std::{
    io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};

/// The first size of the buffer in bytes: thousands of quiet connections cost little.
const START: usize = 4 * 1024;
/// The size up to which it grows because the connection keeps it full, in bytes.
const BUSY: usize = 64 * 1024;

/// The buffer: `held` is text that lies open, `start..end` is what comes after it.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    held: Range<usize>,
    start: usize,
    end: usize,
    /// How many bytes the last read brought.
    last: usize,
}

impl Inbox {
    /// The bytes that are still closed.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// Drops bytes from the front.
    pub(crate) fn consume(&mut self, length: usize) {
        self.start = (self.start + length).min(self.end);
    }

    /// Drops bytes from the front, but keeps the text in `range` of them for the reader.
    pub(crate) fn hold(&mut self, length: usize, range: Range<usize>) {
        self.held = self.start + range.start..self.start + range.end;
        self.consume(length);
    }

    /// Gives open text to the reader, as much as fits.
    pub(crate) fn give_held(&mut self, out: &mut ReadBuf<'_>) {
        let length = self.held.len().min(out.remaining());
        if length > 0 {
            out.put_slice(self.bytes.get(self.held.start..self.held.start + length).unwrap_or_default());
            self.held.start += length;
        }
    }

    /// Reads once, with room for `needed` closed bytes in all. Returns how many bytes came; 0 at the end. Text that
    /// was held must have been given away.
    ///
    /// # Errors
    /// The connection's own.
    pub(crate) fn poll_fill<R: AsyncRead + Unpin + ?Sized>(
        &mut self,
        from: &mut R,
        needed: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.make_room(needed);
        let mut room = ReadBuf::new(self.bytes.get_mut(self.end..).unwrap_or_default());
        ready!(Pin::new(from).poll_read(cx, &mut room))?;
        let read = room.filled().len();
        self.last = read;
        self.end += read;
        Poll::Ready(Ok(read))
    }

    /// Grows when it must, or when the last read filled the buffer; shrinks when it is empty and the traffic has
    /// become small; moves what is there to the front when the room behind it is short.
    fn make_room(&mut self, needed: usize) {
        let closed = self.end - self.start;
        let needed = needed.max(closed + 1);
        let size = self.bytes.len();
        if closed == 0 && size > START && self.last < size / 16 && needed <= START {
            *self = Self::default();
        }
        let was_full = size > 0 && self.end == size;
        let wanted = if was_full { (size * 2).min(BUSY) } else { START };
        let wanted = needed.next_power_of_two().max(wanted);
        let size = self.bytes.len();
        if wanted > size || size - self.start < needed || size - self.end < size / 4 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, closed);
            self.bytes.resize(wanted.max(size), 0);
        }
    }
}
