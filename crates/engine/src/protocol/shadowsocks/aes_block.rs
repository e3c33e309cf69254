//! Headers of one AES block each, in streams and datagrams of the 2022 edition (SIP022, SIP023).

use aws_lc_rs::cipher::{AES_128, AES_256, DecryptingKey, EncryptingKey, UnboundCipherKey};

use crate::Cause;

const UNSUPPORTED: Cause = Cause::Unsupported("AES");

/// What encrypts headers.
///
/// # Errors
/// [`Cause::Unsupported`] never happens: all keys have their algorithms' lengths.
pub(super) fn header_key(key: &[u8]) -> Result<EncryptingKey, Cause> {
    EncryptingKey::ecb(unbound(key)?).map_err(|_| UNSUPPORTED)
}

/// What decrypts headers.
///
/// # Errors
/// [`Cause::Unsupported`] never happens: all keys have their algorithms' lengths.
pub(super) fn header_opening_key(key: &[u8]) -> Result<DecryptingKey, Cause> {
    DecryptingKey::ecb(unbound(key)?).map_err(|_| UNSUPPORTED)
}

fn unbound(key: &[u8]) -> Result<UnboundCipherKey, Cause> {
    let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
    UnboundCipherKey::new(algorithm, key).map_err(|_| UNSUPPORTED)
}

/// Appends an encrypted block.
///
/// # Errors
/// [`Cause::Unsupported`] never happens: a block has the right length.
pub(super) fn put_block(key: &EncryptingKey, mut block: [u8; 16], wire: &mut Vec<u8>) -> Result<(), Cause> {
    key.encrypt(&mut block).map_err(|_| UNSUPPORTED)?;
    wire.extend_from_slice(&block);
    Ok(())
}
