//! The ciphers of VLESS encryption: an AEAD that counts its nonces, and a key stream that makes bytes look random.

use aes::Aes256;
use aws_lc_rs::aead::AES_256_GCM;
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};

use tokio::io::ReadBuf;

use super::kdf;
use crate::{
    Cause,
    io::{
        aead::{AeadKey, NonceBytes},
        codec_stream::Opened,
    },
};

/// The nonce of the one message that is not counted: the server's key shares.
pub(super) const LAST_NONCE: NonceBytes = [0xff; 12];

/// A record's header: type, version and length.
pub(super) const HEADER: usize = 5;
/// How the header of every record begins: as a TLS 1.3 record with application data.
pub(super) const DATA: [u8; 3] = [23, 3, 3];

/// AES-256-GCM with nonces that count up. The server finds out by itself which of its two AEADs a client uses.
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

    /// Encrypts `wire[from..]` in place.
    ///
    /// # Errors
    /// None: messages are short.
    pub(super) fn seal(&mut self, aad: &[u8], wire: &mut Vec<u8>, from: usize) -> Result<(), Cause> {
        let nonce = self.nonce();
        self.key.seal(nonce, aad, wire, from)
    }

    /// Decrypts text and tag in place.
    pub(super) fn open<'a>(&mut self, aad: &[u8], sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let nonce = self.nonce();
        self.key.open(nonce, aad, sealed)
    }

    /// Decrypts a chunk: into `out` when there is room for its text, else in place.
    pub(super) fn open_chunk(&mut self, aad: &[u8], sealed: &mut [u8], out: &mut ReadBuf<'_>) -> Option<Opened> {
        let nonce = self.nonce();
        self.key.open_chunk(nonce, aad, sealed, out)
    }

    /// Decrypts the message that is not counted.
    pub(super) fn open_last<'a>(&self, sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        self.key.open(LAST_NONCE, &[], sealed)
    }

    /// Encrypts the message that is not counted.
    #[cfg(test)]
    pub(super) fn seal_last(&self, wire: &mut Vec<u8>, from: usize) -> Result<(), Cause> {
        self.key.seal(LAST_NONCE, &[], wire, from)
    }
}

/// AES-256 in counter mode.
pub(super) struct Mask(Ctr128BE<Aes256>);

impl Mask {
    /// The mask that belongs to a key.
    pub(super) fn new(material: &[u8], iv: &[u8; 16]) -> Self {
        Self(Ctr128BE::new(&kdf::derive(b"VLESS", material).into(), iv.into()))
    }

    /// Masks or unmasks the bytes that follow those of the last call; both are the same operation.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        self.0.apply_keystream(bytes);
    }
}

/// Masks or unmasks the record headers of one direction, whatever pieces its bytes come in. The bodies of records pass
/// unchanged.
pub(super) struct Headers {
    mask: Mask,
    header: [u8; HEADER],
    filled: usize,
    /// How many bytes pass unchanged before the next header.
    skip: usize,
}

impl Headers {
    /// The first header comes after `skip` bytes.
    pub(super) const fn new(mask: Mask, skip: usize) -> Self {
        Self { mask, header: [0; HEADER], filled: 0, skip }
    }

    /// Masks the headers in bytes that are sent.
    pub(super) fn hide(&mut self, bytes: &mut [u8]) {
        self.pass(bytes, true);
    }

    /// Unmasks the headers in bytes that were received.
    pub(super) fn show(&mut self, bytes: &mut [u8]) {
        self.pass(bytes, false);
    }

    fn pass(&mut self, mut rest: &mut [u8], hides: bool) {
        while !rest.is_empty() {
            let most = if self.skip > 0 { self.skip } else { HEADER - self.filled };
            let (piece, later) = rest.split_at_mut(most.min(rest.len()));
            rest = later;
            if self.skip > 0 {
                self.skip -= piece.len();
                continue;
            }
            if hides {
                self.collect(piece);
            }
            self.mask.apply(piece);
            if !hides {
                self.collect(piece);
            }
        }
    }

    /// Adds unmasked bytes to the header, and reads the length of the body when the header is complete.
    fn collect(&mut self, bytes: &[u8]) {
        let room = self.header.get_mut(self.filled..).unwrap_or_default();
        room.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        self.filled += bytes.len();
        if self.filled == HEADER {
            self.filled = 0;
            let [kind, major, minor, high, low] = self.header;
            // A header of another kind has no body: the next five bytes are masked, too.
            if [kind, major, minor] == DATA {
                self.skip = usize::from(u16::from_be_bytes([high, low]));
            }
        }
    }
}
