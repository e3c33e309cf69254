//! Splits packets that are too long for one datagram into pieces, and reassembles them.

use bytes::{Bytes, BytesMut};

/// The most incomplete packets at the same time; a newer one replaces the oldest.
const MOST_PACKETS: usize = 4;
/// The longest packet that UDP carries.
const MOST_BYTES: usize = 65_535;

/// The packets of which some pieces have arrived.
#[derive(Debug, Default)]
pub(crate) struct Fragments(Vec<Packet>);

#[derive(Debug)]
struct Packet {
    id: u16,
    pieces: Vec<Option<Bytes>>,
    bytes: usize,
}

impl Fragments {
    /// Takes piece `index` of `count` of packet `id`. Returns the whole packet when this was the last missing piece; drops
    /// impossible pieces.
    pub(crate) fn take(&mut self, id: u16, index: u8, count: u8, piece: Bytes) -> Option<Bytes> {
        if count <= 1 {
            return (index == 0).then_some(piece);
        }
        if index >= count {
            return None;
        }
        let known = self.0.iter().position(|packet| packet.id == id && packet.pieces.len() == usize::from(count));
        let place = known.unwrap_or_else(|| {
            self.0.retain(|packet| packet.id != id);
            if self.0.len() >= MOST_PACKETS {
                self.0.remove(0);
            }
            self.0.push(Packet { id, pieces: vec![None; usize::from(count)], bytes: 0 });
            self.0.len() - 1
        });
        let packet = self.0.get_mut(place)?;
        let slot = packet.pieces.get_mut(usize::from(index))?;
        if slot.is_some() {
            return None;
        }
        packet.bytes += piece.len();
        *slot = Some(piece);
        if packet.bytes > MOST_BYTES {
            self.0.remove(place);
            return None;
        }
        if packet.pieces.iter().any(Option::is_none) {
            return None;
        }
        let packet = self.0.remove(place);
        let mut whole = BytesMut::with_capacity(packet.bytes);
        packet.pieces.iter().flatten().for_each(|piece| whole.extend_from_slice(piece));
        Some(whole.freeze())
    }
}

/// Splits a payload for datagrams that have room for `first` bytes of the first piece and `later` bytes of the others.
/// Returns the number of pieces, and the pieces with their indexes; `None` when there would be more than 255.
pub(crate) fn cut(payload: &[u8], first: usize, later: usize) -> Option<(u8, impl Iterator<Item = (u8, &[u8])>)> {
    if payload.len() > first && later == 0 {
        return None;
    }
    let (head, tail) = payload.split_at(first.min(payload.len()));
    let pieces = 1 + tail.len().div_ceil(later.max(1));
    let count = u8::try_from(pieces).ok()?;
    let pieces = std::iter::once(head).chain(tail.chunks(later.max(1)));
    Some((count, (0..count).zip(pieces)))
}
