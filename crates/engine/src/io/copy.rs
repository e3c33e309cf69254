//! Copies bytes into a reader's buffer, as many as it has room for.

use bytes::{Buf, BufMut};
use tokio::io::ReadBuf;

/// Moves bytes from the front of `from` to a reader.
pub(crate) fn pour(from: &mut impl Buf, to: &mut ReadBuf<'_>) {
    let room = to.remaining();
    to.put(from.take(room));
}

/// Copies a packet and returns its length. One that is too long loses its end, as UDP cuts it.
pub(crate) fn copy_packet(packet: &[u8], room: &mut [u8]) -> usize {
    let length = packet.len().min(room.len());
    room[..length].copy_from_slice(&packet[..length]);
    length
}
