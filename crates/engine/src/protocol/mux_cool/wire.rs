//! The frames of mux.cool (xtls.github.io/en/development/protocols/muxcool.html), without I/O.
//!
//! ```text
//! frame:    | length m | session | status | option | network | port | ATYP | address | length n | payload |
//!           |    2     |    2    |   1    |   1    |    1    |  2   |  1   |   var   |    2     |    n    |
//!           |          |<--------------------------- m --------------------------->|  with option bit 0
//! status:   1 new, 2 keep, 3 end, 4 keep-alive       option: bit 0 = a payload follows, bit 1 = an error
//! network:  1 TCP, 2 UDP; it and the address stand in new frames, and in frames of datagrams as Xray writes them (XUDP)
//! ```
//! Behind the address of a new session of datagrams Xray's clients may put 8 bytes that name it; nothing of them is needed here.

use std::ops::Range;

use hezar_core::Target;

use crate::{
    Cause,
    protocol::address::{put_v2ray, take_v2ray},
};

const HAS_PAYLOAD: u8 = 1;
const HAS_ERROR: u8 = 2;
const TCP: u8 = 1;
const UDP: u8 = 2;
/// The length of session, status and option, in bytes.
const FIXED: usize = 4;
/// The longest metadata that programs write, in bytes.
const MAX_META: usize = 512;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// A session begins.
    New,
    /// A session goes on.
    Keep,
    /// A session ends.
    End,
    /// Nothing but the connection.
    KeepAlive,
}

/// A whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The number of its session.
    pub(crate) session: u16,
    /// What it is for.
    pub(crate) status: Status,
    /// Where its network and address stand, if they do.
    address: Range<usize>,
    /// Where its payload stands, if it has one.
    pub(crate) payload: Option<Range<usize>>,
    /// How long it is, in bytes.
    pub(crate) length: usize,
}

/// What a new session carries, and where to; a target that is none is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A stream.
    Stream(Option<Target>),
    /// Datagrams.
    Datagrams(Option<Target>),
}

/// One step of [`take`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// More bytes are needed: so many in all.
    Need(usize),
    /// A whole frame.
    Frame(Frame),
}

/// Reads the frame at the front of `bytes`.
///
/// # Errors
/// [`Cause::Protocol`] for metadata of an impossible length, or an unknown status.
pub(crate) fn take(bytes: &[u8]) -> Result<Step, Cause> {
    let Some(meta) = bytes.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length))) else {
        return Ok(Step::Need(2));
    };
    if !(FIXED..=MAX_META).contains(&meta) {
        return Err(Cause::Protocol("a frame's metadata has an impossible length"));
    }
    let head = 2 + meta;
    let Some(&[high, low, status, option, ..]) = bytes.get(2..head) else { return Ok(Step::Need(head)) };
    let status = match status {
        1 => Status::New,
        2 => Status::Keep,
        3 => Status::End,
        4 => Status::KeepAlive,
        _ => return Err(Cause::Protocol("a frame has an unknown status")),
    };
    let (payload, length) = if option & HAS_PAYLOAD == 0 {
        (None, head)
    } else {
        let Some(length) = bytes.get(head..).and_then(|rest| rest.first_chunk()) else {
            return Ok(Step::Need(head + 2));
        };
        let end = head + 2 + usize::from(u16::from_be_bytes(*length));
        (Some(head + 2..end), end)
    };
    if bytes.len() < length {
        return Ok(Step::Need(length));
    }
    let session = u16::from_be_bytes([high, low]);
    Ok(Step::Frame(Frame { session, status, address: 2 + FIXED..head, payload, length }))
}

impl Frame {
    /// What the frame says of its session's destination; `None` when it says nothing.
    ///
    /// # Errors
    /// [`Cause::Protocol`] for an address of an unknown type.
    pub(crate) fn destination(&self, bytes: &[u8]) -> Result<Option<Destination>, Cause> {
        match bytes.get(self.address.clone()) {
            Some([TCP, address @ ..]) => Ok(Some(Destination::Stream(take_target(address)?))),
            Some([UDP, address @ ..]) => Ok(Some(Destination::Datagrams(take_target(address)?))),
            _ => Ok(None),
        }
    }
}

fn take_target(address: &[u8]) -> Result<Option<Target>, Cause> {
    Ok(take_v2ray(address)?.and_then(|(target, _)| target))
}

/// Appends a frame with a payload of at most 65,535 bytes; of a datagram, with the address of its target or sender.
pub(crate) fn put(session: u16, status: Status, address: Option<&Target>, payload: &[u8], out: &mut Vec<u8>) {
    let from = out.len();
    out.extend_from_slice(&[0, 0]);
    put_fixed(session, status, HAS_PAYLOAD, out);
    if let Some(address) = address {
        out.push(UDP);
        put_v2ray(address, out);
    }
    let meta = u16::try_from(out.len() - from - 2).unwrap_or(u16::MAX).to_be_bytes();
    if let Some(place) = out.get_mut(from..from + 2) {
        place.copy_from_slice(&meta);
    }
    out.extend_from_slice(&u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(payload);
}

/// Appends the frame that ends a session, perhaps by a failure.
pub(crate) fn put_end(session: u16, failed: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 4]);
    put_fixed(session, Status::End, if failed { HAS_ERROR } else { 0 }, out);
}

fn put_fixed(session: u16, status: Status, option: u8, out: &mut Vec<u8>) {
    let status = match status {
        Status::New => 1,
        Status::Keep => 2,
        Status::End => 3,
        Status::KeepAlive => 4,
    };
    out.extend_from_slice(&session.to_be_bytes());
    out.extend_from_slice(&[status, option]);
}
