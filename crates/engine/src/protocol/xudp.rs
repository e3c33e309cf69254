//! XUDP: datagrams in one session of mux.cool, each frame with its own address (xtls.github.io, mux.cool; the addresses
//! in every frame are Xray's extension). VLESS and VMess carry it with their command for mux.
//!
//! ```text
//! frame: | length m | session 0 | status | option | network 2 = UDP | port | ATYP | address | length n | payload |
//!        |    2     |     2     |   1    |   1    |        1        |  2   |  1   |   var   |    2     |    n    |
//!        |          |<----------------------------- m ----------------------------------->|
//! status: 1 new (a client's first), 2 keep, 3 end, 4 keep-alive    option: bit 0 = a payload follows, bit 1 = an error
//! ```
//! Who does not know the extension leaves out network and address after the first frame; such frames belong to the first target.
//! Behind the address of a new session Xray's clients may put 8 bytes that name it; nothing of them is needed here.

use std::io;

use hezar_core::Target;

use super::{
    address::{put_v2ray, take_v2ray},
    packets::{PacketCodec, Taken, unsendable},
};
use crate::Cause;

const NEW: u8 = 1;
const KEEP: u8 = 2;
const END: u8 = 3;
const KEEP_ALIVE: u8 = 4;
const HAS_PAYLOAD: u8 = 1;
const TCP: u8 = 1;
const UDP: u8 = 2;
/// The length of session, status and option, in bytes.
const FIXED: usize = 4;
/// The longest metadata that servers write, in bytes.
const MAX_META: usize = 512;

/// The codec.
#[derive(Debug, Default)]
pub(crate) struct Xudp {
    /// The number of the session. A client's is 0, and a server repeats it.
    session: [u8; 2],
    first: Option<Target>,
    answers: bool,
}

impl Xudp {
    /// The codec of a server, which opens no session and takes a client's.
    pub(crate) fn answering() -> Self {
        Self { answers: true, ..Self::default() }
    }
}

impl PacketCodec for Xudp {
    fn put(&mut self, payload: &[u8], target: &Target, wire: &mut Vec<u8>) -> io::Result<()> {
        let length = u16::try_from(payload.len()).map_err(|_| unsendable("the datagram is too large"))?;
        let status = if self.first.is_none() && !self.answers { NEW } else { KEEP };
        if status == NEW {
            self.first = Some(target.clone());
        }
        let from = wire.len();
        let [high, low] = self.session;
        wire.extend_from_slice(&[0, 0, high, low, status, HAS_PAYLOAD, UDP]);
        put_v2ray(target, wire);
        let meta = u16::try_from(wire.len() - from - 2).unwrap_or(u16::MAX).to_be_bytes();
        if let Some(place) = wire.get_mut(from..from + 2) {
            place.copy_from_slice(&meta);
        }
        wire.extend_from_slice(&length.to_be_bytes());
        wire.extend_from_slice(payload);
        Ok(())
    }

    fn take(&mut self, wire: &mut [u8]) -> Result<Taken, Cause> {
        let Some(meta) = wire.first_chunk().map(|bytes| usize::from(u16::from_be_bytes(*bytes))) else {
            return Ok(Taken::Need(2));
        };
        if !(FIXED..=MAX_META).contains(&meta) {
            return Err(Cause::Protocol("a frame's metadata has an impossible length"));
        }
        let head = 2 + meta;
        let Some(&[high, low, status, option, ref address @ ..]) = wire.get(2..head) else {
            return Ok(Taken::Need(head));
        };
        let (head, length) = match (option & HAS_PAYLOAD != 0, wire.get(head..).and_then(|rest| rest.first_chunk())) {
            (false, _) => (head, 0),
            (true, Some(length)) => (head + 2, usize::from(u16::from_be_bytes(*length))),
            (true, None) => return Ok(Taken::Need(head + 2)),
        };
        match status {
            NEW if self.answers => {
                // The frame is taken as a whole, since the session begins with it.
                if wire.len() < head + length {
                    return Ok(Taken::Need(head + length));
                }
                self.begin([high, low], address)?;
                let target = self.first.clone().filter(|_| option & HAS_PAYLOAD != 0);
                Ok(Taken::framed(wire.len(), head, length, target))
            }
            KEEP if option & HAS_PAYLOAD != 0 => Ok(Taken::framed(wire.len(), head, length, self.sender(address)?)),
            END => Ok(Taken::End),
            NEW | KEEP | KEEP_ALIVE => Ok(Taken::framed(wire.len(), head, length, None)),
            _ => Err(Cause::Protocol("a frame has an unknown status")),
        }
    }
}

impl Xudp {
    /// Begins a client's session.
    fn begin(&mut self, session: [u8; 2], address: &[u8]) -> Result<(), Cause> {
        let target = match address {
            [UDP, address @ ..] => take_v2ray(address)?.and_then(|(target, _)| target),
            [TCP, ..] => return Err(Cause::Unsupported("streams of mux.cool")),
            _ => None,
        };
        (self.session, self.first) = (session, target);
        Ok(())
    }

    fn sender(&self, address: &[u8]) -> Result<Option<Target>, Cause> {
        match address {
            [UDP, address @ ..] => Ok(take_v2ray(address)?.and_then(|(from, _)| from)),
            _ => Ok(self.first.clone()),
        }
    }
}
