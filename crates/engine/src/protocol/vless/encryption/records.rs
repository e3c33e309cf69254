//! The records of VLESS encryption: payload behind headers that look like TLS.

use std::sync::Arc;

use tokio::io::ReadBuf;
use zeroize::Zeroizing;

use super::{
    Tickets,
    cipher::{Counted, DATA, HEADER},
    hello::{Keys, Ticket},
};
use crate::{
    Cause,
    io::{
        aead::TAG,
        codec_stream::{Codec, Opened},
    },
};

/// The most payload that we put into one record, in bytes.
const MAX_PAYLOAD: usize = 8 * 1024;
/// The longest record that TLS allows, in bytes (RFC 8446 §5.2).
const MAX_RECORD: usize = 16_640;

const CHANGED: Cause = Cause::Protocol("a record of VLESS encryption does not open");

/// What comes next from the server.
enum Next {
    /// Its random bytes, from which the keys are derived.
    Random,
    /// The rest of its handshake.
    Padding(usize),
    Header,
    /// The body of the record with this header.
    Payload([u8; HEADER], usize),
}

/// Encrypts and decrypts one connection.
pub(in super::super) struct Records {
    /// The bytes that are sent in front of the first record.
    front: Vec<u8>,
    united: Zeroizing<Vec<u8>>,
    seal: Counted,
    open: Option<Counted>,
    next: Next,
    /// The ticket that was used, until the server has shown that it knows it.
    resumed: Option<(Arc<Tickets>, Ticket)>,
}

impl Records {
    /// A connection after a handshake, of which so many bytes of padding are still to come.
    pub(super) fn fresh(keys: Keys, open: Counted, padding: usize) -> Self {
        Self {
            front: Vec::new(),
            open: Some(open),
            united: keys.united,
            seal: keys.seal,
            next: if padding > 0 { Next::Padding(padding) } else { Next::Header },
            resumed: None,
        }
    }

    /// A connection with a ticket; `front` is sent before everything else.
    pub(super) fn resumed(front: Vec<u8>, keys: Keys, ticket: (Arc<Tickets>, Ticket)) -> Self {
        Self { front, open: None, united: keys.united, seal: keys.seal, next: Next::Random, resumed: Some(ticket) }
    }

    fn header(&mut self, header: [u8; HEADER]) -> Result<Opened, Cause> {
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        if header[..3] != DATA || !(TAG + 1..=MAX_RECORD).contains(&length) {
            return Err(match self.resumed.take() {
                Some((tickets, ticket)) => {
                    tickets.forget(&ticket);
                    Cause::Protocol("the server does not know its ticket any more")
                }
                None => Cause::Protocol("a record of VLESS encryption has an impossible header"),
            });
        }
        self.next = Next::Payload(header, length);
        Ok(Opened::Used(HEADER))
    }

    fn random(&mut self, random: [u8; 16]) -> Result<Opened, Cause> {
        self.open = Some(Counted::new(&random, &self.united)?);
        self.next = Next::Header;
        Ok(Opened::Used(random.len()))
    }

    /// The cipher of the server's records.
    fn opener(&mut self) -> Result<&mut Counted, Cause> {
        self.open.as_mut().ok_or(CHANGED)
    }
}

impl Codec for Records {
    fn seal(&mut self, payload: &[u8], wire: &mut Vec<u8>) -> Result<usize, Cause> {
        wire.append(&mut self.front);
        let piece = payload.get(..payload.len().min(MAX_PAYLOAD)).unwrap_or_default();
        // The protocol does not allow a record without payload.
        if piece.is_empty() {
            return Ok(0);
        }
        let [high, low] = u16::try_from(piece.len() + TAG).unwrap_or(u16::MAX).to_be_bytes();
        let [kind, major, minor] = DATA;
        let header = [kind, major, minor, high, low];
        let at = wire.len();
        wire.extend_from_slice(&header);
        wire.extend_from_slice(piece);
        self.seal.seal(&header, wire, at + HEADER)?;
        Ok(piece.len())
    }

    /// The protocol has no sign of an end.
    fn finish(&mut self, wire: &mut Vec<u8>) -> Result<(), Cause> {
        wire.append(&mut self.front);
        Ok(())
    }

    fn open(&mut self, wire: &mut [u8], out: &mut ReadBuf<'_>) -> Result<Opened, Cause> {
        match self.next {
            Next::Random => match wire.first_chunk() {
                Some(random) => self.random(*random),
                None => Ok(Opened::Need(16)),
            },
            Next::Header => match wire.first_chunk() {
                Some(header) => self.header(*header),
                None => Ok(Opened::Need(HEADER)),
            },
            Next::Padding(length) => match wire.get_mut(..length) {
                Some(sealed) => {
                    self.opener()?.open(&[], sealed).ok_or(CHANGED)?;
                    self.next = Next::Header;
                    Ok(Opened::Used(length))
                }
                None => Ok(Opened::Need(length)),
            },
            Next::Payload(header, length) => match wire.get_mut(..length) {
                Some(sealed) => {
                    let opened = self.opener()?.open_chunk(&header, sealed, out).ok_or(CHANGED)?;
                    (self.next, self.resumed) = (Next::Header, None);
                    Ok(opened)
                }
                None => Ok(Opened::Need(length)),
            },
        }
    }

    fn may_end(&self) -> bool {
        matches!(self.next, Next::Header) && self.resumed.is_none()
    }
}
