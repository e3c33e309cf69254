//! The records of a TLS connection after its handshake (RFC 8446 §4.6, §5, §6): data, and the messages that may come in between.
//!
//! What made the keys of the handshake still derives new ones: rustls, or REALITY's own key schedule.

mod half;
mod post_handshake;
#[cfg(any(test, feature = "fuzzing"))]
mod rustls_comparison;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "fuzzing"))]
mod zero_keys;

use rustls::{
    AlertDescription, Error, ExtractedSecrets, SupportedCipherSuite, client::UnbufferedClientConnection,
    kernel::KernelConnection, server::UnbufferedServerConnection,
};
use tokio::io::ReadBuf;

use self::{
    half::Text,
    post_handshake::{ClientKernel, ServerKernel, half_of},
};
pub(in crate::security) use self::{
    half::{DATA, Edition, HEADER, Half, record_header},
    post_handshake::PostHandshake,
};
#[cfg(feature = "fuzzing")]
pub(crate) use self::{
    rustls_comparison::compare,
    zero_keys::{decode, decode_client},
};
use crate::{
    Cause,
    io::codec_stream::{Codec, Opened},
};

/// The most text of one record.
const MOST_TEXT: usize = 1 << 14;
/// The most that a record may have besides (RFC 8446 §5.2, RFC 5246 §6.2.3).
const MOST_AROUND: usize = 256;
const MOST_AROUND_TLS12: usize = 2048;
/// The longest message that may come after the handshake: a ticket has at most 64 KiB.
const MOST_MESSAGE: usize = (1 << 16) + 512;
/// The most records in a row that carry no data: tickets, and padding that nobody needs.
const MOST_EMPTY: u8 = 64;

/// Types of records beside [`DATA`] (RFC 8446 §5.1).
pub(in crate::security) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(in crate::security) const ALERT: u8 = 21;
pub(in crate::security) const HANDSHAKE: u8 = 22;
/// Alerts (RFC 8446 §6), and the level of those that end the connection.
const CLOSE_NOTIFY: u8 = 0;
pub(in crate::security) const UNEXPECTED_MESSAGE: u8 = 10;
pub(in crate::security) const BAD_RECORD_MAC: u8 = 20;
const RECORD_OVERFLOW: u8 = 22;
const DECODE_ERROR: u8 = 50;
pub(in crate::security) const DECRYPT_ERROR: u8 = 51;
const USER_CANCELED: u8 = 90;
pub(in crate::security) const FATAL: u8 = 2;
/// Handshake messages (RFC 8446 §4, RFC 5246 §7.4).
const HELLO_REQUEST: u8 = 0;
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;

const CHANGED: &str = "a TLS record does not open";
const TOO_LONG: &str = "a TLS record is too long";
pub(in crate::security) const UNEXPECTED: Cause = Cause::Protocol("a TLS message that has no place here");

/// Both directions.
pub(crate) struct Records {
    edition: Edition,
    ours: Half,
    theirs: Half,
    /// How many records our keys may have.
    pub(in crate::security) limit: u64,
    post_handshake: Box<dyn PostHandshake>,
    /// A message that has begun.
    message: Vec<u8>,
    /// Records without data since the last one with it.
    empty: u8,
    /// Whether the peer wants new keys from us too.
    renewal_due: bool,
    speaks_h2: bool,
}

impl Records {
    /// Takes over after the handshake of a client.
    ///
    /// # Errors
    /// When the configuration does not allow to take the secrets out.
    pub(super) fn for_client(connection: UnbufferedClientConnection) -> Result<Self, Error> {
        let speaks_h2 = connection.alpn_protocol() == Some(b"h2");
        let chain = connection.peer_certificates().into_iter().flatten().map(|certificate| certificate.len()).sum();
        Self::over(connection.dangerous_into_kernel_connection()?, speaks_h2, |connection| {
            Box::new(ClientKernel::new(connection, chain))
        })
    }

    /// Takes over after the handshake of a server, whose tickets have been sent.
    ///
    /// # Errors
    /// When the configuration does not allow to take the secrets out.
    pub(super) fn for_server(connection: UnbufferedServerConnection) -> Result<Self, Error> {
        let speaks_h2 = connection.alpn_protocol() == Some(b"h2");
        Self::over(connection.dangerous_into_kernel_connection()?, speaks_h2, |kernel| {
            Box::new(ServerKernel::new(kernel))
        })
    }

    fn over<D>(
        (secrets, kernel): (ExtractedSecrets, KernelConnection<D>),
        speaks_h2: bool,
        post_handshake: impl FnOnce(KernelConnection<D>) -> Box<dyn PostHandshake>,
    ) -> Result<Self, Error> {
        let edition = Edition::of_version(kernel.protocol_version());
        let limit = match kernel.negotiated_cipher_suite() {
            SupportedCipherSuite::Tls13(suite) => suite.common.confidentiality_limit,
            SupportedCipherSuite::Tls12(suite) => suite.common.confidentiality_limit,
        };
        let half = |secrets| half_of(edition, secrets).map_err(|cause| Error::General(cause.to_string()));
        let halves = (half(secrets.tx)?, half(secrets.rx)?);
        Ok(Self::with(edition, halves, limit, post_handshake(kernel), speaks_h2))
    }

    /// The records of a connection with these keys, of which each may have `limit` records.
    pub(in crate::security) fn with(
        edition: Edition,
        (ours, theirs): (Half, Half),
        limit: u64,
        post_handshake: Box<dyn PostHandshake>,
        speaks_h2: bool,
    ) -> Self {
        let (message, empty, renewal_due) = (Vec::new(), 0, false);
        Self { edition, ours, theirs, limit, post_handshake, message, empty, renewal_due, speaks_h2 }
    }

    /// Whether this is TLS 1.3.
    pub(crate) fn is_tls13(&self) -> bool {
        self.edition == Edition::Tls13
    }

    /// Whether HTTP/2 was agreed on.
    pub(crate) const fn speaks_h2(&self) -> bool {
        self.speaks_h2
    }

    /// Appends a message that new keys follow, when they are due (RFC 8446 §4.6.3, §5.5).
    fn renew(&mut self, wire: &mut Vec<u8>) -> Result<(), Cause> {
        let used_up = self.ours.sequence() + 1 >= self.limit;
        if !used_up && !self.renewal_due {
            return Ok(());
        }
        let renewed = self.post_handshake.renew_ours()?;
        self.ours.seal(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 0], wire)?;
        self.ours = renewed;
        self.renewal_due = false;
        Ok(())
    }

    /// Takes what is not data.
    fn hear(&mut self, kind: u8, text: &[u8]) -> Result<bool, Cause> {
        match (kind, text) {
            (ALERT, [_, CLOSE_NOTIFY]) => return Ok(false),
            (ALERT, [_, USER_CANCELED]) => {}
            // A warning ends nothing before TLS 1.3 (RFC 5246 §7.2.2).
            (ALERT, [1, _]) if self.edition == Edition::Tls12 => {}
            (ALERT, &[_, alert]) => return Err(failed(Error::AlertReceived(AlertDescription::from(alert)))),
            (HANDSHAKE, text) if !text.is_empty() => self.read_messages(text)?,
            _ => return Err(UNEXPECTED),
        }
        Ok(true)
    }

    fn read_messages(&mut self, text: &[u8]) -> Result<(), Cause> {
        if self.message.len() + text.len() > MOST_MESSAGE {
            return Err(UNEXPECTED);
        }
        self.message.extend_from_slice(text);
        let mut messages = std::mem::take(&mut self.message);
        let mut rest = &messages[..];
        while let Some((&[kind, a, b, c], after)) = rest.split_first_chunk() {
            let Some((body, after)) = after.split_at_checked(u32::from_be_bytes([0, a, b, c]) as usize) else { break };
            self.read_message(kind, body, after.is_empty())?;
            rest = after;
        }
        let used = messages.len() - rest.len();
        messages.drain(..used);
        if !messages.is_empty() {
            self.message = messages;
        }
        Ok(())
    }

    /// Acts on one message; `last` says that nothing follows it in its record.
    fn read_message(&mut self, kind: u8, body: &[u8], last: bool) -> Result<(), Cause> {
        match (self.edition, kind, body) {
            (Edition::Tls13, KEY_UPDATE, [wants @ 0..=1]) if last => {
                self.theirs = self.post_handshake.renew_theirs()?;
                self.renewal_due |= *wants == 1;
                Ok(())
            }
            (edition, kind, body) => self.post_handshake.take_message(edition, kind, body),
        }
    }

    /// How long the body of a record may be.
    fn most_body(&self) -> usize {
        MOST_TEXT + if self.is_tls13() { MOST_AROUND } else { MOST_AROUND_TLS12 }
    }

    /// Refuses a record whose text is too long, in TLS 1.3 with type and padding (RFC 8446 §5.4).
    fn check_length(&self, body: usize) -> Result<(), Cause> {
        let most = MOST_TEXT + usize::from(self.is_tls13());
        if self.theirs.room(body) > most { Err(Cause::Protocol(TOO_LONG)) } else { Ok(()) }
    }

    /// What an opened record is for.
    fn digest(&mut self, Text { kind, length }: Text, text: &[u8], used: usize) -> Result<Opened, Cause> {
        // Nothing comes between the parts of a message (RFC 8446 §5.1).
        if kind != HANDSHAKE && !self.message.is_empty() {
            return Err(UNEXPECTED);
        }
        if kind == DATA && length > 0 {
            self.empty = 0;
            return Ok(Opened::Used(used));
        }
        self.empty += 1;
        if self.empty > MOST_EMPTY {
            return Err(Cause::Protocol("too many TLS records without data"));
        }
        if kind == DATA || self.hear(kind, text.get(..length).unwrap_or_default())? {
            return Ok(Opened::Used(used));
        }
        Ok(Opened::End)
    }
}

fn failed(error: Error) -> Cause {
    Cause::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, error))
}

impl Codec for Records {
    fn seal(&mut self, payload: &[u8], wire: &mut Vec<u8>) -> Result<usize, Cause> {
        let piece = payload.get(..payload.len().min(MOST_TEXT)).unwrap_or_default();
        if !piece.is_empty() {
            self.renew(wire)?;
            self.ours.seal(DATA, piece, wire)?;
        }
        Ok(piece.len())
    }

    fn finish(&mut self, wire: &mut Vec<u8>) -> Result<(), Cause> {
        self.ours.seal(ALERT, &[1, CLOSE_NOTIFY], wire)
    }

    fn open(&mut self, wire: &mut [u8], out: &mut ReadBuf<'_>) -> Result<Opened, Cause> {
        let Some(&[kind, 3, _, high, low]) = wire.first_chunk() else {
            return if wire.len() < HEADER { Ok(Opened::Need(HEADER)) } else { Err(UNEXPECTED) };
        };
        let body = usize::from(u16::from_be_bytes([high, low]));
        // A record of an unknown type is refused at once: its length says nothing either.
        if self.is_tls13() && kind != DATA || !matches!(kind, 20..=24) {
            return Err(UNEXPECTED);
        }
        if body > self.most_body() {
            return Err(Cause::Protocol(TOO_LONG));
        }
        let used = HEADER + body;
        let Some(record) = wire.get_mut(..used) else { return Ok(Opened::Need(used)) };
        if self.theirs.room(body) <= out.remaining() {
            let text = self.theirs.open(record, Some(out)).ok_or(Cause::Protocol(CHANGED))?;
            self.check_length(body)?;
            let (kind, length) = (text.kind, text.length);
            let opened = self.digest(text, out.initialize_unfilled_to(length), used)?;
            if kind == DATA {
                out.advance(length);
            }
            return Ok(opened);
        }
        let text = self.theirs.open(record, None).ok_or(Cause::Protocol(CHANGED))?;
        self.check_length(body)?;
        let from = self.theirs.text_at();
        let (held, range) = (text.kind == DATA && text.length > 0, from..from + text.length);
        let opened = self.digest(text, record.get(range.clone()).unwrap_or_default(), used)?;
        Ok(if held { Opened::Held(used, range) } else { opened })
    }

    /// Many servers of the field close TCP without `close_notify`: between two records that is an ordinary end. What the inner
    /// protocol lost by it, the inner protocol notices.
    fn may_end(&self) -> bool {
        self.message.is_empty()
    }

    /// Both sides are over after a failure (RFC 8446 §6.2), and the peer is told which it was unless it has told us.
    fn refuse(&mut self, cause: &Cause, wire: &mut Vec<u8>) -> bool {
        let alert = match cause {
            Cause::Protocol(CHANGED) => BAD_RECORD_MAC,
            Cause::Protocol(TOO_LONG) => RECORD_OVERFLOW,
            Cause::Protocol(_) => UNEXPECTED_MESSAGE,
            Cause::Io(error) if is_alert(error) => return true,
            _ => DECODE_ERROR,
        };
        let from = wire.len();
        if self.ours.seal(ALERT, &[FATAL, alert], wire).is_err() {
            wire.truncate(from);
        }
        true
    }
}

/// Whether the peer has ended the connection by an alert.
fn is_alert(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(inner, Some(Error::AlertReceived(_)))
}
