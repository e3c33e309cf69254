//! A bounded buffer for received bytes that wait to be decrypted. It grows with the traffic and is freed while nothing comes.

use std::{
    io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::BufMut;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::io::copy::pour;

/// The first size of the buffer in bytes. It is small, because thousands of connections may be quiet.
const START: usize = 4 * 1024;
/// The size up to which the buffer grows while the connection keeps it full, in bytes.
const BUSY: usize = 128 * 1024;

/// The buffer. `held` is decrypted text, and `start..` holds the bytes after it.
#[derive(Debug)]
pub(crate) struct ReadBuffer {
    bytes: Vec<u8>,
    held: Range<usize>,
    start: usize,
    /// The size that the traffic asks for.
    size: usize,
}

impl Default for ReadBuffer {
    fn default() -> Self {
        Self { bytes: Vec::new(), held: 0..0, start: 0, size: START }
    }
}

impl From<Vec<u8>> for ReadBuffer {
    /// With these bytes received.
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }
}

impl ReadBuffer {
    /// How much memory it holds, in bytes.
    #[cfg(test)]
    pub(crate) const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The bytes that are not decrypted yet.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..).unwrap_or_default()
    }

    /// Drops bytes from the front.
    pub(crate) fn consume(&mut self, length: usize) {
        self.start = (self.start + length).min(self.bytes.len());
    }

    /// Drops bytes from the front, but keeps the text in `range` of them for the reader.
    pub(crate) fn hold(&mut self, length: usize, range: Range<usize>) {
        self.held = self.start + range.start..self.start + range.end;
        self.consume(length);
    }

    /// The decrypted text.
    pub(crate) fn held(&self) -> &[u8] {
        self.bytes.get(self.held.clone()).unwrap_or_default()
    }

    /// Drops decrypted text from its front.
    pub(crate) fn drop_held(&mut self, length: usize) {
        self.held.start += length.min(self.held.len());
    }

    /// Copies decrypted text to the reader, as much as fits.
    pub(crate) fn give_held(&mut self, out: &mut ReadBuf<'_>) {
        let before = out.filled().len();
        pour(&mut self.held(), out);
        self.drop_held(out.filled().len() - before);
    }

    /// Reads once, with room for `needed` encrypted bytes in all. Returns how many bytes came; 0 at the end. Decrypted text must
    /// have been copied to the reader before.
    ///
    /// # Errors
    /// The error of the connection.
    pub(crate) fn poll_fill<R: AsyncRead + Unpin + ?Sized>(
        &mut self,
        from: &mut R,
        needed: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.make_room(needed);
        let room = self.bytes.capacity() - self.bytes.len();
        let Poll::Ready(result) = poll_read_buf(Pin::new(from), cx, &mut (&mut self.bytes).limit(room)) else {
            if self.start == self.bytes.len() {
                // The connection is idle, so no buffer is kept for the next piece.
                (self.bytes, self.start) = (Vec::new(), 0);
            }
            return Poll::Pending;
        };
        let read = result?;
        self.size = match read {
            full if full == room => (self.bytes.capacity() * 2).min(BUSY).max(self.size),
            little if little < self.size / 16 => START,
            _ => self.size,
        };
        Poll::Ready(Ok(read))
    }

    /// Takes a buffer of the size that is wanted; moves what is there to the front when the room behind it is short.
    fn make_room(&mut self, needed: usize) {
        let closed = self.bytes.len() - self.start;
        let needed = needed.max(closed + 1);
        let wanted = needed.next_power_of_two().max(self.size);
        let size = self.bytes.capacity();
        if closed == 0 && size > wanted {
            (self.bytes, self.start) = (Vec::with_capacity(wanted), 0);
        } else if wanted > size || size - self.start < needed || size - self.bytes.len() < size / 4 {
            self.bytes.drain(..self.start);
            self.start = 0;
            self.bytes.reserve_exact(wanted.max(size) - closed);
        }
    }
}
