//! Gecko: inside Salamander, the long packets of a QUIC handshake are cut into padded pieces.
//!
//! ```text
//! | 80 | message | index (4 bits), count (4 bits) | padding's length | padding | piece of the packet |
//! |  1 |    1    |               1                |        2         |   var   |         var         |
//! ```
//! Packets with a short header (their first bit is 0) are sent as they are. Others become 2 to 8 pieces, which are padded to
//! a random length in a range. The two sides need not agree on the range. (The `gecko` obfuscation of Hysteria
//! 2.7 and sing-box 1.14.)

use std::time::Duration;

use rand::{Rng, RngExt};
use tokio::time::Instant;

use super::salamander::SALT;

const HEADER: usize = 5;
const PIECES: std::ops::RangeInclusive<usize> = 2..=8;

/// The longest packet on the wire that a node may ask for.
const MOST_WIRE: u16 = 2048;
/// An incomplete message is dropped after this time.
const PATIENCE: Duration = Duration::from_secs(8);
/// The most incomplete messages at the same time: one server has few handshakes under way.
const MOST_MESSAGES: usize = 8;

/// The range of lengths on the wire that pieces are padded to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    least: usize,
    most: usize,
}

impl Sizes {
    /// A range in bytes, with Hysteria's own values for what is absent; `None` when it is empty or longer than a packet.
    pub(super) fn new(least: Option<u16>, most: Option<u16>) -> Option<Self> {
        let (least, most) = (least.unwrap_or(512), most.unwrap_or(1200));
        (least > 0 && least <= most && most <= MOST_WIRE)
            .then_some(Self { least: usize::from(least), most: usize::from(most) })
    }
}

/// Whether a packet has QUIC's long header (RFC 9000 §17.2) and is to be cut, or is a piece already.
pub(super) const fn is_long(first: u8) -> bool {
    first & 0x80 != 0
}

/// Cuts a packet into pieces.
pub(super) fn cut(packet: &[u8], message: u8, sizes: Sizes, random: &mut impl Rng, mut piece: impl FnMut(&[u8])) {
    let count = random.random_range(PIECES);
    let length = packet.len() / count;
    let mut rest = packet;
    for index in 0..count {
        let (part, later) = rest.split_at(if index + 1 == count { rest.len() } else { length });
        rest = later;
        let bare = SALT + HEADER + part.len();
        let least = sizes.least.max(bare);
        let padding = if least > sizes.most { 0 } else { random.random_range(least..=sizes.most) - bare };
        let mut bytes = vec![0; HEADER + padding];
        random.fill_bytes(bytes.get_mut(HEADER..).unwrap_or_default());
        let [high, low] = u16::try_from(padding).unwrap_or(0).to_be_bytes();
        let header = [0x80, message, ((index as u8) << 4) | count as u8, high, low];
        bytes.get_mut(..HEADER).unwrap_or_default().copy_from_slice(&header);
        bytes.extend_from_slice(part);
        piece(&bytes);
    }
}

/// The messages of which some pieces have arrived.
#[derive(Debug, Default)]
pub(super) struct Pieces(Vec<Message>);

#[derive(Debug)]
struct Message {
    id: u8,
    pieces: Vec<Option<Box<[u8]>>>,
    until: Instant,
}

impl Pieces {
    /// Takes a piece. Returns the whole packet when this was the last missing piece; drops malformed pieces.
    pub(super) fn take(&mut self, piece: &[u8], now: Instant) -> Option<Vec<u8>> {
        let (&[_, id, place, high, low], rest) = piece.split_first_chunk::<HEADER>()?;
        let (index, count) = (usize::from(place >> 4), usize::from(place & 0x0f));
        if !PIECES.contains(&count) || index >= count {
            return None;
        }
        let part = rest.get(usize::from(u16::from_be_bytes([high, low]))..)?;
        self.0.retain(|message| message.until > now);
        let found = self.0.iter().position(|message| message.id == id);
        let place = found.unwrap_or_else(|| {
            if self.0.len() >= MOST_MESSAGES {
                self.0.remove(0);
            }
            self.0.push(Message { id, pieces: vec![None; count], until: now + PATIENCE });
            self.0.len() - 1
        });
        let message = self.0.get_mut(place)?;
        if message.pieces.len() != count {
            return None;
        }
        let slot = message.pieces.get_mut(index)?;
        if slot.is_some() {
            return None;
        }
        *slot = Some(part.into());
        if message.pieces.iter().any(Option::is_none) {
            return None;
        }
        let message = self.0.remove(place);
        Some(message.pieces.into_iter().flatten().flatten().collect())
    }
}
