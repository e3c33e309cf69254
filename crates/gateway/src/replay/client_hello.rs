//! A whole TLS ClientHello, recognised byte by byte (RFC 8446 §4.1.2 and §5.1).
//!
//! ```text
//! record      16 | 03 xx | length:2 | piece          as many as the message needs, none of them longer
//! message     01 | length:3 | version:2 | random:32 | n:1 session | n:2 suites | n:1 compressions | n:2 extensions
//! extension   type:2 | n:2 data                      type 002a = early data follows
//! ```

use super::FlightKind;

/// A record that carries a handshake.
pub(super) const RECORD: u8 = 0x16;
/// The message type of a ClientHello.
const CLIENT_HELLO: u8 = 1;
const MAX_RECORD: usize = 1 << 14;
const EARLY_DATA: u16 = 42;

pub(super) fn kind(bytes: &[u8]) -> FlightKind {
    let mut message = Vec::new();
    let mut rest = bytes;
    loop {
        // As far as a header has arrived it must be one.
        let odd = |place: usize, fine: fn(u8) -> bool| rest.get(place).is_some_and(|byte| !fine(*byte));
        if odd(0, |byte| byte == RECORD) || odd(1, |byte| byte == 3) || odd(2, |byte| byte <= 4) {
            return FlightKind::Other;
        }
        let Some((&[_, _, _, high, low], after)) = rest.split_first_chunk() else { return FlightKind::Partial };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length == 0 || length > MAX_RECORD {
            return FlightKind::Other;
        }
        let piece = after.get(..length).unwrap_or(after);
        message.extend_from_slice(piece);
        if message.first().is_some_and(|first| *first != CLIENT_HELLO) {
            return FlightKind::Other;
        }
        let whole = message.first_chunk().map(|&[_, a, b, c]| 4 + u32::from_be_bytes([0, a, b, c]) as usize);
        match whole {
            Some(whole) if message.len() > whole || whole > super::MAX_REPLAY => return FlightKind::Other,
            _ if piece.len() < length => return FlightKind::Partial,
            Some(whole) if message.len() == whole => {
                let length = bytes.len() - after.len() + length;
                return early(&message).map_or(FlightKind::Other, |early| FlightKind::Hello { length, early });
            }
            _ => rest = after.get(length..).unwrap_or_default(),
        }
    }
}

/// Whether a whole message announces early data; nothing when it is not a well-formed ClientHello.
fn early(message: &[u8]) -> Option<bool> {
    let mut rest = message.get(4 + 2 + 32..)?;
    let session = field(&mut rest, 1)?;
    let suites = field(&mut rest, 2)?;
    let compressions = field(&mut rest, 1)?;
    if session.len() > 32 || suites.is_empty() || suites.len() % 2 != 0 || compressions.is_empty() {
        return None;
    }
    if rest.is_empty() {
        return Some(false);
    }
    let mut extensions = field(&mut rest, 2)?;
    let mut early = false;
    while !extensions.is_empty() {
        let (kind, after) = extensions.split_first_chunk()?;
        early |= u16::from_be_bytes(*kind) == EARLY_DATA;
        extensions = after;
        field(&mut extensions, 2)?;
    }
    rest.is_empty().then_some(early)
}

/// Takes a field with its length, of so many bytes, in front.
fn field<'a>(rest: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (length, after) = rest.split_at_checked(size)?;
    let length = length.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
    let (field, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(field)
}
