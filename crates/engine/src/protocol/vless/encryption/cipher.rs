//! The keys of VLESS encryption: an AEAD that counts its nonces, and the stream that makes bytes look random.

use aes::Aes256;
use aws_lc_rs::aead::AES_256_GCM;
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};

use super::kdf;
use crate::{
    Cause,
    protocol::aead::{AeadKey, NonceBytes},
};

/// The nonce of the one message that is outside the count.
pub(super) const LAST_NONCE: NonceBytes = [0xff; 12];

/// AES-256-GCM; a server finds out which of its two AEADs we use.
pub(super) struct Counted {
    key: AeadKey,
    count: u128,
}

impl Counted {
    /// A key for a context; nonces count from 1.
    ///
    /// # Errors
    /// None: derived keys have the right length.
    pub(super) fn new(context: &[u8], material: &[u8]) -> Result<Self, Cause> {
        Ok(Self { key: AeadKey::new(&AES_256_GCM, &kdf::derive(context, material))?, count: 0 })
    }

    fn nonce(&mut self) -> NonceBytes {
        self.count += 1;
        let mut nonce = NonceBytes::default();
        nonce.copy_from_slice(&self.count.to_be_bytes()[4..]);
        nonce
    }

    /// Seals `wire[from..]` in place.
    ///
    /// # Errors
    /// None: messages are short.
    pub(super) fn seal(&mut self, aad: &[u8], wire: &mut Vec<u8>, from: usize) -> Result<(), Cause> {
        let nonce = self.nonce();
        self.key.seal(nonce, aad, wire, from)
    }

    /// Opens text and tag in place.
    pub(super) fn open<'a>(&mut self, aad: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let nonce = self.nonce();
        self.key.open(nonce, aad, sealed)
    }

    /// Opens the message outside the count.
    pub(super) fn open_last<'a>(&self, sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        self.key.open(LAST_NONCE, &[], sealed)
    }

    /// Seals the message outside the count.
    #[cfg(test)]
    pub(super) fn seal_last(&self, wire: &mut Vec<u8>, from: usize) -> Result<(), Cause> {
        self.key.seal(LAST_NONCE, &[], wire, from)
    }
}

/// AES-256 in counter mode.
pub(super) struct Mask(Ctr128BE<Aes256>);

impl Mask {
    /// The mask of a key.
    pub(super) fn new(material: &[u8], iv: &[u8; 16]) -> Self {
        Self(Ctr128BE::new(&kdf::derive(b"VLESS", material).into(), iv.into()))
    }

    /// Puts it on, or takes it off.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        self.0.apply_keystream(bytes);
    }
}
