//! The server's side of AnyTLS: one connection of a known client, and the streams that it opens on it.

mod connection;
mod shared;
mod stream;
mod target;
#[cfg(test)]
mod tests;

use std::io;

use self::connection::AnyTlsConnection;
use super::wire;
#[cfg(any(test, feature = "fuzzing"))]
use crate::served::{InboundKey, KeyringKind, Played, play};
use crate::{
    BoxStream,
    served::{CredentialId, Head, Keyring, Opening, StrangerReason, read_head},
};

/// The length of what stands before the padding: the hash, and the padding's length.
const BEFORE_PADDING: usize = size_of::<wire::PasswordHash>() + 2;
/// The longest beginning of a connection.
const MAX_HEAD: usize = BEFORE_PADDING + u16::MAX as usize;

/// Reads the beginning of a connection. Nothing is answered to it.
///
/// # Errors
/// The connection failed, or ended before it said anything.
pub(crate) async fn accept(stream: BoxStream, keyring: &Keyring) -> io::Result<Opening> {
    Ok(match read_head(stream, MAX_HEAD, |bytes| take_hello(bytes, keyring)).await? {
        Ok((credential, stream)) => Opening::Session(Box::new(AnyTlsConnection::new(stream, credential))),
        Err(stranger) => Opening::Stranger(stranger),
    })
}

/// Judges the bytes of a connection as early as they can be told from a client's: a site would already be answering.
fn take_hello(bytes: &[u8], keyring: &Keyring) -> Head<CredentialId> {
    let (shown, rest) = bytes.split_at(bytes.len().min(size_of::<wire::PasswordHash>()));
    if !keyring.may_begin_with(shown) {
        return Head::Stranger(StrangerReason::Credential);
    }
    if shown.len() < size_of::<wire::PasswordHash>() {
        return Head::Incomplete;
    }
    let Some(credential) = keyring.find(shown) else { return Head::Stranger(StrangerReason::Credential) };
    let Some(padding) = rest.first_chunk() else { return Head::Incomplete };
    let length = BEFORE_PADDING + usize::from(u16::from_be_bytes(*padding));
    if bytes.len() < length { Head::Incomplete } else { Head::Whole { request: credential, length } }
}

/// Reads what a client says, in pieces of this size; for the fuzz targets. Unless the first byte is odd, it has shown its password.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn decode(data: &[u8], piece: usize) -> Played {
    let key = InboundKey::new(*b"password");
    let keyring = Keyring::new(KeyringKind::AnyTls, [(CredentialId(0), key)]);
    let shown = if data.first().is_some_and(|first| first & 1 == 1) {
        Vec::new()
    } else {
        wire::hello(&wire::key("password"), 3)
    };
    play(&[&shown, data.get(1..).unwrap_or_default()].concat(), piece, |stream| accept(stream, &keyring))
}
