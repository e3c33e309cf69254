//! The AEAD edition of 2017 (shadowsocks.org/doc/aead.html): a salt, then chunks; the first one begins with the target.
//!
//! ```text
//! request: | salt | chunk: address, payload | chunk: payload …      answer: | salt | chunk: payload …
//! ```
//! The session key is HKDF-SHA-1 of the password's key with the salt, info `ss-subkey`. The salt is as long as the key.
//!
//! Both directions use the same key. Somebody without the key could therefore send our own bytes back, and they would decrypt
//! as the server's. An answer with a salt of ours is refused for this reason; for packets, as long as the salt is remembered.

use std::collections::VecDeque;

use aws_lc_rs::hkdf::{HKDF_SHA1_FOR_LEGACY_USE_ONLY, KeyType, Salt};
use tokio::io::ReadBuf;

use super::wire::{Aead, Chunks, MAX_PAYLOAD, Sealer};
use crate::{
    Cause,
    io::codec_stream::{Codec, Opened},
};

/// The length of the output of HKDF, in bytes.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// The session key for a salt: the key of one direction.
///
/// # Errors
/// [`Cause::Unsupported`] never happens: HKDF makes 32 bytes without fail.
pub(super) fn session_key(key: &[u8], salt: &[u8]) -> Result<Vec<u8>, Cause> {
    let mut session = vec![0; key.len()];
    Salt::new(HKDF_SHA1_FOR_LEGACY_USE_ONLY, salt)
        .extract(key)
        .expand(&[b"ss-subkey"], Length(key.len()))
        .and_then(|okm| okm.fill(&mut session))
        .map_err(|_| Cause::Unsupported("HKDF-SHA-1"))?;
    Ok(session)
}

/// Appends one encrypted packet: | salt | encrypted address and payload |. Its key comes from its salt, and its nonce is 0.
///
/// # Errors
/// [`Cause::Unsupported`] never happens: a packet is short.
pub(super) fn seal_packet(
    cipher: Aead,
    key: &[u8],
    salt: &[u8],
    text: &[&[u8]],
    wire: &mut Vec<u8>,
) -> Result<(), Cause> {
    wire.extend_from_slice(salt);
    let from = wire.len();
    text.iter().for_each(|part| wire.extend_from_slice(part));
    Sealer::new(cipher, &session_key(key, salt)?)?.seal(wire, from)
}

/// Decrypts a packet in place; `None` when it was not encrypted with this key.
pub(super) fn open_packet<'a>(cipher: Aead, key: &[u8], packet: &'a mut [u8]) -> Option<&'a mut [u8]> {
    let (salt, sealed) = packet.split_at_mut_checked(cipher.key_length())?;
    Sealer::new(cipher, &session_key(key, salt).ok()?).ok()?.open(sealed)
}

/// The salts of the packets that we sent last.
#[derive(Default)]
pub(super) struct Salts(VecDeque<Box<[u8]>>);

impl Salts {
    /// How many salts are remembered. A packet that is sent back arrives soon, while its salt is among them.
    pub(super) const MOST: usize = 256;

    /// Remembers a salt.
    pub(super) fn note(&mut self, salt: &[u8]) {
        if self.0.len() >= Self::MOST {
            self.0.pop_front();
        }
        self.0.push_back(salt.into());
    }

    /// Whether a packet begins with one of these salts.
    pub(super) fn begin(&self, packet: &[u8]) -> bool {
        self.0.iter().any(|salt| packet.starts_with(salt))
    }
}

/// Encrypts and decrypts one stream.
pub(super) struct Aead2017Codec {
    cipher: Aead,
    key: Box<[u8]>,
    salt: Box<[u8]>,
    /// The salt and the address, until they are sent.
    opening: Option<(Vec<u8>, Vec<u8>)>,
    ours: Sealer,
    theirs: Option<Chunks>,
}

impl Aead2017Codec {
    /// A stream to the target whose address is given; `salt` is random and as long as the key.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] never happens: all keys have their algorithms' lengths.
    pub(super) fn new(cipher: Aead, key: &[u8], address: Vec<u8>, salt: Vec<u8>) -> Result<Self, Cause> {
        let ours = Sealer::new(cipher, &session_key(key, &salt)?)?;
        let (key, own) = (key.into(), salt.as_slice().into());
        Ok(Self { cipher, key, salt: own, opening: Some((salt, address)), ours, theirs: None })
    }
}

impl Codec for Aead2017Codec {
    fn seal(&mut self, payload: &[u8], wire: &mut Vec<u8>) -> Result<usize, Cause> {
        let opening = self.opening.take();
        let address = match &opening {
            Some((salt, address)) => {
                wire.extend_from_slice(salt);
                &address[..]
            }
            None => &[],
        };
        let taken = payload.len().min(MAX_PAYLOAD - address.len());
        let payload = payload.get(..taken).unwrap_or_default();
        if opening.is_some() || taken > 0 {
            self.ours.seal_chunk(&[address, payload], wire)?;
        }
        Ok(taken)
    }

    fn finish(&mut self, wire: &mut Vec<u8>) -> Result<(), Cause> {
        self.seal(&[], wire).map(|_| ())
    }

    fn open(&mut self, wire: &mut [u8], out: &mut ReadBuf<'_>) -> Result<Opened, Cause> {
        if let Some(chunks) = &mut self.theirs {
            return chunks.open(wire, out);
        }
        let length = self.cipher.key_length();
        let Some(salt) = wire.get(..length) else { return Ok(Opened::Need(length)) };
        if *salt == *self.salt {
            return Err(Cause::Protocol("the server sends our own bytes back"));
        }
        let sealer = Sealer::new(self.cipher, &session_key(&self.key, salt)?)?;
        self.theirs = Some(Chunks::new(sealer, MAX_PAYLOAD, None, false));
        Ok(Opened::Used(length))
    }

    fn may_end(&self) -> bool {
        self.theirs.as_ref().is_some_and(Chunks::may_end)
    }
}
