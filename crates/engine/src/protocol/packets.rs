//! An association over a stream: a codec frames the datagrams, and this module reads and writes the connection.

use std::{
    io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use hezar_core::Target;
use parking_lot::Mutex;
use tokio::io::{AsyncWrite, ReadHalf, WriteHalf, split};

use crate::{
    BoxStream, Cause, Datagram,
    io::{copy::copy_packet, read_buffer::ReadBuffer, write_buffer::WriteBuffer},
    served::{CredentialId, DatagramRequest, InboundRequest},
};

/// How a protocol frames datagrams in a stream, without any I/O.
pub(crate) trait PacketCodec: Send + 'static {
    /// Appends one framed datagram to `wire`; the protocol's header goes in front of the first.
    ///
    /// # Errors
    /// [`unsendable`] when the frame cannot hold it; then nothing was appended.
    fn put(&mut self, payload: &[u8], target: &Target, wire: &mut Vec<u8>) -> io::Result<()>;

    /// Decodes one step of the received bytes.
    ///
    /// # Errors
    /// [`Cause::Authentication`] or [`Cause::Protocol`] when the bytes are not what the protocol allows.
    fn take(&mut self, wire: &mut [u8]) -> Result<Taken, Cause>;
}

/// One step of [`PacketCodec::take`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// More bytes are needed: so many in all.
    Need(usize),
    /// So many bytes, at least one, are used up and hold no datagram.
    Used(usize),
    /// So many bytes are used up and hold a datagram.
    Packet { used: usize, payload: Range<usize>, from: Target },
    /// The server has ended the association.
    End,
}

impl Taken {
    /// The step for a datagram of `length` bytes behind a header, of which `there` bytes have arrived so far. A datagram without
    /// a sender is skipped, since it cannot be answered.
    pub(crate) fn framed(there: usize, header: usize, length: usize, from: Option<Target>) -> Self {
        let used = header + length;
        match from {
            _ if there < used => Self::Need(used),
            Some(from) => Self::Packet { used, payload: header..used, from },
            None => Self::Used(used),
        }
    }
}

/// The error for a datagram that does not fit. It is lost, and the association goes on.
pub(crate) fn unsendable(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// A client's request for datagrams that `codec` frames in `io`.
pub(crate) fn request(credential: CredentialId, io: BoxStream, codec: impl PacketCodec) -> InboundRequest {
    let datagram = Box::new(Packets::new(io, codec));
    InboundRequest::Datagrams(DatagramRequest { credential, client: None, datagram })
}

/// The association over a stream.
pub(crate) struct Packets<C> {
    codec: Mutex<C>,
    receiving: Mutex<Receiving>,
    sending: Mutex<Sending>,
}

struct Receiving {
    io: ReadHalf<BoxStream>,
    read_buffer: ReadBuffer,
    over: bool,
}

struct Sending {
    io: WriteHalf<BoxStream>,
    write_buffer: WriteBuffer,
}

impl<C: PacketCodec> Packets<C> {
    /// Speaks `codec` over `io`. Nothing is sent before the first datagram.
    pub(crate) fn new(io: BoxStream, codec: C) -> Self {
        let (reader, writer) = split(io);
        Self {
            codec: Mutex::new(codec),
            receiving: Mutex::new(Receiving { io: reader, read_buffer: ReadBuffer::default(), over: false }),
            sending: Mutex::new(Sending { io: writer, write_buffer: WriteBuffer::default() }),
        }
    }

    fn poll_receive(
        &self,
        receiving: &mut Receiving,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<(usize, Target), Cause>> {
        let Receiving { io, read_buffer, over } = receiving;
        if *over {
            return Poll::Ready(Err(Cause::Closed));
        }
        loop {
            let taken = self.codec.lock().take(read_buffer.bytes())?;
            match taken {
                Taken::Need(length) => {
                    if ready!(read_buffer.poll_fill(io, length, cx))? == 0 {
                        return Poll::Ready(Err(Cause::Closed));
                    }
                }
                Taken::Used(used) => read_buffer.consume(used),
                Taken::Packet { used, payload, from } => {
                    let length = copy_packet(read_buffer.bytes().get(payload).unwrap_or_default(), buffer);
                    read_buffer.consume(used);
                    return Poll::Ready(Ok((length, from)));
                }
                Taken::End => return Poll::Ready(Err(Cause::Closed)),
            }
        }
    }
}

impl<C: PacketCodec> Datagram for Packets<C> {
    fn poll_send_to(&self, cx: &mut Context<'_>, payload: &[u8], target: &Target) -> Poll<io::Result<()>> {
        let mut sending = self.sending.lock();
        let Sending { io, write_buffer } = &mut *sending;
        // Earlier frames are written first, so that at most one frame is in the buffer and none is cut off.
        ready!(write_buffer.poll_drain(io, cx))?;
        Poll::Ready(self.codec.lock().put(payload, target, write_buffer.buffer()))
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut sending = self.sending.lock();
        let Sending { io, write_buffer } = &mut *sending;
        ready!(write_buffer.poll_drain(io, cx))?;
        Pin::new(io).poll_flush(cx)
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>> {
        let mut receiving = self.receiving.lock();
        let result = ready!(self.poll_receive(&mut receiving, cx, buffer));
        receiving.over |= result.is_err();
        Poll::Ready(Ok(result?))
    }
}
