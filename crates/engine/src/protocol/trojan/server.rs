//! The server's side of Trojan: reads a client's request, and keeps every byte of whoever is no client.

use std::io;

use super::{
    datagram::Codec,
    wire::{self, TrojanRequest},
};
#[cfg(any(test, feature = "fuzzing"))]
use crate::served::{CredentialId, InboundKey, KeyringKind, Played, play};
use crate::{
    BoxStream,
    protocol::packets,
    served::{InboundRequest, Keyring, Opening, StreamRequest, read_head},
};

/// The longest request: the hash, the command and a name of 253 bytes.
const MAX_HEAD: usize = 512;

/// Reads a request. Trojan answers nothing by itself: the first bytes of the target are the answer.
///
/// # Errors
/// The connection failed, or ended before it said anything.
pub(crate) async fn accept(stream: BoxStream, keyring: &Keyring) -> io::Result<Opening> {
    let (request, stream) = match read_head(stream, MAX_HEAD, |bytes| wire::take_request(bytes, keyring)).await? {
        Ok(read) => read,
        Err(stranger) => return Ok(Opening::Stranger(stranger)),
    };
    Ok(match request {
        TrojanRequest::Connect { credential, target } => {
            Opening::Request(InboundRequest::Stream(StreamRequest { credential, target, stream: Box::new(stream) }))
        }
        TrojanRequest::Associate { credential } => {
            Opening::Request(packets::request(credential, stream, Codec::answering()))
        }
    })
}

/// Reads what a client says, in pieces of this size; for the fuzz targets. Unless the first byte is odd, it has shown its password.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn decode(data: &[u8], piece: usize) -> Played {
    let key = InboundKey::new(*b"password");
    let keyring = Keyring::new(KeyringKind::Trojan, [(CredentialId(0), key)]);
    let shown =
        if data.first().is_some_and(|first| first & 1 == 1) { Vec::new() } else { wire::key("password").to_vec() };
    play(&[&shown, data.get(1..).unwrap_or_default()].concat(), piece, |stream| accept(stream, &keyring))
}
