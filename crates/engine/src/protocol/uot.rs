//! Datagrams inside a stream in the format of sing-box: UDP over TCP, version 2, each datagram with its own address.
//!
//! ```text
//! stream:    | the magic name as the target | 0 | a target that is ignored |
//! datagrams: | type | address | port 2 | length 2 | payload |        type: 0 IPv4, 1 IPv6, 2 name
//! ```

use std::io;

use hezar_core::Target;

use super::{
    address::{AddressTypes, put, take},
    packets::{PacketCodec, Taken, unsendable},
};
use crate::Cause;

/// The magic name, which tells a server that the stream carries datagrams.
const MAGIC: &[u8] = b"sp.v2.udp-over-tcp.arpa";
/// The association is not bound to one target, although one is written.
const OPENING: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 0];

/// The target of a stream of datagrams, as SOCKS writes it: the magic name, and port 0.
pub(crate) fn address() -> Vec<u8> {
    let length = u8::try_from(MAGIC.len()).unwrap_or(u8::MAX);
    [&[3, length], MAGIC, &[0, 0]].concat()
}

/// The request for a stream of datagrams: its target, and the bytes that open it.
pub(crate) fn request() -> Vec<u8> {
    [&address()[..], &OPENING].concat()
}

/// The codec.
#[derive(Debug)]
pub(crate) struct Uot {
    opened: bool,
}

impl Uot {
    /// A codec for a stream that was asked for with [`request`].
    pub(crate) const fn opened() -> Self {
        Self { opened: true }
    }

    /// A codec for a stream to [`address`], which the first datagram opens.
    pub(crate) const fn unopened() -> Self {
        Self { opened: false }
    }
}

impl PacketCodec for Uot {
    fn put(&mut self, payload: &[u8], target: &Target, wire: &mut Vec<u8>) -> io::Result<()> {
        let length = u16::try_from(payload.len()).map_err(|_| unsendable("the datagram is too large"))?;
        if !std::mem::replace(&mut self.opened, true) {
            wire.extend_from_slice(&OPENING);
        }
        put(target, AddressTypes::UDP_OVER_TCP, wire);
        wire.extend_from_slice(&length.to_be_bytes());
        wire.extend_from_slice(payload);
        Ok(())
    }

    fn take(&mut self, wire: &mut [u8]) -> Result<Taken, Cause> {
        let Some((from, head)) = take(wire, AddressTypes::UDP_OVER_TCP)? else {
            return Ok(Taken::Need(wire.len() + 1));
        };
        let Some(length) = wire.get(head..).and_then(|rest| rest.first_chunk()) else {
            return Ok(Taken::Need(head + 2));
        };
        Ok(Taken::framed(wire.len(), head + 2, usize::from(u16::from_be_bytes(*length)), from))
    }
}
