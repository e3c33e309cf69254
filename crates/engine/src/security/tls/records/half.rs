//! One direction's protection of TLS records.
//!
//! ```text
//! TLS 1.3 (RFC 8446 §5.2):             TLS 1.2 (RFC 5246 §6.2.3.3, RFC 5288, RFC 7905):
//! | 23 | 3 3 | length | sealed |       | type | 3 3 | length | nonce | sealed |
//! |  1 |  2  |   2    | n + 17 |       |  1   |  2  |   2    | 0, 8  | n + 16 |
//! sealed: | text | type | zeroes |     sealed: | text |
//! ```
//! The nonce is the sequence number XOR the IV; with AES-GCM in TLS 1.2 its last eight bytes travel with the record. What is
//! authenticated besides is the header, in TLS 1.2 with the length of the text and the sequence number in front.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Algorithm, CHACHA20_POLY1305};
use rustls::{ConnectionTrafficSecrets, ProtocolVersion};
use tokio::io::ReadBuf;
use zeroize::Zeroize;

use crate::{
    Cause,
    io::aead::{AeadKey, NonceBytes, TAG},
};

/// The length of a record's header: type, version and length.
pub(in crate::security) const HEADER: usize = 5;

/// The type of the record that `bytes` begin with, and how long it says that it is, its header included. `None` while the header is not
/// whole.
pub(in crate::security) fn record_header(bytes: &[u8]) -> Option<(u8, usize)> {
    let &[kind, _, _, high, low] = bytes.first_chunk::<HEADER>()?;
    Some((kind, HEADER + usize::from(u16::from_be_bytes([high, low]))))
}

/// Application data (RFC 8446 §5.1).
pub(in crate::security) const DATA: u8 = 23;

/// The length of a nonce that travels.
const EXPLICIT: usize = 8;

/// How records look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::security) enum Edition {
    Tls13,
    Tls12,
}

impl Edition {
    /// The edition of a version; rustls has no others.
    pub(super) fn of_version(version: ProtocolVersion) -> Self {
        if version == ProtocolVersion::TLSv1_3 { Self::Tls13 } else { Self::Tls12 }
    }
}

/// The keys of one direction, and the number of its next record.
pub(in crate::security) struct Half {
    edition: Edition,
    key: AeadKey,
    iv: NonceBytes,
    explicit: usize,
    sequence: u64,
}

impl Drop for Half {
    /// The key wipes itself.
    fn drop(&mut self) {
        self.iv.zeroize();
    }
}

/// Where the text of an opened record lies, and its type.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::security) struct Text {
    pub(in crate::security) kind: u8,
    pub(in crate::security) length: usize,
}

impl Half {
    /// The half that goes on at `sequence`.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] for a cipher that rustls gains one day.
    pub(super) fn new(edition: Edition, sequence: u64, secrets: &ConnectionTrafficSecrets) -> Result<Self, Cause> {
        let (algorithm, key, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => return Err(Cause::Unsupported("a cipher of TLS")),
        };
        let iv = iv.as_ref().try_into().map_err(|_| Cause::Unsupported("a nonce of this length"))?;
        Self::with(edition, sequence, algorithm, key.as_ref(), iv)
    }

    /// The same with the secrets one by one.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] for a key that has not the algorithm's length.
    pub(in crate::security) fn with(
        edition: Edition,
        sequence: u64,
        algorithm: &'static Algorithm,
        key: &[u8],
        iv: NonceBytes,
    ) -> Result<Self, Cause> {
        let explicit = if edition == Edition::Tls12 && algorithm != &CHACHA20_POLY1305 { EXPLICIT } else { 0 };
        Ok(Self { edition, key: AeadKey::new(algorithm, key)?, iv, explicit, sequence })
    }

    /// How many records these keys have had.
    pub(super) const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What a record has beside its text, at least.
    const fn around(&self) -> usize {
        match self.edition {
            Edition::Tls13 => TAG,
            Edition::Tls12 => self.explicit + TAG,
        }
    }

    fn nonce(&self) -> NonceBytes {
        let mut nonce = self.iv;
        let number = self.sequence.to_be_bytes();
        nonce.iter_mut().skip(4).zip(number).for_each(|(byte, number)| *byte ^= number);
        nonce
    }

    /// How long a record with this text is, with its header and without padding.
    const fn record_length(&self, text: usize) -> usize {
        let content_type = match self.edition {
            Edition::Tls13 => 1,
            Edition::Tls12 => 0,
        };
        HEADER + text + content_type + self.around()
    }

    /// The header of a record of this type and length, with what is authenticated for it.
    fn header(&self, kind: u8, text: usize, record_length: usize) -> ([u8; HEADER], Aad) {
        let [high, low] = u16::try_from(record_length.saturating_sub(HEADER)).unwrap_or(u16::MAX).to_be_bytes();
        let kind = if self.edition == Edition::Tls13 { DATA } else { kind };
        let header = [kind, 3, 3, high, low];
        (header, self.aad(header, text))
    }

    fn aad(&self, header: [u8; HEADER], text: usize) -> Aad {
        let mut bytes = [0; Aad::LONG];
        bytes[EXPLICIT..].copy_from_slice(&header);
        if self.edition == Edition::Tls13 {
            return Aad { bytes, from: EXPLICIT };
        }
        bytes[..EXPLICIT].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[Aad::LONG - 2..].copy_from_slice(&u16::try_from(text).unwrap_or(u16::MAX).to_be_bytes());
        Aad { bytes, from: 0 }
    }

    /// Appends a record.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] never happens: a record is short.
    pub(in crate::security) fn seal(&mut self, kind: u8, text: &[u8], wire: &mut Vec<u8>) -> Result<(), Cause> {
        self.seal_padded(kind, text, self.record_length(text.len()), wire)
    }

    /// Appends a record of exactly `record_length` bytes, its header included. In TLS 1.3 zeroes fill it up (RFC 8446 §5.4).
    ///
    /// # Errors
    /// [`Cause::Unsupported`] when the text is too long for the record, or too short in TLS 1.2, which has no padding. Nothing was
    /// appended then.
    pub(in crate::security) fn seal_padded(
        &mut self,
        kind: u8,
        text: &[u8],
        record_length: usize,
        wire: &mut Vec<u8>,
    ) -> Result<(), Cause> {
        let padding = record_length.checked_sub(self.record_length(text.len()));
        let padding = padding.filter(|padding| *padding == 0 || self.edition == Edition::Tls13);
        let padding = padding.ok_or(Cause::Unsupported("a TLS record of this length"))?;
        let (header, aad) = self.header(kind, text.len(), record_length);
        let nonce = self.nonce();
        wire.extend_from_slice(&header);
        wire.extend_from_slice(nonce.get(nonce.len() - self.explicit..).unwrap_or_default());
        let from = wire.len();
        wire.extend_from_slice(text);
        if self.edition == Edition::Tls13 {
            wire.push(kind);
        }
        wire.resize(wire.len() + padding, 0);
        self.sequence = self.sequence.wrapping_add(1);
        self.key.seal(nonce, aad.bytes(), wire, from)
    }

    /// How much room the text of a record with this body needs.
    pub(super) const fn room(&self, body: usize) -> usize {
        body.saturating_sub(self.around())
    }

    /// Opens a record: into the room of `out`, without making it part of `out`, or in place, where the text then begins at
    /// [`Half::text_at`]. `None` when it was changed on the way.
    pub(in crate::security) fn open(&mut self, record: &mut [u8], out: Option<&mut ReadBuf<'_>>) -> Option<Text> {
        let (header, body) = record.split_first_chunk_mut::<HEADER>()?;
        let (explicit, sealed) = body.split_at_mut_checked(self.explicit)?;
        let length = sealed.len().checked_sub(TAG)?;
        let (aad, mut nonce) = (self.aad(*header, length), self.nonce());
        nonce.iter_mut().skip(4).zip(&*explicit).for_each(|(byte, travelled)| *byte = *travelled);
        self.sequence = self.sequence.wrapping_add(1);
        let text = match out {
            None => self.key.open(nonce, aad.bytes(), sealed)?,
            Some(out) => {
                let room = out.initialize_unfilled_to(length);
                self.key.open_into(nonce, aad.bytes(), sealed, room).then_some(room)?
            }
        };
        match self.edition {
            Edition::Tls12 => Some(Text { kind: header[0], length }),
            Edition::Tls13 => {
                let last = text.iter().rposition(|byte| *byte != 0)?;
                Some(Text { kind: *text.get(last)?, length: last })
            }
        }
    }

    /// Where the text of a record begins that was opened in place.
    pub(in crate::security) const fn text_at(&self) -> usize {
        HEADER + self.explicit
    }
}

/// What is authenticated beside the text.
struct Aad {
    bytes: [u8; Self::LONG],
    from: usize,
}

impl Aad {
    const LONG: usize = EXPLICIT + HEADER;

    fn bytes(&self) -> &[u8] {
        self.bytes.get(self.from..).unwrap_or_default()
    }
}
