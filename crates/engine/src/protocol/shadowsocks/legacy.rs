//! The old stream ciphers (shadowsocks.org/doc/stream.html). They are broken, but many published links still use them.
//!
//! ```text
//! request: | IV | encrypted: address, payload …      answer: | IV | encrypted: payload …
//! ```
//! Nothing is authenticated, so a wrong password cannot be told from random bytes.

use shadowsocks_crypto::{CipherCategory, CipherKind, v1::Cipher};
use tokio::io::ReadBuf;

use super::wire::password_key;
use crate::{
    Cause,
    io::codec_stream::{Codec, Opened},
};

/// The longest piece that is encrypted at once, in bytes.
const PIECE: usize = 16 * 1024;

/// A stream cipher and its key.
#[derive(Clone)]
pub(super) struct LegacyKey {
    kind: CipherKind,
    key: Box<[u8]>,
}

impl LegacyKey {
    /// Reads a standard lower-case name; `None` for unknown ones.
    pub(super) fn new(method: &str, password: &str) -> Option<Self> {
        // The method `table`, which permutes bytes by the password, is left out: lists do not publish it any more.
        let known = ["rc4-md5", "chacha20-ietf"].contains(&method)
            || ["aes-", "camellia-"].iter().any(|family| method.starts_with(family))
                && ["-ctr", "-cfb", "-ofb"].iter().any(|mode| method.ends_with(mode));
        let kind: CipherKind = known.then_some(method)?.parse().ok()?;
        (kind.category() == CipherCategory::Stream)
            .then(|| Self { kind, key: password_key(password, kind.key_len()).into() })
    }

    /// The length of the IV, in bytes.
    pub(super) fn iv_length(&self) -> usize {
        self.kind.iv_len()
    }

    fn cipher(&self, iv: &[u8]) -> Cipher {
        Cipher::new(self.kind, &self.key, iv)
    }
}

/// Appends one encrypted packet: | IV | address, payload |.
pub(super) fn seal_packet(key: &LegacyKey, iv: &[u8], text: &[&[u8]], wire: &mut Vec<u8>) {
    wire.extend_from_slice(iv);
    let from = wire.len();
    text.iter().for_each(|part| wire.extend_from_slice(part));
    key.cipher(iv).encrypt_packet(wire.get_mut(from..).unwrap_or_default());
}

/// Decrypts a packet in place; `None` when it is too short.
pub(super) fn open_packet<'a>(key: &LegacyKey, packet: &'a mut [u8]) -> Option<&'a mut [u8]> {
    let (iv, text) = packet.split_at_mut_checked(key.iv_length())?;
    key.cipher(iv).decrypt_packet(text).then_some(text)
}

/// Encrypts and decrypts one stream.
pub(super) struct LegacyCodec {
    key: LegacyKey,
    /// The IV and the address, until they are sent.
    opening: Option<(Vec<u8>, Vec<u8>)>,
    ours: Cipher,
    theirs: Option<Cipher>,
}

impl LegacyCodec {
    /// A stream to the target whose address is given; `iv` is random and [`LegacyKey::iv_length`] long.
    pub(super) fn new(key: LegacyKey, address: Vec<u8>, iv: Vec<u8>) -> Self {
        Self { ours: key.cipher(&iv), key, opening: Some((iv, address)), theirs: None }
    }
}

impl Codec for LegacyCodec {
    fn seal(&mut self, payload: &[u8], wire: &mut Vec<u8>) -> Result<usize, Cause> {
        let mut from = wire.len();
        if let Some((iv, address)) = self.opening.take() {
            wire.extend_from_slice(&iv);
            from += iv.len();
            wire.extend_from_slice(&address);
        }
        let taken = payload.len().min(PIECE);
        wire.extend_from_slice(payload.get(..taken).unwrap_or_default());
        self.ours.encrypt_packet(wire.get_mut(from..).unwrap_or_default());
        Ok(taken)
    }

    fn finish(&mut self, wire: &mut Vec<u8>) -> Result<(), Cause> {
        self.seal(&[], wire).map(|_| ())
    }

    fn open(&mut self, wire: &mut [u8], out: &mut ReadBuf<'_>) -> Result<Opened, Cause> {
        let Some(cipher) = &mut self.theirs else {
            let length = self.key.iv_length();
            let Some(iv) = wire.get(..length) else { return Ok(Opened::Need(length)) };
            self.theirs = Some(self.key.cipher(iv));
            return Ok(Opened::Used(length));
        };
        let length = wire.len().min(out.remaining());
        let Some(text) = wire.get_mut(..length).filter(|text| !text.is_empty()) else { return Ok(Opened::Need(1)) };
        if !cipher.decrypt_packet(text) {
            return Err(Cause::Protocol("the cipher refuses"));
        }
        out.put_slice(text);
        Ok(Opened::Used(length))
    }

    fn may_end(&self) -> bool {
        self.theirs.is_some()
    }
}
