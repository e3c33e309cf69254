//! The bytes of TUIC, version 5 (the protocol's SPEC.md).
//!
//! ```text
//! every command:  | 05 | command |
//! 00 authenticate | id (16) | token (32) |                                  a unidirectional stream
//! 01 connect      | address | payload …                                     a bidirectional stream, no answer
//! 02 packet       | session (2) | packet (2) | pieces | piece | length (2) | address | payload |
//!                                       a datagram (relay mode native) or a unidirectional stream (quic), both ways
//! 03 dissociate   | session (2) |                                           a unidirectional stream
//! 04 heartbeat    |                                                         a datagram
//! address: 00 length name port(2) | 01 ipv4(4) port(2) | 02 ipv6(16) port(2) | ff (a piece after the first)
//! ```
//! The token is keying material exported from the TLS session: label = the id, context = the password (RFC 5705).

use std::net::IpAddr;

use bytes::Bytes;
use hezar_core::{Host, Target};
use uuid::Uuid;

/// The version in front of every command.
const VERSION: u8 = 5;
const AUTHENTICATE: u8 = 0;
const CONNECT: u8 = 1;
const PACKET: u8 = 2;
const DISSOCIATE: u8 = 3;
const HEARTBEAT: u8 = 4;
/// The address of a piece after the first.
const NO_ADDRESS: u8 = 0xff;

/// The token's length in bytes.
pub(super) const TOKEN: usize = 32;

/// The heartbeat, which keeps a connection alive.
pub(super) const ALIVE: [u8; 2] = [VERSION, HEARTBEAT];

/// The command that authenticates us.
pub(super) fn authenticate(id: Uuid, token: &[u8; TOKEN]) -> Vec<u8> {
    [&[VERSION, AUTHENTICATE], id.as_bytes().as_slice(), token].concat()
}

/// The command that asks for a TCP connection to `target`.
pub(super) fn connect(target: &Target) -> Vec<u8> {
    let mut bytes = vec![VERSION, CONNECT];
    put_address(target, &mut bytes);
    bytes
}

/// The command that ends a session.
pub(super) fn dissociate(session: u16) -> Vec<u8> {
    let [high, low] = session.to_be_bytes();
    vec![VERSION, DISSOCIATE, high, low]
}

/// A UDP packet or a piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) session: u16,
    pub(super) packet: u16,
    pub(super) pieces: u8,
    pub(super) piece: u8,
    /// The address that it goes to or comes from; absent in a fragment after the first.
    pub(super) address: Option<Target>,
    pub(super) payload: Bytes,
}

impl Packet {
    /// Reads a whole packet command; `None` for other commands, malformed ones and invalid addresses.
    pub(super) fn read(command: &Bytes) -> Option<Self> {
        let (&[VERSION, PACKET, a, b, c, d, pieces, piece, e, f], mut rest) = command.split_first_chunk::<10>()? else {
            return None;
        };
        let address = take_address(&mut rest)?;
        let payload = rest.get(..usize::from(u16::from_be_bytes([e, f])))?;
        let (session, packet) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        Some(Self { session, packet, pieces, piece, address, payload: command.slice_ref(payload) })
    }
}

/// The lengths of the header in front of the payload, in bytes: that of the first fragment, and that of later ones.
pub(super) fn headers(target: &Target) -> (usize, usize) {
    let address = match target.host() {
        Host::Ip(IpAddr::V4(_)) => 1 + 4 + 2,
        Host::Ip(IpAddr::V6(_)) => 1 + 16 + 2,
        Host::Name(name) => 1 + 1 + name.as_str().len() + 2,
    };
    (10 + address, 10 + 1)
}

/// Writes a packet, or a piece of one.
pub(super) fn packet(session: u16, packet: u16, (piece, pieces): (u8, u8), target: &Target, payload: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(headers(target).0 + payload.len());
    bytes.extend_from_slice(&[VERSION, PACKET]);
    bytes.extend_from_slice(&session.to_be_bytes());
    bytes.extend_from_slice(&packet.to_be_bytes());
    bytes.extend_from_slice(&[pieces, piece]);
    bytes.extend_from_slice(&u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
    if piece == 0 {
        put_address(target, &mut bytes);
    } else {
        bytes.push(NO_ADDRESS);
    }
    bytes.extend_from_slice(payload);
    bytes.into()
}

fn put_address(target: &Target, bytes: &mut Vec<u8>) {
    match target.host() {
        Host::Ip(IpAddr::V4(address)) => {
            bytes.push(1);
            bytes.extend_from_slice(&address.octets());
        }
        Host::Ip(IpAddr::V6(address)) => {
            bytes.push(2);
            bytes.extend_from_slice(&address.octets());
        }
        Host::Name(name) => {
            // A domain name has at most 253 bytes.
            let name = name.as_str().as_bytes();
            bytes.extend_from_slice(&[0, u8::try_from(name.len()).unwrap_or(u8::MAX)]);
            bytes.extend_from_slice(name);
        }
    }
    bytes.extend_from_slice(&target.port().to_be_bytes());
}

/// Takes an address from the front of `bytes`; the inner `None` stands for the address of later fragments.
fn take_address(bytes: &mut &[u8]) -> Option<Option<Target>> {
    let (kind, rest) = bytes.split_first()?;
    let (host, rest) = match kind {
        0 => {
            let (length, rest) = rest.split_first()?;
            let (name, rest) = rest.split_at_checked(usize::from(*length))?;
            (Host::new(std::str::from_utf8(name).ok()?).ok()?, rest)
        }
        1 => {
            let (address, rest) = rest.split_first_chunk::<4>()?;
            (Host::Ip(IpAddr::from(*address)), rest)
        }
        2 => {
            let (address, rest) = rest.split_first_chunk::<16>()?;
            (Host::Ip(IpAddr::from(*address)), rest)
        }
        &NO_ADDRESS => {
            *bytes = rest;
            return Some(None);
        }
        _ => return None,
    };
    let (port, rest) = rest.split_first_chunk::<2>()?;
    *bytes = rest;
    Some(Some(Target::new(host, u16::from_be_bytes(*port)).ok()?))
}
