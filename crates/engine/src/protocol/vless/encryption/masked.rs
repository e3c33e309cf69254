//! The connection beneath encryption with the look `random`: record headers are masked. Their bodies look random already.
//!
//! The mask stays when Vision leaves encryption, because the records of the inner TLS have headers of the same form.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zeroize::Zeroizing;

use super::{
    cipher::{Headers, Mask},
    hello::{Keys, Ticket},
};
use crate::{BoxStream, Stream, io::write_buffer::WriteBuffer};

/// The most bytes that are masked at once.
const AT_ONCE: usize = 128 * 1024;

/// How far the server's direction has come.
enum Incoming {
    /// The server's random bytes come first, and so many of them have come. The mask is derived from them and these secrets.
    Random {
        united: Zeroizing<Vec<u8>>,
        random: [u8; 16],
        filled: usize,
    },
    Known(Box<Headers>),
}

/// The connection.
pub(super) struct Masked {
    io: BoxStream,
    up: Headers,
    down: Incoming,
    write_buffer: WriteBuffer,
}

impl Masked {
    /// A connection after a handshake, of which so many bytes of padding are still to come.
    pub(super) fn fresh(io: BoxStream, keys: &Keys, ticket: &Ticket, padding: usize) -> Self {
        let down = Headers::new(Mask::new(&keys.united, ticket.bytes()), padding);
        Self::new(io, keys, 0, Incoming::Known(Box::new(down)))
    }

    /// A connection with a ticket, on which `front` bytes are sent before everything else.
    pub(super) fn resumed(io: BoxStream, keys: &Keys, front: usize) -> Self {
        Self::new(io, keys, front, Incoming::Random { united: keys.united.clone(), random: [0; 16], filled: 0 })
    }

    fn new(io: BoxStream, keys: &Keys, front: usize, down: Incoming) -> Self {
        Self {
            io,
            up: Headers::new(Mask::new(&keys.united, &keys.iv), front),
            down,
            write_buffer: WriteBuffer::default(),
        }
    }
}

#[cfg(test)]
impl Masked {
    /// A connection with the masks of both directions.
    pub(super) fn with(io: BoxStream, out: Mask, incoming: Mask) -> Self {
        let [up, down] = [out, incoming].map(|mask| Headers::new(mask, 0));
        Self { io, up, down: Incoming::Known(Box::new(down)), write_buffer: WriteBuffer::default() }
    }
}

impl Incoming {
    fn show(&mut self, mut bytes: &mut [u8]) {
        if let Self::Random { united, random, filled } = self {
            let room = random.get_mut(*filled..).unwrap_or_default();
            let (piece, later) = bytes.split_at_mut(room.len().min(bytes.len()));
            room.iter_mut().zip(piece.iter()).for_each(|(place, byte)| *place = *byte);
            *filled += piece.len();
            if *filled < random.len() {
                return;
            }
            *self = Self::Known(Box::new(Headers::new(Mask::new(united, random), 0)));
            bytes = later;
        }
        if let Self::Known(headers) = self {
            headers.show(bytes);
        }
    }
}

impl Stream for Masked {}

impl AsyncRead for Masked {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        this.down.show(buf.filled_mut().get_mut(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Masked {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.write_buffer.poll_drain(&mut this.io, cx))?;
        let piece = buf.get(..buf.len().min(AT_ONCE)).unwrap_or_default();
        let wire = this.write_buffer.buffer();
        wire.extend_from_slice(piece);
        this.up.hide(wire);
        // The bytes are queued now. A connection that is not ready takes them at the next call or flush.
        let _ = this.write_buffer.poll_drain(&mut this.io, cx)?;
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.write_buffer.poll_drain(&mut this.io, cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.write_buffer.poll_drain(&mut this.io, cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}
