//! The body of VMess: chunks, each a masked length, the sealed payload and random padding.
//!
//! ```text
//! | length | payload | tag | padding |      length = payload + tag + padding, XOR the mask
//! |   2    |    n    | 16  |  0..63  |      an empty payload ends the direction
//! ```
//! Mask and padding come from SHAKE-128 of the body's nonce, two bytes at a time: the padding's length first (modulo
//! 64), then the mask. A chunk's AEAD nonce is its 16-bit number followed by bytes 2..12 of the body's nonce.
//! Without encryption (`none`) there is no tag and no padding; `zero` has no chunks at all.
//!
//! The number has 16 bits. After 65,536 chunks the nonces would repeat under the same key, which breaks AES-GCM and
//! ChaCha20-Poly1305. The protocol has no way to change the key, and other implementations go on with repeated nonces. Here the
//! stream ends instead. Inside TLS it goes on, because only the server sees the chunks there, and it has the key anyway.

use std::ops::Range;

use aws_lc_rs::aead::{AES_128_GCM, CHACHA20_POLY1305};
use md5::{Digest, Md5};
use rand::{Rng, rngs::StdRng};
use shake::{ExtendableOutput, Shake128, Shake128Reader, Update, XofReader};
use tokio::io::ReadBuf;

use crate::{
    Cause,
    io::{
        aead::{AeadKey, NonceBytes, TAG},
        codec_stream::Opened,
    },
};

/// The modulus of the padding's length.
const MAX_PADDING: usize = 64;
/// The most payload in one chunk: with tag and padding it stays within 2^14 bytes, which every peer accepts.
pub(super) const MAX_PAYLOAD: usize = (1 << 14) - TAG - MAX_PADDING;

/// How many chunks can have a nonce of their own.
const MOST_CHUNKS: u32 = 1 << 16;

/// The cause with which a stream ends when its nonces are used up.
const USED_UP: Cause = Cause::Unsupported("more data in one VMess stream without TLS");

/// The cipher and the framing of the bodies in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyKind {
    Aes128Gcm,
    Chacha20Poly1305,
    /// Chunks with masked lengths, not encrypted.
    Plain,
    /// No chunks, not encrypted.
    Raw,
}

impl BodyKind {
    /// The option bits: 1 chunks, 4 masked lengths, 8 padding.
    pub(super) const fn options(self) -> u8 {
        match self {
            Self::Aes128Gcm | Self::Chacha20Poly1305 => 1 | 4 | 8,
            Self::Plain => 1 | 4,
            Self::Raw => 0,
        }
    }

    /// The number of the cipher; `Raw` is `none` without the option for chunks.
    pub(super) const fn cipher_code(self) -> u8 {
        match self {
            Self::Aes128Gcm => 3,
            Self::Chacha20Poly1305 => 4,
            Self::Plain | Self::Raw => 5,
        }
    }

    const fn padded(self) -> bool {
        self.options() & 8 != 0
    }

    fn key(self, key: &[u8; 16]) -> Result<Option<AeadKey>, Cause> {
        match self {
            Self::Aes128Gcm => AeadKey::new(&AES_128_GCM, key).map(Some),
            Self::Chacha20Poly1305 => AeadKey::new(&CHACHA20_POLY1305, &chacha_key(key)).map(Some),
            Self::Plain | Self::Raw => Ok(None),
        }
    }
}

/// 16 bytes stretched to 32: the MD5 of them and the MD5 of that.
fn chacha_key(key: &[u8; 16]) -> [u8; 32] {
    let first = Md5::digest(key);
    let second = Md5::digest(first);
    let mut long = [0; 32];
    long[..16].copy_from_slice(&first);
    long[16..].copy_from_slice(&second);
    long
}

/// The state of one direction.
pub(super) struct Body {
    kind: BodyKind,
    key: Option<AeadKey>,
    nonce: [u8; 16],
    number: u32,
    /// Whether nonces may repeat.
    wraps: bool,
    shake: Shake128Reader,
    /// The length of the next chunk, and that of the padding in it.
    pending: Option<(usize, usize)>,
}

impl Body {
    /// The state at the first chunk.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] never happens: the keys have their algorithms' lengths.
    pub(super) fn new(kind: BodyKind, key: &[u8; 16], nonce: &[u8; 16]) -> Result<Self, Cause> {
        let mut shake = Shake128::default();
        shake.update(nonce);
        let shake = shake.finalize_xof();
        Ok(Self { kind, key: kind.key(key)?, nonce: *nonce, number: 0, wraps: false, shake, pending: None })
    }

    /// Allows nonces to repeat, as other implementations do; for streams inside TLS.
    pub(super) const fn allow_wrap(&mut self) {
        self.wraps = true;
    }

    /// Continues as if so many chunks had been sent or received.
    #[cfg(test)]
    pub(super) const fn skip_to(&mut self, number: u32) {
        self.number = number;
    }

    /// Whether only the last `last` chunks have a nonce left.
    const fn is_used_up(&self, last: u32) -> bool {
        self.key.is_some() && !self.wraps && self.number + last >= MOST_CHUNKS
    }

    /// Appends one chunk, of at most [`MAX_PAYLOAD`] bytes; returns how much of `payload` is in it. An empty payload
    /// makes the chunk that ends the direction.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] when the nonces are used up; the chunk that ends the direction has one left.
    pub(super) fn seal(&mut self, payload: &[u8], random: &mut StdRng, wire: &mut Vec<u8>) -> Result<usize, Cause> {
        if self.kind == BodyKind::Raw {
            wire.extend_from_slice(payload);
            return Ok(payload.len());
        }
        let payload = payload.get(..payload.len().min(MAX_PAYLOAD)).unwrap_or_default();
        if self.is_used_up(u32::from(!payload.is_empty())) {
            return Err(USED_UP);
        }
        let padding = self.padding();
        let length = payload.len() + self.tag() + padding;
        let masked = u16::try_from(length).unwrap_or(u16::MAX) ^ self.next();
        wire.reserve(2 + length);
        wire.extend_from_slice(&masked.to_be_bytes());
        let from = wire.len();
        wire.extend_from_slice(payload);
        let nonce = self.chunk_nonce();
        if let Some(key) = &self.key {
            key.seal(nonce, &[], wire, from)?;
        }
        let mut noise = [0; MAX_PADDING];
        let noise = noise.get_mut(..padding).unwrap_or_default();
        random.fill_bytes(noise);
        wire.extend_from_slice(noise);
        Ok(payload.len())
    }

    /// Decrypts one length or one chunk.
    ///
    /// # Errors
    /// [`Cause::Protocol`] when a chunk was changed on the way or is too short, [`Cause::Unsupported`] when the nonces are used up.
    pub(super) fn open(&mut self, wire: &mut [u8], out: &mut ReadBuf<'_>) -> Result<Opened, Cause> {
        if self.kind == BodyKind::Raw {
            return Ok(take(wire, 0..wire.len(), wire.len(), out));
        }
        let Some((length, padding)) = self.pending else {
            if self.is_used_up(0) {
                return Err(USED_UP);
            }
            let Some(&masked) = wire.first_chunk() else { return Ok(Opened::Need(2)) };
            let padding = self.padding();
            let length = usize::from(u16::from_be_bytes(masked) ^ self.next());
            if length < self.tag() + padding {
                return Err(Cause::Protocol("a chunk is shorter than its tag and padding"));
            }
            if length == 0 {
                return Ok(Opened::End);
            }
            self.pending = Some((length, padding));
            return Ok(Opened::Used(2));
        };
        let Some(chunk) = wire.get_mut(..length) else { return Ok(Opened::Need(length)) };
        self.pending = None;
        let nonce = self.chunk_nonce();
        let sealed = chunk.get_mut(..length - padding).unwrap_or_default();
        let Some(key) = &self.key else {
            return Ok(take(sealed, 0..sealed.len(), length, out));
        };
        // The tag of an empty chunk is checked, because the length alone could have been changed on the way.
        if sealed.len() == TAG {
            let end = key.open(nonce, &[], sealed).map(|_| Opened::End);
            return end.ok_or(Cause::Protocol("a stream's end does not open"));
        }
        match key.open_chunk(nonce, &[], sealed, out) {
            // The padding is used up together with the chunk.
            Some(Opened::Held(_, text)) => Ok(Opened::Held(length, text)),
            Some(_) => Ok(Opened::Used(length)),
            None => Err(Cause::Protocol("a chunk does not open")),
        }
    }

    /// Whether a chunk's length was read and the chunk has not come yet.
    pub(super) const fn in_chunk(&self) -> bool {
        self.pending.is_some()
    }

    const fn tag(&self) -> usize {
        if self.key.is_some() { TAG } else { 0 }
    }

    fn padding(&mut self) -> usize {
        if self.kind.padded() { usize::from(self.next()) % MAX_PADDING } else { 0 }
    }

    fn next(&mut self) -> u16 {
        let mut bytes = [0; 2];
        self.shake.read(&mut bytes);
        u16::from_be_bytes(bytes)
    }

    /// The nonce of the next chunk.
    fn chunk_nonce(&mut self) -> NonceBytes {
        let mut nonce = NonceBytes::default();
        let [_, _, number @ ..] = self.number.to_be_bytes();
        nonce[..2].copy_from_slice(&number);
        nonce[2..].copy_from_slice(&self.nonce[2..12]);
        self.number = self.number.wrapping_add(1);
        nonce
    }
}

/// Passes on text that is not encrypted.
fn take(wire: &[u8], range: Range<usize>, used: usize, out: &mut ReadBuf<'_>) -> Opened {
    let text = wire.get(range.clone()).unwrap_or_default();
    if text.is_empty() {
        return Opened::Need(1);
    }
    if text.len() > out.remaining() {
        return Opened::Held(used, range);
    }
    out.put_slice(text);
    Opened::Used(used)
}
