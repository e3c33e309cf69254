//! An AEAD key that encrypts in place, and decrypts in place or into the reader's buffer, for protocols that manage their own
//! nonces.

use aws_lc_rs::aead::{Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use tokio::io::ReadBuf;

use super::codec_stream::Opened;
use crate::Cause;

/// The length of the tag of every AEAD used here.
pub(crate) const TAG: usize = 16;

/// A 96-bit nonce.
pub(crate) type NonceBytes = [u8; 12];

/// A key with its algorithm.
#[derive(Debug)]
pub(crate) struct AeadKey(LessSafeKey);

impl AeadKey {
    /// Makes a key.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] when the key has not the length of the algorithm; callers derive keys of the right length.
    pub(crate) fn new(algorithm: &'static Algorithm, key: &[u8]) -> Result<Self, Cause> {
        let key = UnboundKey::new(algorithm, key).map_err(|_| Cause::Unsupported("an AEAD key of this length"))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Encrypts `bytes[from..]` in place and appends the tag.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] when the text is too long for the algorithm (64 GiB).
    pub(crate) fn seal(&self, nonce: NonceBytes, aad: &[u8], bytes: &mut Vec<u8>, from: usize) -> Result<(), Cause> {
        let text = bytes.get_mut(from..).unwrap_or_default();
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), text)
            .map_err(|_| Cause::Unsupported("a text of this length"))?;
        bytes.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Decrypts text and tag in place and returns the text; `None` when the tag does not match.
    pub(crate) fn open<'a>(&self, nonce: NonceBytes, aad: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        self.0.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), sealed).ok()
    }

    /// Decrypts text and tag into `plain`, which is [`TAG`] bytes shorter than `sealed`. Returns false when the tag does not match.
    pub(crate) fn open_into(&self, nonce: NonceBytes, aad: &[u8], sealed: &[u8], plain: &mut [u8]) -> bool {
        let Some((text, tag)) = sealed.split_at_checked(plain.len()) else { return false };
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0.open_separate_gather(nonce, Aad::from(aad), text, tag, plain).is_ok()
    }

    /// Decrypts a chunk that consists of text and tag: into `out` when the whole text fits, else in place. `None` when the tag
    /// does not match.
    pub(crate) fn open_chunk(
        &self,
        nonce: NonceBytes,
        aad: &[u8],
        sealed: &mut [u8],
        out: &mut ReadBuf<'_>,
    ) -> Option<Opened> {
        let (used, length) = (sealed.len(), sealed.len().saturating_sub(TAG));
        if length > out.remaining() {
            self.open(nonce, aad, sealed)?;
            return Some(Opened::Held(used, 0..length));
        }
        if !self.open_into(nonce, aad, sealed, out.initialize_unfilled_to(length)) {
            return None;
        }
        out.advance(length);
        Some(Opened::Used(used))
    }
}
