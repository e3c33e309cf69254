//! The padding scheme of AnyTLS: how many bytes each of the first writes on a connection has.
//!
//! ```text
//! stop=8                     writes from the 8th on go as they are
//! 0=30-30                    padding of the first bytes
//! 2=400-500,c,500-1000       write 2: a piece, then another one if payload is left (`c`)
//! ```

use md5::{Digest, Md5};
use rand::{Rng, RngExt};

use super::wire::{self, Command, HEADER};

/// The scheme of a client that has not been told another one, as the specification gives it.
pub(super) const DEFAULT: &str = "stop=8\n0=30-30\n1=100-400\n2=400-500,c,500-1000,c,500-1000,c,500-1000,c,500-1000\n\
                       3=9-9,500-1000\n4=500-1000\n5=500-1000\n6=500-1000\n7=500-1000";

/// The most writes that a scheme may shape.
const MOST_WRITES: u32 = 256;
/// The most pieces that a scheme may cut one write into.
const MOST_PIECES: usize = 64;
/// The longest piece, in bytes: one TLS record.
const MAX_PIECE: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// A length between the two, the second excluded unless they are equal.
    Size(usize, usize),
    /// Stop here when no payload is left.
    Check,
}

/// A padding scheme that has been parsed.
#[derive(Debug)]
pub(super) struct Scheme {
    digest: String,
    stop: u32,
    writes: Vec<(u32, Vec<Piece>)>,
}

impl Default for Scheme {
    fn default() -> Self {
        Self::read(DEFAULT.as_bytes()).unwrap_or(Self { digest: String::new(), stop: 0, writes: Vec::new() })
    }
}

impl Scheme {
    /// Reads a scheme; `None` when it has no `stop`. What cannot be read in a line is left out.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let pairs = || text.lines().filter_map(|line| line.split_once('='));
        let stop: u32 = pairs().find(|(name, _)| *name == "stop")?.1.trim().parse().ok()?;
        let writes = pairs()
            .filter_map(|(name, value)| Some((name.trim().parse().ok()?, value)))
            .filter(|(number, _)| *number < stop.min(MOST_WRITES))
            .map(|(number, value)| (number, value.split(',').filter_map(piece).take(MOST_PIECES).collect()))
            .take(MOST_WRITES as usize)
            .collect();
        Some(Self { digest: hex::encode(Md5::digest(bytes)), stop, writes })
    }

    /// The MD5 digest by which client and server name the scheme.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    fn pieces(&self, number: u32) -> &[Piece] {
        let found = self.writes.iter().find(|(write, _)| *write == number).filter(|_| number < self.stop);
        found.map_or(&[], |(_, pieces)| pieces)
    }

    /// The length of the padding in the first bytes.
    pub(super) fn first(&self, random: &mut impl Rng) -> usize {
        match self.pieces(0).first() {
            Some(Piece::Size(from, to)) => size(*from, *to, random),
            _ => 0,
        }
    }

    /// Cuts the payload of write `number` into pieces that are sent one by one, and fills them up with padding.
    pub(super) fn shape(&self, number: u32, payload: &[u8], random: &mut impl Rng) -> Vec<Vec<u8>> {
        let (mut rest, mut out) = (payload, Vec::new());
        for piece in self.pieces(number) {
            match piece {
                Piece::Check if rest.is_empty() => break,
                Piece::Check => {}
                Piece::Size(from, to) => {
                    let length = size(*from, *to, random);
                    let (now, later) = rest.split_at(length.min(rest.len()));
                    let mut bytes = now.to_vec();
                    let room = length - now.len();
                    match (now.is_empty(), room.checked_sub(HEADER)) {
                        // A piece of padding alone is as long as the scheme says, without its header.
                        (true, _) => waste(length, &mut bytes),
                        (false, Some(room @ 1..)) => waste(room, &mut bytes),
                        (false, _) => {}
                    }
                    rest = later;
                    out.push(bytes);
                }
            }
        }
        if !rest.is_empty() {
            out.push(rest.to_vec());
        }
        out
    }
}

fn waste(length: usize, wire: &mut Vec<u8>) {
    wire::put_frame(Command::Waste, 0, &vec![0; length], wire);
}

fn size(from: usize, to: usize, random: &mut impl Rng) -> usize {
    if from < to { random.random_range(from..to) } else { from }
}

fn piece(text: &str) -> Option<Piece> {
    if text == "c" {
        return Some(Piece::Check);
    }
    let (from, to) = text.split_once('-')?;
    let (from, to): (usize, usize) = (from.parse().ok()?, to.parse().ok()?);
    let (from, to) = (from.min(to), from.max(to));
    (from > 0).then_some(Piece::Size(from.min(MAX_PIECE), to.min(MAX_PIECE)))
}
