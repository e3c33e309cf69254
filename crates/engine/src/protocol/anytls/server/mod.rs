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
    served::{CredentialId, HeadRead, Keyring, Opening, read_head, read_prompt_head},
};

/// The length of the hash that a connection begins with.
const HASH: usize = size_of::<wire::PasswordHash>();
/// The length of the padding's length.
const PADDING_LENGTH: usize = size_of::<u16>();
/// The longest padding, with its length.
const MAX_PADDING: usize = PADDING_LENGTH + u16::MAX as usize;

/// Reads the beginning of a connection. Nothing is answered to it.
///
/// # Errors
/// The connection failed, or ended before it said anything, or within the beginning of a client.
pub(crate) async fn accept(stream: BoxStream, keyring: &Keyring) -> io::Result<Opening> {
    let (credential, stream) = match read_prompt_head(stream, HASH, |bytes| take_hash(bytes, keyring)).await? {
        Ok(read) => read,
        Err(stranger) => return Ok(Opening::Stranger(stranger)),
    };
    // The padding of a known client may take its time.
    let padding = |bytes: &[u8]| Ok(padding_length(bytes).map(|length| ((), length)));
    let ((), stream) = read_head(stream, MAX_PADDING, padding).await?.map_err(|_| io::ErrorKind::UnexpectedEof)?;
    Ok(Opening::Session(Box::new(AnyTlsConnection::new(stream, credential))))
}

/// Judges the first bytes of a connection as early as they can be told from a client's.
fn take_hash(bytes: &[u8], keyring: &Keyring) -> HeadRead<CredentialId> {
    Ok(keyring.identify(bytes, HASH)?.map(|credential| (credential, HASH)))
}

/// The length of the padding behind the hash, and of its own length, in bytes; `None` while it is incomplete.
fn padding_length(bytes: &[u8]) -> Option<usize> {
    let length = PADDING_LENGTH + usize::from(u16::from_be_bytes(*bytes.first_chunk()?));
    (bytes.len() >= length).then_some(length)
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
