//! Datagrams inside a stream in the format of sing-box: UDP over TCP, version 2.
//!
//! ```text
//! stream:    | the magic name as the target | 0 or 1 | a target as SOCKS writes it |
//! datagrams: | type | address | port 2 | length 2 | payload |        type: 0 IPv4, 1 IPv6, 2 name
//! ```
//! With 1 all datagrams go to that one target and come from it, and each of them is a length and a payload alone. With 0 the target
//! means nothing.

use std::io;

use hezar_core::Target;

use super::{
    address::{AddressTypes, put, take, take_socks},
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

/// Whether a target as SOCKS writes it is the magic name; `None` while that cannot be said.
pub(crate) fn is_magic(address: &[u8]) -> Option<bool> {
    let magic = self::address();
    let known = address.len().min(2 + MAGIC.len());
    if address.get(..known) != magic.get(..known) {
        return Some(false);
    }
    (known == 2 + MAGIC.len()).then_some(true)
}

/// Reads what opens a stream of datagrams, behind the magic target: the codec for it, and how long that was. `None` while it is
/// incomplete.
///
/// # Errors
/// [`Cause::Protocol`] when it is no such request.
pub(crate) fn take_request(bytes: &[u8]) -> Result<Option<(Uot, usize)>, Cause> {
    let Some((&kind, rest)) = bytes.split_first() else { return Ok(None) };
    let Some((target, length)) = take_socks(rest)? else { return Ok(None) };
    let only = match (kind, target) {
        (0, _) => None,
        (1, Some(target)) => Some(target),
        _ => return Err(Cause::Protocol("a stream of datagrams that is for nothing")),
    };
    Ok(Some((Uot { opened: true, only }, 1 + length)))
}

/// The codec.
#[derive(Debug)]
pub(crate) struct Uot {
    opened: bool,
    /// The one target of all datagrams, where the client has named it.
    only: Option<Target>,
}

impl Uot {
    /// A codec for a stream that was asked for with [`request`].
    pub(crate) const fn opened() -> Self {
        Self { opened: true, only: None }
    }

    /// A codec for a stream to [`address`], which the first datagram opens.
    pub(crate) const fn unopened() -> Self {
        Self { opened: false, only: None }
    }
}

impl PacketCodec for Uot {
    fn put(&mut self, payload: &[u8], target: &Target, wire: &mut Vec<u8>) -> io::Result<()> {
        let length = u16::try_from(payload.len()).map_err(|_| unsendable("the datagram is too large"))?;
        if !std::mem::replace(&mut self.opened, true) {
            wire.extend_from_slice(&OPENING);
        }
        if self.only.is_none() {
            put(target, AddressTypes::UDP_OVER_TCP, wire);
        }
        wire.extend_from_slice(&length.to_be_bytes());
        wire.extend_from_slice(payload);
        Ok(())
    }

    fn take(&mut self, wire: &mut [u8]) -> Result<Taken, Cause> {
        let read = match &self.only {
            Some(only) => Some((Some(only.clone()), 0)),
            None => take(wire, AddressTypes::UDP_OVER_TCP)?,
        };
        let Some((from, head)) = read else { return Ok(Taken::Need(wire.len() + 1)) };
        let Some(length) = wire.get(head..).and_then(|rest| rest.first_chunk()) else {
            return Ok(Taken::Need(head + 2));
        };
        Ok(Taken::framed(wire.len(), head + 2, usize::from(u16::from_be_bytes(*length)), from))
    }
}
