//! Packets that are too long for one datagram: cut into pieces, put together again.

use bytes::{Bytes, BytesMut};

/// The most packets in pieces at the same time; a newer one pushes the oldest out.
const MOST_PACKETS: usize = 4;
/// The longest packet that UDP carries.
const MOST_BYTES: usize = 65_535;

/// Packets whose pieces are coming in.
#[derive(Debug, Default)]
pub(crate) struct Fragments(Vec<Packet>);

#[derive(Debug)]
struct Packet {
    id: u16,
    pieces: Vec<Option<Bytes>>,
    bytes: usize,
}

impl Fragments {
    /// Takes piece `index` of `count` of packet `id`; the whole packet when it was the last one. What makes no sense is
    /// dropped.
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

/// Cuts a payload for datagrams that have room for `first` bytes of the first piece and `later` of the others: the number
/// of pieces, and the pieces with their index. `None` when it would take more than 255.
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
