//! What goes each way once ShadowTLS has left the TLS session: payload in what looks like that session's records, each
//! with a mark that only holders of the password can make.
//!
//! ```text
//! ⇄ | 17 03 03 | length 2 | mark 4 | payload |
//!   mark: the first bytes of HMAC-SHA1(password, ServerRandom, "C" or "S", the payloads so far and their marks)
//! ```

use aws_lc_rs::hmac::{Context, HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key};
use hezar_core::Secret;
use tokio::io::ReadBuf;

use crate::{
    Cause,
    io::codec_stream::{Codec, Opened},
    security::tls::records::{ALERT, DATA, HEADER, record_header},
};

/// The length of a mark, in bytes.
pub(super) const MARK: usize = 4;
/// The most payload in a frame of ours, as in TLS; peers go up to what the length can say.
const MAX_PAYLOAD: usize = 16 * 1024;

/// The most alerts in a row: nothing in them is authentic, and nobody may keep a connection busy with them.
const MOST_ALERTS: u8 = 64;

/// A running HMAC whose value after each payload is that payload's mark.
#[derive(Clone)]
pub(super) struct Marks(Context);

impl Marks {
    /// Begins with these parts.
    pub(super) fn new(password: &Secret, parts: &[&[u8]]) -> Self {
        let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.expose().as_bytes());
        let mut context = Context::with_key(&key);
        parts.iter().for_each(|part| context.update(part));
        Self(context)
    }

    /// Takes a payload in and gives its mark.
    pub(super) fn mark(&mut self, payload: &[u8]) -> [u8; MARK] {
        self.0.update(payload);
        self.0.clone().sign().as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// The same, and takes the mark in too, so that no two payloads can be joined into one.
    fn chained(&mut self, payload: &[u8]) -> [u8; MARK] {
        let mark = self.mark(payload);
        self.0.update(&mark);
        mark
    }
}

/// Writes a record's header for this much behind it, which fits its two bytes.
pub(super) fn put_header(wire: &mut impl Extend<u8>, length: usize) {
    let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    wire.extend([DATA, 3, 3, high, low]);
}

/// Both directions after the handshake.
pub(super) struct Frames {
    ours: Marks,
    theirs: Marks,
    /// Knows what the site still sends, until the first frame.
    site: Option<Marks>,
    /// Alerts since the last record that bears a mark.
    alerts: u8,
}

impl Frames {
    /// After a handshake with this ServerRandom; `site` has taken in all that the site sent.
    pub(super) fn new(password: &Secret, random: &[u8; 32], site: Marks) -> Self {
        let marks = |label| Marks::new(password, &[random, label]);
        Self { ours: marks(b"C"), theirs: marks(b"S"), site: Some(site), alerts: 0 }
    }
}

impl Codec for Frames {
    fn seal(&mut self, payload: &[u8], wire: &mut Vec<u8>) -> Result<usize, Cause> {
        let piece = payload.get(..payload.len().min(MAX_PAYLOAD)).unwrap_or_default();
        if !piece.is_empty() {
            put_header(wire, MARK + piece.len());
            wire.extend_from_slice(&self.ours.chained(piece));
            wire.extend_from_slice(piece);
        }
        Ok(piece.len())
    }

    /// There is no mark for an end.
    fn finish(&mut self, _: &mut Vec<u8>) -> Result<(), Cause> {
        Ok(())
    }

    fn open(&mut self, wire: &mut [u8], _: &mut ReadBuf<'_>) -> Result<Opened, Cause> {
        let Some((kind, whole)) = record_header(wire) else { return Ok(Opened::Need(HEADER)) };
        let Some(frame) = wire.get(HEADER..whole) else { return Ok(Opened::Need(whole)) };
        match (kind, frame.split_first_chunk()) {
            // Anybody can write one, and servers do when our side has ended, with more to come on theirs.
            (ALERT, _) if self.alerts < MOST_ALERTS => {
                self.alerts += 1;
                Ok(Opened::Used(whole))
            }
            (ALERT, _) => Err(Cause::Protocol("too many alerts between frames of ShadowTLS")),
            (DATA, Some((mark, payload))) => {
                self.alerts = 0;
                if self.site.as_mut().is_some_and(|site| site.mark(payload) == *mark) {
                    return Ok(Opened::Used(whole));
                }
                self.site = None;
                if self.theirs.chained(payload) == *mark {
                    return Ok(Opened::Held(whole, HEADER + MARK..whole));
                }
                Err(Cause::Protocol("a frame of ShadowTLS has a wrong mark"))
            }
            _ => Err(Cause::Protocol("a record is not what ShadowTLS has there")),
        }
    }

    fn may_end(&self) -> bool {
        true
    }
}
