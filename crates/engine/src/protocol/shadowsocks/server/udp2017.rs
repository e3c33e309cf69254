//! Opens packets of clients of the 2017 edition, and encrypts the answers. A client is known by its address.

use std::{collections::HashMap, net::SocketAddr};

use hezar_core::Target;

use super::{
    super::{
        aead2017::{open_packet, seal_packet},
        random,
        wire::{Aead, password_key},
    },
    ShadowsocksServer, tried,
    udp::{Arrival, Packet, SealAnswer, Session, has_room},
};
use crate::{
    Cause,
    served::{CredentialId, Keyring},
};

/// All clients.
pub(super) struct Clients2017 {
    cipher: Aead,
    clients: HashMap<SocketAddr, Known>,
}

struct Known {
    password: Box<[u8]>,
    session: Session,
}

impl Clients2017 {
    /// Nobody yet.
    pub(super) fn new(cipher: Aead) -> Self {
        Self { cipher, clients: HashMap::new() }
    }

    /// Forgets clients that have been silent for long.
    pub(super) fn forget(&mut self, now: u64) {
        self.clients.retain(|_, known| known.session.is_remembered(now));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Opens a packet; `None` when it is no user's, or a repetition.
    pub(super) fn open(
        &mut self,
        server: &ShadowsocksServer,
        keyring: &Keyring,
        packet: &[u8],
        from: SocketAddr,
        now: u64,
    ) -> Option<Arrival<'_>> {
        let (credential, text) = self.find(keyring, packet, from)?;
        if !server.0.packets.accept(packet.get(..self.cipher.key_length())?, now) {
            return None;
        }
        let packet = Packet::read(&text)?;
        let password = keyring.psk(credential);
        let is_same = self.clients.get(&from).is_some_and(|known| *known.password == *password);
        if !is_same {
            if !has_room(self.clients.len()) {
                return None;
            }
            let key = password_key(password, self.cipher.key_length());
            let sealer = Sealer2017 { cipher: self.cipher, key, server: server.clone() };
            let session = Session::new(from, Box::new(sealer));
            self.clients.insert(from, Known { password: password.into(), session });
        }
        let known = self.clients.get_mut(&from)?;
        Some(Arrival { credential, session: &mut known.session, packet })
    }

    /// Tries each user's key, first the one that this address used last.
    fn find(&self, keyring: &Keyring, packet: &[u8], from: SocketAddr) -> Option<(CredentialId, Vec<u8>)> {
        let last = self.clients.get(&from).and_then(|known| Some((keyring.find(&known.password)?, &*known.password)));
        let opens = |(credential, password): (CredentialId, &[u8])| {
            let key = password_key(password, self.cipher.key_length());
            // A key that does not fit may leave anything in the buffer.
            open_packet(self.cipher, &key, &mut packet.to_vec()).map(|text| (credential, text.to_vec()))
        };
        last.into_iter().chain(tried(keyring)).find_map(opens)
    }
}

/// Encrypts the answers to one client.
struct Sealer2017 {
    cipher: Aead,
    key: Vec<u8>,
    server: ShadowsocksServer,
}

impl SealAnswer for Sealer2017 {
    fn seal(&mut self, _: &Target, text: [&[u8]; 2]) -> Result<Vec<u8>, Cause> {
        let salt = random(self.cipher.key_length());
        // Both directions use the same key: our own answer, sent to us, would open as a request.
        self.server.0.packets.accept(&salt, 0);
        let mut wire = Vec::new();
        seal_packet(self.cipher, &self.key, &salt, &text, &mut wire)?;
        Ok(wire)
    }
}
