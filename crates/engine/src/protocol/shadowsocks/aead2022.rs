//! The AEAD edition of 2022 (SIP022) with identity headers (SIP023).
//!
//! ```text
//! request: | salt | identity … | sealed: 0, unix seconds, length | sealed: address, padding, payload | chunks …
//!          |  k   |   16 each  |         1 + 8 + 2 + 16          |                n + 16               |
//! answer:  | salt | sealed: 1, unix seconds, the request's salt, length | sealed payload | chunks …
//!          |  k   |              1 + 8 + k + 2 + 16                     |     n + 16     |
//! ```
//! The session key is BLAKE3's key derivation over key and salt. An identity header is one AES block: it names the
//! next key of the chain by its BLAKE3 hash and is encrypted for the one before.

use tokio::io::ReadBuf;

use super::{
    aes_block::{header_key, put_block},
    wire::{Aead, Chunks, MAX_PAYLOAD, Sealer},
};
use crate::{
    Cause,
    io::{
        aead::TAG,
        codec_stream::{Codec, Opened},
    },
};

pub(super) const SESSION_CONTEXT: &str = "shadowsocks 2022 session subkey";
pub(super) const IDENTITY_CONTEXT: &str = "shadowsocks 2022 identity subkey";
pub(super) const REQUEST: u8 = 0;
pub(super) const ANSWER: u8 = 1;
/// How far our clock and the server's may differ, in seconds.
pub(super) const MAX_SKEW: u64 = 30;
/// The longest padding of a request without payload, in bytes.
pub(super) const MAX_PADDING: u16 = 900;

/// The keys of one user. The keys of the servers on the way come first, and the user's own key comes last.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) cipher: Aead,
    pub(super) chain: Vec<Box<[u8]>>,
    pub(super) own: Box<[u8]>,
}

/// Why a password gives no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyError {
    /// Not base64.
    Encoding,
    /// Not the length that the cipher needs.
    Length,
    /// There are several keys, but the cipher has no identity headers.
    Chain,
}

impl Keys {
    /// Reads base64 keys joined by colons.
    ///
    /// # Errors
    /// [`KeyError`].
    pub(super) fn new(cipher: Aead, password: &str) -> Result<Self, KeyError> {
        let mut chain = Vec::new();
        for text in password.split(':') {
            let key = decode(text).ok_or(KeyError::Encoding)?;
            if key.len() != cipher.key_length() {
                return Err(KeyError::Length);
            }
            chain.push(key.into_boxed_slice());
        }
        let own = chain.pop().ok_or(KeyError::Length)?;
        if !chain.is_empty() && cipher == Aead::Chacha20Poly1305 {
            return Err(KeyError::Chain);
        }
        Ok(Self { cipher, chain, own })
    }

    /// The length of keys and salts, in bytes.
    pub(super) const fn length(&self) -> usize {
        self.cipher.key_length()
    }

    pub(super) fn sealer(&self, salt: &[u8]) -> Result<Sealer, Cause> {
        let key = derive(SESSION_CONTEXT, &self.own, salt);
        Sealer::new(self.cipher, key.get(..self.length()).unwrap_or_default())
    }

    /// Appends the identity headers for a request with this salt.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] never happens: all keys have their algorithms' lengths.
    pub(super) fn put_identities(&self, salt: &[u8], wire: &mut Vec<u8>) -> Result<(), Cause> {
        for (key, name) in self.identities() {
            let key = derive(IDENTITY_CONTEXT, key, salt);
            put_block(&header_key(key.get(..self.length()).unwrap_or_default())?, name, wire)?;
        }
        Ok(())
    }

    /// Each key of the chain, and the name of the key after it, which an identity header under that key holds.
    pub(super) fn identities(&self) -> impl Iterator<Item = (&[u8], KeyName)> {
        let next = self.chain.iter().skip(1).chain([&self.own]);
        self.chain.iter().zip(next).map(|(key, next)| (&**key, key_name(next)))
    }
}

/// A key's name in identity headers.
pub(super) type KeyName = [u8; 16];

/// The name of a key: the first bytes of its BLAKE3 hash (SIP023).
pub(super) fn key_name(key: &[u8]) -> KeyName {
    blake3::hash(key).as_bytes().first_chunk().copied().unwrap_or_default()
}

/// Decodes base64, with or without padding and in both alphabets, since keys are published in all these forms.
fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::{
        Engine as _, alphabet,
        engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    };
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let standard = GeneralPurpose::new(&alphabet::STANDARD, CONFIG).decode(text);
    standard.or_else(|_| GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG).decode(text)).ok()
}

pub(super) fn derive(context: &str, key: &[u8], salt: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new_derive_key(context).update(key).update(salt).finalize().as_bytes()
}

/// Encrypts and decrypts one stream.
pub(super) struct Aead2022Codec {
    keys: Keys,
    salt: Vec<u8>,
    /// The address and the padding, until they are sent.
    opening: Option<(Vec<u8>, Vec<u8>)>,
    ours: Sealer,
    /// The sealer of the answer between its two headers.
    theirs: Option<Chunks>,
    clock: fn() -> u64,
}

impl Aead2022Codec {
    /// A stream to the target whose address is given. `salt` is random and as long as the keys; `padding`, at least
    /// one byte of anything, is sent when no payload goes with the header. `clock` tells Unix seconds.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] never happens: all keys have their algorithms' lengths.
    pub(super) fn new(
        keys: Keys,
        address: Vec<u8>,
        salt: Vec<u8>,
        padding: Vec<u8>,
        clock: fn() -> u64,
    ) -> Result<Self, Cause> {
        let ours = keys.sealer(&salt)?;
        Ok(Self { keys, salt, opening: Some((address, padding)), ours, theirs: None, clock })
    }

    /// Appends everything up to the end of the first payload: salt, identity headers, both headers.
    fn seal_opening(
        &mut self,
        address: &[u8],
        padding: &[u8],
        payload: &[u8],
        wire: &mut Vec<u8>,
    ) -> Result<usize, Cause> {
        let padding = if payload.is_empty() { padding } else { &[] };
        let taken = payload.len().min(MAX_PAYLOAD - address.len() - 2);
        let length = address.len() + 2 + padding.len() + taken;
        wire.extend_from_slice(&self.salt);
        self.keys.put_identities(&self.salt, wire)?;
        let from = wire.len();
        wire.push(REQUEST);
        wire.extend_from_slice(&(self.clock)().to_be_bytes());
        wire.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        self.ours.seal(wire, from)?;
        let from = wire.len();
        wire.extend_from_slice(address);
        wire.extend_from_slice(&u16::try_from(padding.len()).unwrap_or(u16::MAX).to_be_bytes());
        wire.extend_from_slice(padding);
        wire.extend_from_slice(payload.get(..taken).unwrap_or_default());
        self.ours.seal(wire, from)?;
        Ok(taken)
    }

    /// Decrypts the header of the answer: the salt, then the fixed part. Returns the reader of the chunks that follow.
    fn open_header(&self, wire: &mut [u8]) -> Result<Chunks, Cause> {
        let (salt, sealed) = wire.split_at_mut_checked(self.keys.length()).ok_or(Cause::Closed)?;
        let mut sealer = self.keys.sealer(salt)?;
        let header = sealer.open(sealed).ok_or(Cause::Authentication)?;
        let (&kind, rest) = header.split_first().ok_or(Cause::Closed)?;
        let (time, rest) = rest.split_first_chunk().ok_or(Cause::Closed)?;
        let (salt, length) = rest.split_at_checked(self.keys.length()).ok_or(Cause::Closed)?;
        if kind != ANSWER {
            return Err(Cause::Protocol("the answer is not of the server's kind"));
        }
        if u64::from_be_bytes(*time).abs_diff((self.clock)()) > MAX_SKEW {
            return Err(Cause::Protocol("the server's clock differs by more than 30 seconds"));
        }
        if salt != self.salt {
            return Err(Cause::Authentication);
        }
        let length = length.first_chunk().map_or(0, |bytes| usize::from(u16::from_be_bytes(*bytes)));
        Ok(Chunks::new(sealer, usize::from(u16::MAX), Some(length), true))
    }
}

impl Codec for Aead2022Codec {
    fn seal(&mut self, payload: &[u8], wire: &mut Vec<u8>) -> Result<usize, Cause> {
        if let Some((address, padding)) = self.opening.take() {
            return self.seal_opening(&address, &padding, payload, wire);
        }
        let taken = payload.len().min(MAX_PAYLOAD);
        if taken > 0 {
            self.ours.seal_chunk(&[payload.get(..taken).unwrap_or_default()], wire)?;
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
        let length = self.keys.length() + 1 + 8 + self.keys.length() + 2 + TAG;
        let Some(header) = wire.get_mut(..length) else { return Ok(Opened::Need(length)) };
        self.theirs = Some(self.open_header(header)?);
        Ok(Opened::Used(length))
    }

    fn may_end(&self) -> bool {
        self.theirs.as_ref().is_some_and(Chunks::may_end)
    }
}
