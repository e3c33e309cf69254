//! Datagrams of the 2022 edition (SIP022) with identity headers (SIP023).
//!
//! ```text
//! AES:      | header 16 | identity 16 … | sealed text |
//!   header    AES( | session id 8 | packet id 8 | ) with the first key of the chain; in answers with our own
//!   identity  AES( first 16 bytes of BLAKE3(the next key) XOR the plain header )
//!   sealed    with the session's key (from our own key and the session id); nonce = bytes 4..16 of the plain header
//! ChaCha20: | nonce 24 | sealed: session id 8, packet id 8, text |     XChaCha20-Poly1305 with the key itself
//! text      | 0 | unix seconds 8 | padding length 2 | padding | address | payload |
//! answer    | 1 | unix seconds 8 | our session id 8 | padding length 2 | padding | address | payload |
//! ```

use std::ops::Range;

use aws_lc_rs::cipher::{DecryptingKey, DecryptionContext, EncryptingKey};

use super::{
    aead2022::{ANSWER, KeyName, Keys, MAX_SKEW, REQUEST, SESSION_CONTEXT, derive},
    aes_block::{header_key, header_opening_key, put_block},
    replay::Window,
    wire::Aead,
    xchacha::{self, NONCE},
};
use crate::{
    Cause,
    io::aead::{AeadKey, NonceBytes},
};

/// The shortest time between two changes of the server's session, in seconds. Quicker changes are ignored.
const SESSION_LIFE: u64 = 60;
/// The length of the plain header: session id and packet id.
pub(super) const HEADER: usize = 16;

/// The number of a session, which its sender has drawn.
pub(super) type PacketSessionId = [u8; 8];

/// Encrypts the packets that one side sends in its session.
pub(super) struct PacketSealer {
    keys: Keys,
    /// With ChaCha20 there are none, since it needs no more than the own key.
    aes: Option<Box<Aes>>,
    id: PacketSessionId,
    /// The client's session, which a server answers.
    answered: Option<PacketSessionId>,
    next: u64,
    clock: fn() -> u64,
}

/// The keys for AES: that of the headers, those of the identities with the names of the next keys, and that of the texts.
struct Aes {
    header: EncryptingKey,
    identities: Vec<(EncryptingKey, KeyName)>,
    body: AeadKey,
}

impl PacketSealer {
    /// A client's session with this id, or a server's one that answers a client's; `clock` tells Unix seconds.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] never happens: all keys have their algorithms' lengths.
    pub(super) fn new(
        keys: Keys,
        id: PacketSessionId,
        answered: Option<PacketSessionId>,
        clock: fn() -> u64,
    ) -> Result<Self, Cause> {
        let aes = if keys.cipher == Aead::Chacha20Poly1305 { None } else { Some(Box::new(aes(&keys, &id)?)) };
        Ok(Self { keys, aes, id, answered, next: 0, clock })
    }

    /// Appends an encrypted packet. `nonce` is random.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] never happens: a packet is short.
    pub(super) fn put(
        &mut self,
        text: &[&[u8]],
        padding: &[u8],
        nonce: [u8; NONCE],
        wire: &mut Vec<u8>,
    ) -> Result<(), Cause> {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&self.id);
        header[8..].copy_from_slice(&self.next.to_be_bytes());
        self.next = self.next.wrapping_add(1);
        let from = match &self.aes {
            Some(aes) => {
                put_block(&aes.header, header, wire)?;
                for (key, name) in &aes.identities {
                    let block = std::array::from_fn(|i| name[i] ^ header[i]);
                    put_block(key, block, wire)?;
                }
                wire.len()
            }
            None => {
                wire.extend_from_slice(&nonce);
                let from = wire.len();
                wire.extend_from_slice(&header);
                from
            }
        };
        wire.push(if self.answered.is_some() { ANSWER } else { REQUEST });
        wire.extend_from_slice(&(self.clock)().to_be_bytes());
        wire.extend(self.answered.iter().flatten());
        wire.extend_from_slice(&u16::try_from(padding.len()).unwrap_or(u16::MAX).to_be_bytes());
        wire.extend_from_slice(padding);
        text.iter().for_each(|part| wire.extend_from_slice(part));
        match &self.aes {
            Some(aes) => aes.body.seal(body_nonce(&header), &[], wire, from),
            None => xchacha::seal(&self.keys.own, &nonce, wire, from),
        }
    }
}

/// A session of the server.
struct Theirs {
    id: PacketSessionId,
    /// Present with AES only, since ChaCha20 has one key for all sessions.
    key: Option<AeadKey>,
    window: Window,
}

/// One UDP session of a client, and what it knows of the server's sessions.
pub(super) struct PacketSession {
    sealer: PacketSealer,
    /// Decrypts the server's headers, with AES.
    headers: Option<DecryptingKey>,
    /// The server's session, and the one before it, from which packets may still be on their way.
    current: Option<Theirs>,
    last: Option<Theirs>,
    changed: u64,
}

impl PacketSession {
    /// A session with a random id; `clock` tells Unix seconds.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] never happens: all keys have their algorithms' lengths.
    pub(super) fn new(keys: Keys, id: PacketSessionId, clock: fn() -> u64) -> Result<Self, Cause> {
        let sealer = PacketSealer::new(keys, id, None, clock)?;
        let headers = match &sealer.aes {
            Some(_) => Some(header_opening_key(&sealer.keys.own)?),
            None => None,
        };
        Ok(Self { sealer, headers, current: None, last: None, changed: 0 })
    }

    /// Appends an encrypted packet. `nonce` is random.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] never happens: a packet is short.
    pub(super) fn seal(
        &mut self,
        text: &[&[u8]],
        padding: &[u8],
        nonce: [u8; NONCE],
        wire: &mut Vec<u8>,
    ) -> Result<(), Cause> {
        self.sealer.put(text, padding, nonce, wire)
    }

    /// Decrypts a packet in place and returns where address and payload lie in it; `None` when it is not from the server,
    /// not for this session, too old or a repetition.
    pub(super) fn open(&mut self, packet: &mut [u8]) -> Option<Range<usize>> {
        if self.headers.is_some() { self.open_aes(packet) } else { self.open_chacha(packet) }
    }

    fn open_aes(&mut self, packet: &mut [u8]) -> Option<Range<usize>> {
        let (header, sealed) = packet.split_first_chunk_mut::<HEADER>()?;
        self.headers.as_ref()?.decrypt(header, DecryptionContext::None).ok()?;
        let (id, number) = split(header)?;
        let nonce = body_nonce(header);
        let known = [&self.current, &self.last].into_iter().flatten().find(|known| known.id == id);
        let (text, fresh) = match known.and_then(|known| known.key.as_ref()) {
            Some(key) => (key.open(nonce, &[], sealed)?, None),
            None => {
                let key = body_key(&self.sealer.keys, &id).ok()?;
                (key.open(nonce, &[], sealed)?, Some(key))
            }
        };
        let text = self.check(text)?;
        self.accept(id, number, fresh)?;
        Some(HEADER + text.start..HEADER + text.end)
    }

    fn open_chacha(&mut self, packet: &mut [u8]) -> Option<Range<usize>> {
        let (nonce, sealed) = packet.split_first_chunk_mut::<NONCE>()?;
        let plain = xchacha::open(&self.sealer.keys.own, nonce, sealed)?;
        let (header, text) = plain.split_first_chunk::<HEADER>()?;
        let (id, number) = split(header)?;
        let text = self.check(text)?;
        self.accept(id, number, None)?;
        let from = NONCE + HEADER;
        Some(from + text.start..from + text.end)
    }

    /// Checks the fields in front of the address, and returns where address and payload lie.
    fn check(&self, text: &[u8]) -> Option<Range<usize>> {
        let (&kind, rest) = text.split_first()?;
        let (time, rest) = rest.split_first_chunk()?;
        let (ours, rest) = rest.split_first_chunk::<8>()?;
        let (padding, rest) = rest.split_first_chunk()?;
        let padding = usize::from(u16::from_be_bytes(*padding));
        let timely = u64::from_be_bytes(*time).abs_diff((self.sealer.clock)()) <= MAX_SKEW;
        let right = kind == ANSWER && timely && *ours == self.sealer.id && padding <= rest.len();
        right.then(|| text.len() - rest.len() + padding..text.len())
    }

    /// Notes the number of a decrypted packet; `None` when it is a repetition, or when its session would be one too many.
    fn accept(&mut self, id: PacketSessionId, number: u64, key: Option<AeadKey>) -> Option<()> {
        let known = [&mut self.current, &mut self.last].into_iter().flatten().find(|known| known.id == id);
        if let Some(known) = known {
            return known.window.accept(number).then_some(());
        }
        let now = (self.sealer.clock)();
        if self.last.is_some() && now.saturating_sub(self.changed) < SESSION_LIFE {
            return None;
        }
        let mut window = Window::default();
        window.accept(number);
        self.last = self.current.replace(Theirs { id, key, window });
        self.changed = now;
        Some(())
    }
}

/// Session and packet number of a plain header.
pub(super) fn split(header: &[u8; HEADER]) -> Option<(PacketSessionId, u64)> {
    let (id, number) = header.split_first_chunk()?;
    Some((*id, u64::from_be_bytes(*number.first_chunk()?)))
}

/// The nonce of a packet's text.
pub(super) fn body_nonce(header: &[u8; HEADER]) -> NonceBytes {
    let mut nonce = NonceBytes::default();
    nonce.copy_from_slice(&header[4..]);
    nonce
}

/// What encrypts the texts of one direction of a session.
///
/// # Errors
/// [`Cause::Unsupported`] never happens: all keys have their algorithms' lengths.
pub(super) fn body_key(keys: &Keys, id: &PacketSessionId) -> Result<AeadKey, Cause> {
    let key = derive(SESSION_CONTEXT, &keys.own, id);
    AeadKey::new(keys.cipher.algorithm(), key.get(..keys.length()).unwrap_or_default())
}

fn aes(keys: &Keys, id: &PacketSessionId) -> Result<Aes, Cause> {
    let identities: Result<Vec<_>, Cause> = keys.identities().map(|(key, name)| Ok((header_key(key)?, name))).collect();
    Ok(Aes {
        header: header_key(keys.chain.first().unwrap_or(&keys.own))?,
        identities: identities?,
        body: body_key(keys, id)?,
    })
}
