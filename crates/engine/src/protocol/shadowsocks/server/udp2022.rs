//! Opens packets of clients of the 2022 edition (SIP022, SIP023), and encrypts the answers.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::SocketAddr,
};

use aws_lc_rs::cipher::{DecryptingKey, DecryptionContext};
use hezar_core::Target;
use rand::RngExt;

use super::{
    super::{
        aead2022::{KeyName, REQUEST, key_name},
        aes_block::header_opening_key,
        datagram::padding,
        packet2022::{HEADER, PacketSealer, PacketSessionId, body_key, body_nonce, split},
        replay::Window,
        xchacha::{self, NONCE},
    },
    tcp2022::Rules2022,
    tried,
    udp::{Arrival, Packet, SealAnswer, Session, has_room},
};
use crate::{
    Cause,
    io::aead::AeadKey,
    served::{CredentialId, Keyring},
};

/// The most bytes that encryption adds to address and payload, without padding.
const OVERHEAD: usize = 96;

/// A session's name: whose it is, and the number that the client gave it.
type Name = (KeyName, PacketSessionId);

/// The sessions of all clients.
#[derive(Default)]
pub(super) struct Sessions2022 {
    sessions: HashMap<Name, Known>,
    /// Decrypts headers; made with the first packet.
    headers: Option<Box<DecryptingKey>>,
    /// Whose key opened the last packet, where each key must be tried.
    last: Option<CredentialId>,
}

struct Known {
    /// Decrypts the packets; ChaCha20 has no key of the session.
    body: Option<AeadKey>,
    window: Window,
    session: Session,
}

/// A packet's session and its text.
struct Opened<'a> {
    credential: CredentialId,
    name: Name,
    number: u64,
    text: &'a mut [u8],
    /// The key of a session that is not known yet.
    body: Option<AeadKey>,
}

impl Sessions2022 {
    /// Forgets sessions of which no packet can come again.
    pub(super) fn forget(&mut self, now: u64) {
        self.sessions.retain(|_, known| known.session.is_remembered(now));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Opens a packet; `None` when it is no user's, too old or a repetition.
    pub(super) fn open<'a>(
        &'a mut self,
        rules: &Rules2022,
        keyring: &Keyring,
        packet: &'a mut [u8],
        from: SocketAddr,
    ) -> Option<Arrival<'a>> {
        let opened = match &rules.server_key {
            Some(server_key) => self.open_aes(rules, server_key, keyring, packet)?,
            None => self.open_chacha(keyring, packet)?,
        };
        let Opened { credential, name, number, text, body } = opened;
        let packet = Packet::read(check(rules, text)?)?;
        let room = has_room(self.sessions.len());
        let known = match self.sessions.entry(name) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) if room => {
                let keys = rules.keys(keyring.psk(credential));
                let sealer = PacketSealer::new(keys, rand::rng().random(), Some(name.1), rules.clock).ok()?;
                let session = Session::new(from, Box::new(sealer));
                place.insert(Known { body, window: Window::default(), session })
            }
            Entry::Vacant(_) => return None,
        };
        known.window.accept(number).then_some(Arrival { credential, session: &mut known.session, packet })
    }

    fn open_aes<'a>(
        &mut self,
        rules: &Rules2022,
        server_key: &[u8],
        keyring: &Keyring,
        packet: &'a mut [u8],
    ) -> Option<Opened<'a>> {
        let headers: &DecryptingKey = match &self.headers {
            Some(headers) => headers,
            None => self.headers.insert(Box::new(header_opening_key(server_key).ok()?)),
        };
        let (header, rest) = packet.split_first_chunk_mut::<HEADER>()?;
        let (identity, sealed): (&mut KeyName, _) = rest.split_first_chunk_mut()?;
        headers.decrypt(header, DecryptionContext::None).ok()?;
        headers.decrypt(identity, DecryptionContext::None).ok()?;
        let owner: KeyName = std::array::from_fn(|i| identity[i] ^ header[i]);
        let credential = keyring.find(&owner)?;
        let (id, number) = split(header)?;
        let (name, nonce) = ((owner, id), body_nonce(header));
        if let Some(key) = self.sessions.get(&name).and_then(|known| known.body.as_ref()) {
            return Some(Opened { credential, name, number, text: key.open(nonce, &[], sealed)?, body: None });
        }
        let key = body_key(&rules.keys(keyring.psk(credential)), &id).ok()?;
        let text = key.open(nonce, &[], sealed)?;
        Some(Opened { credential, name, number, text, body: Some(key) })
    }

    /// Tries each user's key, first the one that opened the last packet.
    fn open_chacha<'a>(&mut self, keyring: &Keyring, packet: &'a mut [u8]) -> Option<Opened<'a>> {
        let (nonce, sealed) = packet.split_first_chunk_mut::<NONCE>()?;
        let last = self.last.map(|credential| (credential, keyring.psk(credential)));
        let opens = |(credential, key): (CredentialId, &[u8])| {
            // A key that does not fit may leave anything in the buffer.
            xchacha::open(key, nonce, &mut sealed.to_vec()).map(|text| (credential, key_name(key), text.to_vec()))
        };
        let (credential, owner, plain) = last.into_iter().chain(tried(keyring)).find_map(opens)?;
        self.last = Some(credential);
        let text = sealed.get_mut(..plain.len())?;
        text.copy_from_slice(&plain);
        let (header, text) = text.split_first_chunk_mut::<HEADER>()?;
        let (id, number) = split(header)?;
        Some(Opened { credential, name: (owner, id), number, text, body: None })
    }
}

/// Checks the fields in front of the address, and returns address and payload.
pub(super) fn check<'a>(rules: &Rules2022, text: &'a [u8]) -> Option<&'a [u8]> {
    let (&kind, rest) = text.split_first()?;
    let (time, rest) = rest.split_first_chunk()?;
    let (padding, rest) = rest.split_first_chunk()?;
    let rest = rest.get(usize::from(u16::from_be_bytes(*padding))..)?;
    (kind == REQUEST && rules.is_timely(u64::from_be_bytes(*time))).then_some(rest)
}

impl SealAnswer for PacketSealer {
    fn seal(&mut self, sender: &Target, text: [&[u8]; 2]) -> Result<Vec<u8>, Cause> {
        let length: usize = text.iter().map(|part| part.len()).sum();
        let padding = padding(sender, length);
        let mut wire = Vec::with_capacity(length + padding.len() + OVERHEAD);
        self.put(&text, &padding, rand::rng().random(), &mut wire)?;
        Ok(wire)
    }
}
