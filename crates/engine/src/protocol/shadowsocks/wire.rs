//! What all AEAD editions of Shadowsocks share: methods, keys, and chunks.
//!
//! ```text
//! | sealed length | sealed payload |      each with a 16-byte tag; the nonce counts up, little endian, by one per seal
//! |    2 + 16     |     n + 16     |
//! ```

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Algorithm, CHACHA20_POLY1305};
use md5::{Digest, Md5};
use tokio::io::ReadBuf;

use crate::{
    Cause,
    io::{
        aead::{AeadKey, NonceBytes, TAG},
        codec_stream::Opened,
    },
};

/// The most payload that we put into one chunk, in bytes. The 2017 edition allows no more.
pub(super) const MAX_PAYLOAD: usize = 0x3fff;
/// The sealed length of a chunk, in bytes.
pub(super) const SEALED_LENGTH: usize = 2 + TAG;

/// An AEAD cipher of Shadowsocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aead {
    Aes128Gcm,
    Aes192Gcm,
    Aes256Gcm,
    Chacha20Poly1305,
}

impl Aead {
    /// The length of key and salt, in bytes.
    pub(super) const fn key_length(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes192Gcm => 24,
            Self::Aes256Gcm | Self::Chacha20Poly1305 => 32,
        }
    }

    /// The cipher itself.
    pub(super) fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::Aes128Gcm => &AES_128_GCM,
            Self::Aes192Gcm => &AES_192_GCM,
            Self::Aes256Gcm => &AES_256_GCM,
            Self::Chacha20Poly1305 => &CHACHA20_POLY1305,
        }
    }
}

/// A method by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// No encryption.
    None,
    /// The 2017 edition (SIP004, SIP007).
    Aead(Aead),
    /// The 2022 edition (SIP022).
    Aead2022(Aead),
}

impl Method {
    /// Reads a standard lower-case name; `None` for stream ciphers and unknown ones.
    pub(super) fn new(name: &str) -> Option<Self> {
        Some(match name {
            "none" | "plain" => Self::None,
            "aes-128-gcm" => Self::Aead(Aead::Aes128Gcm),
            "aes-192-gcm" => Self::Aead(Aead::Aes192Gcm),
            "aes-256-gcm" => Self::Aead(Aead::Aes256Gcm),
            "chacha20-ietf-poly1305" | "chacha20-poly1305" => Self::Aead(Aead::Chacha20Poly1305),
            "2022-blake3-aes-128-gcm" => Self::Aead2022(Aead::Aes128Gcm),
            "2022-blake3-aes-256-gcm" => Self::Aead2022(Aead::Aes256Gcm),
            "2022-blake3-chacha20-poly1305" => Self::Aead2022(Aead::Chacha20Poly1305),
            _ => return None,
        })
    }
}

/// The key of a password: MD5 of the password, then of the last digest and the password, until it is long enough
/// (OpenSSL's `EVP_BytesToKey` with one round and no salt).
pub(super) fn password_key(password: impl AsRef<[u8]>, length: usize) -> Vec<u8> {
    let mut key = Vec::with_capacity(length.next_multiple_of(16));
    while key.len() < length {
        let last = key.len().saturating_sub(16);
        let digest = Md5::new().chain_update(key.get(last..).unwrap_or_default()).chain_update(&password).finalize();
        key.extend_from_slice(&digest);
    }
    key.truncate(length);
    key
}

/// A session key and the counter of its nonces, for one direction of one stream.
pub(super) struct Sealer {
    key: AeadKey,
    count: u128,
}

impl Sealer {
    /// A key whose nonces count from 0.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] never happens: callers derive keys of the right length.
    pub(super) fn new(cipher: Aead, key: &[u8]) -> Result<Self, Cause> {
        Ok(Self { key: AeadKey::new(cipher.algorithm(), key)?, count: 0 })
    }

    fn nonce(&mut self) -> NonceBytes {
        let mut nonce = NonceBytes::default();
        nonce.copy_from_slice(&self.count.to_le_bytes()[..12]);
        self.count = self.count.wrapping_add(1);
        nonce
    }

    /// Encrypts `wire[from..]` in place, and appends the tag.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] never happens: a chunk is short.
    pub(super) fn seal(&mut self, wire: &mut Vec<u8>, from: usize) -> Result<(), Cause> {
        let nonce = self.nonce();
        self.key.seal(nonce, &[], wire, from)
    }

    /// Appends one chunk that holds the parts one after the other. They are at most 65535 bytes together.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] never happens: a chunk is short.
    pub(super) fn seal_chunk(&mut self, parts: &[&[u8]], wire: &mut Vec<u8>) -> Result<(), Cause> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        wire.reserve(SEALED_LENGTH + length + TAG);
        let from = wire.len();
        wire.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        self.seal(wire, from)?;
        let from = wire.len();
        parts.iter().for_each(|part| wire.extend_from_slice(part));
        self.seal(wire, from)
    }

    /// Decrypts text and tag in place.
    pub(super) fn open<'a>(&mut self, sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let nonce = self.nonce();
        self.key.open(nonce, &[], sealed)
    }

    /// Decrypts a payload that `sealed` holds completely: into `out` when there is room for it, else in place.
    ///
    /// # Errors
    /// [`Cause::Protocol`] when it was changed on the way.
    fn open_payload(&mut self, sealed: &mut [u8], out: &mut ReadBuf<'_>) -> Result<Opened, Cause> {
        let nonce = self.nonce();
        self.key.open_chunk(nonce, &[], sealed, out).ok_or(CHANGED)
    }
}

const CHANGED: Cause = Cause::Protocol("a chunk does not open");

/// Decrypts the chunks of one direction.
pub(super) struct Chunks {
    sealer: Sealer,
    due: Option<usize>,
    proven: bool,
    limit: usize,
}

impl Chunks {
    /// Decrypts chunks of at most `limit` bytes. When `due` is given, the next bytes are a payload of that length.
    /// `proven` says that the other side has already shown that it knows the key.
    pub(super) const fn new(sealer: Sealer, limit: usize, due: Option<usize>, proven: bool) -> Self {
        Self { sealer, due, proven, limit }
    }

    /// Whether the connection may end here: between two chunks, and not before the first.
    pub(super) const fn may_end(&self) -> bool {
        self.proven && self.due.is_none()
    }

    /// Decrypts one length or one payload.
    ///
    /// # Errors
    /// [`Cause::Authentication`] when the first chunk does not open, [`Cause::Protocol`] when a later one does not or
    /// is too long.
    pub(super) fn open(&mut self, wire: &mut [u8], out: &mut ReadBuf<'_>) -> Result<Opened, Cause> {
        if let Some(length) = self.due {
            let Some(sealed) = wire.get_mut(..length + TAG) else { return Ok(Opened::Need(length + TAG)) };
            self.due = None;
            return self.sealer.open_payload(sealed, out);
        }
        let Some(sealed) = wire.get_mut(..SEALED_LENGTH) else { return Ok(Opened::Need(SEALED_LENGTH)) };
        let unopened = if self.proven { CHANGED } else { Cause::Authentication };
        let length = self.sealer.open(sealed).ok_or(unopened)?;
        let length = length.first_chunk().map_or(0, |bytes| usize::from(u16::from_be_bytes(*bytes)));
        if length > self.limit {
            return Err(Cause::Protocol("a chunk is longer than allowed"));
        }
        self.proven = true;
        self.due = Some(length);
        Ok(Opened::Used(SEALED_LENGTH))
    }
}
