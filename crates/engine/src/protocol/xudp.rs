//! XUDP: datagrams in one session of mux.cool, each frame with its own address, which is Xray's extension. VLESS and VMess carry it
//! with their command for mux.
//!
//! Who does not know the extension leaves out network and address after the first frame; such frames belong to the first target.

use std::io;

use hezar_core::Target;

use super::{
    mux_cool::wire::{self, Destination, Frame, Status, Step},
    packets::{PacketCodec, Taken, unsendable},
};
use crate::Cause;

/// The codec.
#[derive(Debug, Default)]
pub(crate) struct Xudp {
    /// The number of the session. A client's is 0, and a server repeats it.
    session: u16,
    first: Option<Target>,
    answers: bool,
}

impl Xudp {
    /// The codec of a server, which opens no session and takes a client's.
    pub(crate) fn answering() -> Self {
        Self { answers: true, ..Self::default() }
    }

    /// Whom a frame with a payload belongs to. At the server a session begins with a new frame; a client passes over such frames.
    ///
    /// # Errors
    /// [`Cause::Protocol`] for an address of an unknown type, or a new session that is a stream.
    fn owner(&mut self, frame: &Frame, bytes: &[u8]) -> Result<Option<Target>, Cause> {
        match (frame.status, self.answers) {
            (Status::New, true) => {
                self.session = frame.session;
                self.first = match frame.destination(bytes)? {
                    Some(Destination::Datagrams(target)) => target,
                    Some(Destination::Stream(_)) => return Err(Cause::Protocol("a stream in a session of datagrams")),
                    None => None,
                };
                Ok(self.first.clone())
            }
            (Status::Keep, _) if frame.payload.is_some() => Ok(match frame.destination(bytes)? {
                Some(Destination::Datagrams(target)) => target,
                _ => self.first.clone(),
            }),
            _ => Ok(None),
        }
    }
}

impl PacketCodec for Xudp {
    fn put(&mut self, payload: &[u8], target: &Target, wire: &mut Vec<u8>) -> io::Result<()> {
        if u16::try_from(payload.len()).is_err() {
            return Err(unsendable("the datagram is too large"));
        }
        let status = if self.first.is_none() && !self.answers { Status::New } else { Status::Keep };
        if status == Status::New {
            self.first = Some(target.clone());
        }
        wire::put(self.session, status, Some(target), payload, wire);
        Ok(())
    }

    fn take(&mut self, bytes: &mut [u8]) -> Result<Taken, Cause> {
        let frame = match wire::take(bytes)? {
            Step::Need(length) => return Ok(Taken::Need(length)),
            Step::Frame(frame) => frame,
        };
        if frame.status == Status::End {
            return Ok(Taken::End);
        }
        let from = self.owner(&frame, bytes)?;
        Ok(match (from, frame.payload) {
            (Some(from), Some(payload)) => Taken::Packet { used: frame.length, payload, from },
            _ => Taken::Used(frame.length),
        })
    }
}
