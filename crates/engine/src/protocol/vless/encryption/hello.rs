//! The handshake of VLESS encryption, without I/O. Definition: proxy/vless/encryption of Xray-core.
//!
//! ```text
//! relays: | iv 16 | share of key 1 | hash of key 2, masked 32 | share of key 2 | …     share: X25519 32, ML-KEM-768 1088
//! 1-RTT → | relays | length 2+16 | ML-KEM key 1184, X25519 32, +16 | length 2+16 | padding n+16 |
//!       ← | ML-KEM ciphertext 1088, X25519 32, +16 | ticket 16+16 | length 2+16 | padding n+16 |
//! 0-RTT → | relays | length 2+16 | ticket 16+16 | records …
//!       ← | random 16 | records …
//! record: | 17 03 03 | length 2 | payload n+16 |
//! ```

use std::fmt;

use aws_lc_rs::{
    agreement::{PrivateKey, UnparsedPublicKey, X25519, agree},
    kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768},
};
use rand::Rng;
use zeroize::Zeroizing;

use super::{
    cipher::{Counted, Mask},
    settings::{KEM_KEY, Looks, PublicKey, Settings},
};
use crate::{Cause, io::aead::TAG};

/// The length of ML-KEM-768's ciphertext, in bytes.
const CIPHERTEXT: usize = 1088;
/// The size of an encrypted length, in bytes.
const LENGTH: usize = 2 + TAG;
/// The size of an encrypted ticket, in bytes.
const TICKET: usize = 16 + TAG;
/// The size of the server's answer up to its padding, in bytes.
pub(super) const ANSWER: usize = CIPHERTEXT + 32 + TAG + TICKET + LENGTH;

/// The failure when the library gives no random or derived bytes.
const NO_KEYS: Cause = Cause::Unsupported("a key for VLESS encryption");

/// The shared secret of one connection, its IV, and the cipher of our records.
pub(super) struct Keys {
    pub(super) united: Zeroizing<Vec<u8>>,
    pub(super) iv: [u8; 16],
    pub(super) seal: Counted,
}

/// A ticket of a server, with which the next connections save the handshake.
#[derive(Clone, Default)]
pub(super) struct Ticket {
    pub(super) secret: Zeroizing<Box<[u8]>>,
    ticket: [u8; 16],
    pub(super) seconds: u64,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("seconds", &self.seconds).finish_non_exhaustive()
    }
}

/// Appends a key share for every key of the server, one after the other, and returns the secret of the last one.
fn relays(settings: &Settings, iv: &[u8; 16], wire: &mut Vec<u8>) -> Result<Zeroizing<Vec<u8>>, Cause> {
    let (mut secret, mut last) = (Zeroizing::new(Vec::new()), None::<Mask>);
    for (index, key) in settings.keys.iter().enumerate() {
        let from = wire.len();
        secret = Zeroizing::new(share(key, wire)?);
        let share = wire.get_mut(from..).unwrap_or_default();
        if settings.looks != Looks::Native {
            Mask::new(key.bytes(), iv).apply(share);
        }
        if let Some(mask) = &mut last {
            mask.apply(share.get_mut(..32).unwrap_or_default());
        }
        if let Some(next) = settings.keys.get(index + 1) {
            let mut mask = Mask::new(&secret, iv);
            let mut hash = *blake3::hash(next.bytes()).as_bytes();
            mask.apply(&mut hash);
            wire.extend_from_slice(&hash);
            last = Some(mask);
        }
    }
    Ok(secret)
}

/// Appends a key share for one key, and returns the secret.
fn share(key: &PublicKey, wire: &mut Vec<u8>) -> Result<Vec<u8>, Cause> {
    match key {
        PublicKey::X25519(key) => {
            let own = PrivateKey::generate(&X25519).map_err(|_| NO_KEYS)?;
            wire.extend_from_slice(own.compute_public_key().map_err(|_| NO_KEYS)?.as_ref());
            agreed(&own, key)
        }
        PublicKey::MlKem768(key) => {
            let key = EncapsulationKey::new(&ML_KEM_768, key).map_err(|_| NO_KEYS)?;
            let (ciphertext, secret) = key.encapsulate().map_err(|_| NO_KEYS)?;
            wire.extend_from_slice(ciphertext.as_ref());
            Ok(secret.as_ref().to_vec())
        }
    }
}

fn agreed(own: &PrivateKey, theirs: &[u8]) -> Result<Vec<u8>, Cause> {
    agree(own, UnparsedPublicKey::new(&X25519, theirs), Cause::Authentication, |secret| Ok(secret.to_vec()))
}

fn put_length(aead: &mut Counted, length: usize, wire: &mut Vec<u8>) -> Result<(), Cause> {
    let from = wire.len();
    wire.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    aead.seal(&[], wire, from)
}

/// A hello of ours that has not been answered yet.
pub(super) struct Hello {
    /// The whole hello.
    pub(super) wire: Vec<u8>,
    /// Where the padding begins.
    pub(super) padding_from: usize,
    iv: [u8; 16],
    relay_secret: Zeroizing<Vec<u8>>,
    relay: Counted,
    kem: DecapsulationKey,
    x25519: PrivateKey,
    public: Vec<u8>,
}

impl Hello {
    /// Makes keys and a hello with `padding` bytes at its end (at least 35).
    ///
    /// # Errors
    /// [`Cause::Unsupported`] when a key of the settings is not valid.
    pub(super) fn new(settings: &Settings, padding: usize, random: &mut impl Rng) -> Result<Self, Cause> {
        let (mut wire, iv) = begin(random);
        let relay_secret = relays(settings, &iv, &mut wire)?;
        let mut relay = Counted::new(&iv, &relay_secret)?;
        put_length(&mut relay, KEM_KEY + 32 + TAG, &mut wire)?;
        let kem = DecapsulationKey::generate(&ML_KEM_768).map_err(|_| NO_KEYS)?;
        let x25519 = PrivateKey::generate(&X25519).map_err(|_| NO_KEYS)?;
        let mut public = Vec::with_capacity(KEM_KEY + 32);
        let encapsulation = kem.encapsulation_key().map_err(|_| NO_KEYS)?;
        public.extend_from_slice(encapsulation.key_bytes().map_err(|_| NO_KEYS)?.as_ref());
        public.extend_from_slice(x25519.compute_public_key().map_err(|_| NO_KEYS)?.as_ref());
        let from = wire.len();
        wire.extend_from_slice(&public);
        relay.seal(&[], &mut wire, from)?;
        let padding_from = wire.len();
        put_length(&mut relay, padding.saturating_sub(LENGTH), &mut wire)?;
        let from = wire.len();
        wire.resize(from + padding.saturating_sub(LENGTH + TAG), 0);
        relay.seal(&[], &mut wire, from)?;
        Ok(Self { wire, padding_from, iv, relay_secret, relay, kem, x25519, public })
    }

    /// Decrypts the answer. Returns the keys, the cipher of the server's records, the ticket, and the length of the padding that follows.
    ///
    /// # Errors
    /// [`Cause::Authentication`] when it cannot be decrypted.
    pub(super) fn answer(self, answer: &mut [u8; ANSWER]) -> Result<(Keys, Counted, Ticket, usize), Cause> {
        let (share, rest) = answer.split_at_mut(CIPHERTEXT + 32 + TAG);
        let share = self.relay.open_last(share).ok_or(Cause::Authentication)?;
        let (ciphertext, theirs) = share.split_at_checked(CIPHERTEXT).ok_or(Cause::Authentication)?;
        let secret = self.kem.decapsulate(Ciphertext::from(ciphertext)).map_err(|_| Cause::Authentication)?;
        // The buffer is allocated in its full size, since a buffer that grows leaves a copy of the secret behind.
        let mut united = Zeroizing::new(Vec::with_capacity(64 + self.relay_secret.len()));
        united.extend_from_slice(secret.as_ref());
        united.extend_from_slice(&agreed(&self.x25519, theirs)?);
        let forward: Zeroizing<Box<[u8]>> = Zeroizing::new(united.as_slice().into());
        united.extend_from_slice(&self.relay_secret);
        let seal = Counted::new(&self.public, &united)?;
        let mut open = Counted::new(share, &united)?;
        let (ticket, length) = rest.split_at_mut(TICKET);
        let ticket = open.open(&[], ticket).ok_or(Cause::Authentication)?;
        let ticket: [u8; 16] = ticket.first_chunk().copied().ok_or(Cause::Authentication)?;
        let length = open.open(&[], length).and_then(|length| length.first_chunk().copied());
        let length = usize::from(u16::from_be_bytes(length.ok_or(Cause::Authentication)?));
        let seconds = u64::from(u16::from_be_bytes([ticket[0], ticket[1]]));
        let ticket = Ticket { secret: forward, ticket, seconds };
        Ok((Keys { united, iv: self.iv, seal }, open, ticket, length))
    }
}

impl Ticket {
    /// A ticket for tests, which no server has issued.
    #[cfg(test)]
    pub(super) fn for_tests(ticket: [u8; 16]) -> Self {
        Self { secret: Zeroizing::new([0; 64].into()), ticket, seconds: 100 }
    }

    /// The bytes of the ticket. The mask of the answer's records is derived from them.
    pub(super) const fn bytes(&self) -> &[u8; 16] {
        &self.ticket
    }

    /// For a connection that uses the ticket: the bytes in front of its first record, and its keys.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] when a key of the settings is not valid.
    pub(super) fn resume(&self, settings: &Settings, random: &mut impl Rng) -> Result<(Vec<u8>, Keys), Cause> {
        let (mut wire, iv) = begin(random);
        let relay_secret = relays(settings, &iv, &mut wire)?;
        let mut relay = Counted::new(&iv, &relay_secret)?;
        put_length(&mut relay, TICKET, &mut wire)?;
        let from = wire.len();
        wire.extend_from_slice(&self.ticket);
        relay.seal(&[], &mut wire, from)?;
        let united = Zeroizing::new([&**self.secret, relay_secret.as_slice()].concat());
        let seal = Counted::new(wire.get(from..).unwrap_or_default(), &united)?;
        Ok((wire, Keys { united, iv, seal }))
    }
}

fn begin(random: &mut impl Rng) -> (Vec<u8>, [u8; 16]) {
    let mut iv = [0; 16];
    random.fill_bytes(&mut iv);
    (iv.to_vec(), iv)
}
