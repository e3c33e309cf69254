//! The bytes of Trojan (trojan-gfw.github.io/trojan/protocol).
//!
//! ```text
//! | hex(SHA-224(password)) | CR LF | CMD | ATYP | address | port | CR LF | payload …
//! |          56            |   2   |  1  |   1  |   var   |  2   |   2   |
//! ```
//! The answer is payload from its first byte. Behind the command for datagrams, both ways:
//! ```text
//! | ATYP | address | port | length | CR LF | payload |
//! |   1  |   var   |  2   |   2    |   2   |    n    |
//! ```

use std::io;

use aws_lc_rs::digest::{SHA224, digest};
use hezar_core::Target;

use crate::{
    Cause,
    protocol::{
        address::{MAX_ADDRESS, put_socks, take_socks},
        packets::{Taken, unsendable},
    },
    served::{CredentialId, HeadRead, Keyring, StrangerReason},
};

/// The hashed password in hexadecimal digits.
pub(super) type Key = [u8; KEY_LENGTH];

/// Open a TCP stream.
pub(super) const CONNECT: u8 = 1;
/// Carry datagrams.
pub(super) const ASSOCIATE: u8 = 3;
/// Mux.cool, which is not served.
const MUX: u8 = 0x7f;
const CRLF: &[u8] = b"\r\n";
/// The length of a [`Key`].
const KEY_LENGTH: usize = 56;

/// Hashes a password.
pub(super) fn key(password: &str) -> Key {
    let mut key = [0; KEY_LENGTH];
    // 28 bytes make 56 digits; the lengths cannot differ.
    let _ = hex::encode_to_slice(digest(&SHA224, password.as_bytes()), &mut key);
    key
}

/// The request for a stream to `target`, or for a stream of datagrams of which the first goes there.
pub(super) fn request(key: &Key, command: u8, target: &Target) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(key.len() + 2 + 1 + MAX_ADDRESS + 2);
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(CRLF);
    bytes.push(command);
    put_socks(target, &mut bytes);
    bytes.extend_from_slice(CRLF);
    bytes
}

/// Whether a packet can hold the payload.
///
/// # Errors
/// [`unsendable`] when it is too large.
pub(super) fn check_packet(payload: &[u8]) -> io::Result<()> {
    u16::try_from(payload.len()).map(drop).map_err(|_| unsendable("the datagram is too large for Trojan"))
}

/// Appends one packet; the payload was checked.
pub(super) fn put_packet(payload: &[u8], target: &Target, bytes: &mut Vec<u8>) {
    put_socks(target, bytes);
    bytes.extend_from_slice(&u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(CRLF);
    bytes.extend_from_slice(payload);
}

/// Takes one packet from the front of `bytes`.
///
/// # Errors
/// [`Cause::Protocol`] when the bytes are not packets of Trojan.
pub(super) fn take_packet(bytes: &[u8]) -> Result<Taken, Cause> {
    let Some((from, address)) = take_socks(bytes)? else { return Ok(Taken::Need(bytes.len() + 1)) };
    let Some(&[high, low, cr, lf]) = bytes.get(address..).and_then(|rest| rest.first_chunk()) else {
        return Ok(Taken::Need(address + 4));
    };
    if [cr, lf] != CRLF {
        return Err(Cause::Protocol("a packet's header does not end as it should"));
    }
    Ok(Taken::framed(bytes.len(), address + 4, usize::from(u16::from_be_bytes([high, low])), from))
}

/// What a known client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TrojanRequest {
    /// A stream.
    Connect { credential: CredentialId, target: Target },
    /// Datagrams; the request's own target means nothing, since each datagram names one.
    Associate { credential: CredentialId },
}

/// Judges the bytes of a connection as early as they can be told from a client's: a site would already be answering.
pub(super) fn take_request(bytes: &[u8], keyring: &Keyring) -> HeadRead<TrojanRequest> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let digits = bytes.get(..KEY_LENGTH).unwrap_or(bytes);
    if !digits.iter().all(is_digit) {
        return Err(StrangerReason::Protocol);
    }
    let Some(credential) = keyring.identify(digits, KEY_LENGTH)? else { return Ok(None) };
    let rest = bytes.get(KEY_LENGTH..).unwrap_or_default();
    let Some((command, target, length)) = take_command(rest).map_err(|_| StrangerReason::Protocol)? else {
        return Ok(None);
    };
    let request = match (command, target) {
        (ASSOCIATE, _) => TrojanRequest::Associate { credential },
        (CONNECT, Some(target)) => TrojanRequest::Connect { credential, target },
        (MUX, _) => return Err(StrangerReason::Command("mux.cool of Trojan")),
        _ => return Err(StrangerReason::Protocol),
    };
    Ok(Some((request, KEY_LENGTH + length)))
}

/// What stands behind the hash: the command, its target where it is one, and how many bytes there were.
type CommandRead = (u8, Option<Target>, usize);

/// Reads what stands behind the hash; `None` while it is incomplete.
///
/// # Errors
/// [`Cause::Protocol`] when it is no request.
fn take_command(bytes: &[u8]) -> Result<Option<CommandRead>, Cause> {
    let Some(rest) = take_line_end(bytes)? else { return Ok(None) };
    let Some((&command, rest)) = rest.split_first() else { return Ok(None) };
    let Some((target, length)) = take_socks(rest)? else { return Ok(None) };
    let Some(rest) = take_line_end(rest.get(length..).unwrap_or_default())? else { return Ok(None) };
    Ok(Some((command, target, bytes.len() - rest.len())))
}

/// Takes a line's end away; `None` while it is incomplete.
///
/// # Errors
/// [`Cause::Protocol`] when something else is there.
fn take_line_end(bytes: &[u8]) -> Result<Option<&[u8]>, Cause> {
    match bytes {
        [b'\r', b'\n', rest @ ..] => Ok(Some(rest)),
        [] | [b'\r'] => Ok(None),
        _ => Err(Cause::Protocol("a request's line does not end as it should")),
    }
}
