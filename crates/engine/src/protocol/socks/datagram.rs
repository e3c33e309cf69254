//! Datagrams beside a SOCKS5 stream: the association lasts as long as the stream (RFC 1928 §7).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use hezar_core::{Host, Reach, Target};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, ReadBuf};

use super::wire;
use crate::{
    BoxDatagram, BoxStream, Cause, Datagram,
    io::copy::copy_packet,
    protocol::{address::may_be, packets::unsendable},
};

/// The largest UDP datagram, in bytes.
const MAX_DATAGRAM: usize = 65_535;
/// The longest header in front of a payload: that with the longest name.
const MAX_HEADER: usize = 3 + 1 + 1 + 255 + 2;

/// The association.
pub(super) struct SocksDatagram {
    outer: BoxDatagram,
    relay: Target,
    receiving: Mutex<Receiving>,
}

struct Receiving {
    control: BoxStream,
    /// The datagram with its header. It is longer than the payload that the caller has room for.
    bytes: Vec<u8>,
}

impl SocksDatagram {
    /// An association that sends to `relay` over `outer` as long as `control` is open.
    pub(super) fn new(control: BoxStream, outer: BoxDatagram, relay: Target) -> Self {
        Self { outer, relay, receiving: Mutex::new(Receiving { control, bytes: Vec::new() }) }
    }
}

/// Where the datagrams go: to the address in the reply, or to the server's own host when the reply has no address, or one
/// that exists in the server's own network only.
pub(super) fn relay_address(server: &Target, bound: Option<Target>) -> Option<Target> {
    let bound = bound?;
    let unknown = matches!(bound.host(), Host::Ip(ip) if ip.is_unspecified());
    let inside = bound.host().reach() == Reach::Private && server.host().reach() == Reach::Public;
    if unknown || inside { Target::new(server.host().clone(), bound.port()).ok() } else { Some(bound) }
}

impl Receiving {
    /// Reads and drops what has come on the control stream, on which nothing is expected.
    ///
    /// # Errors
    /// [`Cause::Closed`] at its end, which also ends the association (RFC 1928 §7).
    fn check_control(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut ignored = [0; 64];
        loop {
            let mut read = ReadBuf::new(&mut ignored);
            match Pin::new(&mut self.control).poll_read(cx, &mut read) {
                Poll::Pending => return Ok(()),
                Poll::Ready(result) => result?,
            }
            if read.filled().is_empty() {
                return Err(Cause::Closed.into());
            }
        }
    }
}

impl Datagram for SocksDatagram {
    fn poll_send_to(&self, cx: &mut Context<'_>, payload: &[u8], target: &Target) -> Poll<io::Result<()>> {
        if payload.len() > MAX_DATAGRAM - MAX_HEADER {
            return Poll::Ready(Err(unsendable("the datagram is too large for SOCKS5")));
        }
        self.outer.poll_send_to(cx, &wire::datagram(target, payload), &self.relay)
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outer.poll_flush(cx)
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>> {
        let mut receiving = self.receiving.lock();
        receiving.check_control(cx)?;
        let bytes = &mut receiving.bytes;
        bytes.resize(MAX_DATAGRAM, 0);
        loop {
            let (length, from) = ready!(self.outer.poll_recv_from(cx, bytes))?;
            if !may_be(&self.relay, &from) {
                continue;
            }
            if let Some((from, payload)) = wire::open_datagram(bytes.get(..length).unwrap_or_default()) {
                return Poll::Ready(Ok((copy_packet(payload, buffer), from)));
            }
        }
    }
}
