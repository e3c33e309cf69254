//! Records for the fuzz targets, sealed by a peer whose keys are all zeroes.

use rustls::{
    ConnectionTrafficSecrets,
    crypto::cipher::{AeadKey, Iv},
};
use tokio::io::ReadBuf;

use super::{Edition, HELLO_REQUEST, Half, NEW_SESSION_TICKET, PostHandshake, Records, UNEXPECTED};
use crate::{
    Cause,
    io::codec_stream::{Codec as _, Opened},
};

/// A session whose keys never change.
struct Nobody {
    is_server: bool,
}

impl PostHandshake for Nobody {
    fn renew_ours(&mut self) -> Result<Half, Cause> {
        Half::new(Edition::Tls13, 0, &zeroes())
    }

    fn renew_theirs(&mut self) -> Result<Half, Cause> {
        Half::new(Edition::Tls13, 0, &zeroes())
    }

    fn take_message(&mut self, edition: Edition, kind: u8, body: &[u8]) -> Result<(), Cause> {
        match (edition, kind, body) {
            _ if self.is_server => Err(UNEXPECTED),
            (Edition::Tls13, NEW_SESSION_TICKET, [_, ..]) | (Edition::Tls12, HELLO_REQUEST, []) => Ok(()),
            _ => Err(UNEXPECTED),
        }
    }
}

fn zeroes() -> ConnectionTrafficSecrets {
    ConnectionTrafficSecrets::Chacha20Poly1305 { key: AeadKey::from([0; 32]), iv: Iv::from([0; 12]) }
}

/// Our records, and the half of a server that seals for them.
///
/// # Errors
/// None: the keys are long enough.
#[cfg(test)]
pub(super) fn zeroed(edition: Edition, limit: u64) -> Result<(Records, Half), Cause> {
    with_role(edition, limit, false)
}

fn with_role(edition: Edition, limit: u64, is_server: bool) -> Result<(Records, Half), Cause> {
    let half = || Half::new(edition, 0, &zeroes());
    Ok((Records::with(edition, (half()?, half()?), limit, Box::new(Nobody { is_server }), false), half()?))
}

/// Reads what a server says, in pieces of this size: the first byte chooses the version, then come records with a type, a length
/// and a text each, and what is cut short is on the wire as it is. Gives the payload, and how it ended.
pub(crate) fn decode(data: &[u8], piece: usize) -> (Vec<u8>, &'static str) {
    decode_as(data, piece, false)
}

/// The same where we are the server, and a client speaks.
pub(crate) fn decode_client(data: &[u8], piece: usize) -> (Vec<u8>, &'static str) {
    decode_as(data, piece, true)
}

fn decode_as(data: &[u8], piece: usize, is_server: bool) -> (Vec<u8>, &'static str) {
    let Some((edition, mut rest)) = data.split_first() else { return (Vec::new(), "") };
    let edition = if edition & 1 == 0 { Edition::Tls13 } else { Edition::Tls12 };
    let Ok((mut records, mut peer)) = with_role(edition, u64::MAX, is_server) else { return (Vec::new(), "") };
    let mut wire = Vec::new();
    while let Some((&[kind, length], after)) = rest.split_first_chunk() {
        let Some((text, after)) = after.split_at_checked(usize::from(length)) else { break };
        if peer.seal(kind, text, &mut wire).is_err() {
            break;
        }
        rest = after;
    }
    wire.extend_from_slice(rest);
    let mut said = Vec::new();
    let end = read(&mut records, &wire, piece.max(1), &mut said);
    (said, end)
}

/// Reads all of it.
pub(super) fn read(records: &mut Records, wire: &[u8], piece: usize, said: &mut Vec<u8>) -> &'static str {
    let (mut waiting, mut room) = (Vec::new(), [0; 100]);
    for piece in wire.chunks(piece) {
        waiting.extend_from_slice(piece);
        loop {
            let mut out = ReadBuf::new(&mut room);
            let used = match records.open(&mut waiting, &mut out) {
                Ok(Opened::Used(used)) => used,
                Ok(Opened::Held(used, text)) => {
                    said.extend_from_slice(waiting.get(text).unwrap_or_default());
                    used
                }
                Ok(Opened::Need(_)) => break,
                Ok(Opened::End) => return "end",
                Err(cause) => return cause.code(),
            };
            said.extend_from_slice(out.filled());
            waiting.drain(..used);
        }
    }
    if waiting.is_empty() && records.may_end() { "may end" } else { "cut" }
}
