//! Datagrams of Shadowsocks: each is encrypted by itself and sent to the server as one datagram.

use std::{
    io,
    task::{Context, Poll, ready},
};

use hezar_core::Target;
use parking_lot::Mutex;
use rand::RngExt;

use super::{Cipher, aead2017, aead2022, packet2022, random, unix_now, wire};
use crate::{
    BoxDatagram, Cause, Datagram,
    io::copy::copy_packet,
    protocol::{
        address::{MAX_ADDRESS, may_be, put_socks, take_socks},
        packets::unsendable,
    },
};

/// The largest UDP datagram, in bytes.
pub(super) const MAX_DATAGRAM: usize = 65_535;
/// The most bytes that encryption adds besides address and padding: nonce or headers, the text's header, the tag.
const OVERHEAD: usize = 256;
/// The port of DNS. DNS queries are padded, because they would be recognised by their short length.
const DNS: u16 = 53;

/// How packets are encrypted and decrypted.
enum Packets {
    None,
    Aead(wire::Aead, Box<[u8]>, aead2017::Salts),
    Aead2022(Box<packet2022::PacketSession>),
    #[cfg(feature = "stream-cipher")]
    Legacy(super::legacy::LegacyKey),
}

/// An association with one server.
pub(super) struct ShadowsocksDatagram {
    outer: BoxDatagram,
    server: Target,
    packets: Mutex<Packets>,
    /// The encrypted packet that was received. It is longer than the payload that the caller has room for.
    received: Mutex<Vec<u8>>,
}

impl ShadowsocksDatagram {
    /// Speaks to `server` over `outer`.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] never happens: all keys have their algorithms' lengths.
    pub(super) fn new(cipher: &Cipher, server: Target, outer: BoxDatagram) -> Result<Self, Cause> {
        let packets = match cipher {
            Cipher::None => Packets::None,
            Cipher::Aead(cipher, key) => Packets::Aead(*cipher, key.clone(), aead2017::Salts::default()),
            Cipher::Aead2022(keys) => {
                let session = packet2022::PacketSession::new(keys.clone(), rand::rng().random(), unix_now)?;
                Packets::Aead2022(Box::new(session))
            }
            #[cfg(feature = "stream-cipher")]
            Cipher::Legacy(key) => Packets::Legacy(key.clone()),
        };
        Ok(Self { outer, server, packets: Mutex::new(packets), received: Mutex::default() })
    }
}

impl Packets {
    fn seal(&mut self, payload: &[u8], target: &Target) -> Result<Vec<u8>, Cause> {
        let mut address = Vec::with_capacity(MAX_ADDRESS);
        put_socks(target, &mut address);
        let text = [&address[..], payload];
        let mut wire = Vec::with_capacity(address.len() + payload.len() + OVERHEAD);
        match self {
            Self::None => wire.extend(text.concat()),
            Self::Aead(cipher, key, salts) => {
                let salt = random(cipher.key_length());
                aead2017::seal_packet(*cipher, key, &salt, &text, &mut wire)?;
                salts.note(&salt);
            }
            Self::Aead2022(session) => {
                let padding = padding(target, payload.len());
                session.seal(&text, &padding, rand::rng().random(), &mut wire)?;
            }
            #[cfg(feature = "stream-cipher")]
            Self::Legacy(key) => super::legacy::seal_packet(key, &random(key.iv_length()), &text, &mut wire),
        }
        Ok(wire)
    }

    /// The sender and the payload; `None` when the packet is not the server's or not for this session.
    fn open<'a>(&mut self, packet: &'a mut [u8]) -> Option<(Target, &'a [u8])> {
        let text = match self {
            Self::None => packet,
            Self::Aead(_, _, salts) if salts.begin(packet) => return None,
            Self::Aead(cipher, key, _) => aead2017::open_packet(*cipher, key, packet)?,
            Self::Aead2022(session) => {
                let range = session.open(packet)?;
                packet.get_mut(range)?
            }
            #[cfg(feature = "stream-cipher")]
            Self::Legacy(key) => super::legacy::open_packet(key, packet)?,
        };
        let (from, used) = take_socks(text).ok()??;
        Some((from?, text.get(used..)?))
    }
}

/// The padding of a packet of the 2022 edition to or from `peer`.
pub(super) fn padding(peer: &Target, payload_length: usize) -> Vec<u8> {
    let most = usize::from(aead2022::MAX_PADDING).saturating_sub(payload_length);
    if peer.port() == DNS { random(rand::rng().random_range(0..=most)) } else { Vec::new() }
}

/// Checks that a payload fits into one packet, whatever its edition.
///
/// # Errors
/// [`unsendable`] when it does not.
pub(super) fn check_length(payload: &[u8]) -> io::Result<()> {
    if payload.len() > MAX_DATAGRAM - MAX_ADDRESS - OVERHEAD {
        return Err(unsendable("the datagram is too large for Shadowsocks"));
    }
    Ok(())
}

impl Datagram for ShadowsocksDatagram {
    fn poll_send_to(&self, cx: &mut Context<'_>, payload: &[u8], target: &Target) -> Poll<io::Result<()>> {
        check_length(payload)?;
        // When `outer` does not take the packet yet, the next call encrypts it again. The packet number of the first try is skipped,
        // as if the packet had been lost.
        let packet = self.packets.lock().seal(payload, target)?;
        self.outer.poll_send_to(cx, &packet, &self.server)
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outer.poll_flush(cx)
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>> {
        let mut received = self.received.lock();
        received.resize(MAX_DATAGRAM, 0);
        loop {
            let (length, from) = ready!(self.outer.poll_recv_from(cx, &mut received))?;
            if !may_be(&self.server, &from) {
                continue;
            }
            let packet = received.get_mut(..length).unwrap_or_default();
            if let Some((from, payload)) = self.packets.lock().open(packet) {
                return Poll::Ready(Ok((copy_packet(payload, buffer), from)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
