//! Reads the direction from the other side: a server's begins with the response header of VLESS; blocks follow, then bare payload.

use std::io;

use tokio::io::ReadBuf;
use uuid::Uuid;

#[cfg(feature = "fuzzing")]
use super::traffic::Side;
use super::{
    traffic::Traffic,
    wire::{BlockDecoder, BlockPart, Command},
};
use crate::Cause;

/// How far the direction has come.
#[derive(Debug)]
pub(super) enum DirectionDecoder {
    /// The version comes, the first byte of the response header. A server's direction begins here.
    Version,
    /// The length of the addons comes.
    AddonsLength,
    /// So many bytes of addons come.
    Addons(usize),
    /// Payload comes in blocks. A client's direction begins here, once its request was read.
    Blocks(BlockDecoder),
    /// Payload comes as it is, inside the layer.
    Bare,
    /// This much of the last record inside the layer is payload.
    Leaving(usize),
    /// Payload comes as it is, from the socket.
    Raw,
    /// Something was wrong; nothing more is read.
    Failed,
}

impl DirectionDecoder {
    /// Reads what it can of the chunk and puts payload into `out`. Returns how many bytes of the chunk it has read.
    ///
    /// # Errors
    /// [`Cause::Protocol`] when the bytes are not VLESS, or not Vision.
    pub(super) fn read(
        &mut self,
        chunk: &[u8],
        out: &mut ReadBuf<'_>,
        id: Uuid,
        traffic: &mut Traffic,
    ) -> Result<usize, Cause> {
        let mut used = 0;
        loop {
            let rest = chunk.get(used..).unwrap_or_default();
            match self {
                Self::Version | Self::AddonsLength | Self::Addons(1..) if rest.is_empty() => return Ok(used),
                Self::Version if rest.first() != Some(&0) => {
                    return Err(Cause::Protocol("the answer is not VLESS version 0"));
                }
                Self::Version => {
                    *self = Self::AddonsLength;
                    used += 1;
                }
                Self::AddonsLength => {
                    *self = Self::Addons(rest.first().map_or(0, |&length| usize::from(length)));
                    used += 1;
                }
                Self::Addons(0) => *self = Self::Blocks(BlockDecoder::new(id)),
                Self::Addons(left) => {
                    let length = rest.len().min(*left);
                    *left -= length;
                    used += length;
                }
                Self::Blocks(blocks) => match blocks.step(rest)? {
                    BlockPart::More => return Ok(used),
                    BlockPart::Skip(length) => used += length,
                    BlockPart::Content(_) if out.remaining() == 0 => return Ok(used),
                    BlockPart::Content(most) => {
                        let length = most.min(out.remaining());
                        let piece = rest.get(..length).unwrap_or_default();
                        traffic.see_read(piece);
                        out.put_slice(piece);
                        blocks.taken(length);
                        used += length;
                    }
                    BlockPart::Over(Command::Direct) => *self = Self::Leaving(rest.len()),
                    BlockPart::Over(_) => *self = Self::Bare,
                },
                Self::Bare | Self::Leaving(_) => {
                    let length = rest.len().min(out.remaining());
                    out.put_slice(rest.get(..length).unwrap_or_default());
                    if let Self::Leaving(left) = self {
                        *left = left.saturating_sub(length);
                    }
                    return Ok(used + length);
                }
                Self::Raw | Self::Failed => return Ok(used),
            }
        }
    }

    /// Judges the end of the stream: it is an error while a header or a block is incomplete.
    pub(super) fn at_end(&self) -> io::Result<()> {
        match self {
            Self::Version | Self::AddonsLength | Self::Addons(_) => Err(Cause::Closed.into()),
            Self::Blocks(blocks) if !blocks.between() => Err(Cause::Closed.into()),
            _ => Ok(()),
        }
    }
}

/// Reads a server's direction in records of `piece` bytes. Returns the length of the payload, or `None` after an error.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_vision_answer(bytes: &[u8], piece: usize) -> Option<usize> {
    read_all(DirectionDecoder::Version, Side::Client, bytes, piece)
}

/// Reads a client's direction in records of `piece` bytes. Returns the length of the payload, or `None` after an error.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_vision_payload(bytes: &[u8], piece: usize) -> Option<usize> {
    read_all(DirectionDecoder::Blocks(BlockDecoder::new(Uuid::nil())), Side::Server, bytes, piece)
}

#[cfg(feature = "fuzzing")]
fn read_all(mut decoder: DirectionDecoder, side: Side, bytes: &[u8], piece: usize) -> Option<usize> {
    let (mut traffic, mut length) = (Traffic::new(side), 0);
    for mut rest in bytes.chunks(piece.max(1)) {
        while !rest.is_empty() {
            if let DirectionDecoder::Raw | DirectionDecoder::Leaving(0) = decoder {
                return Some(length);
            }
            let mut room = [0; 100];
            let mut room = ReadBuf::new(&mut room);
            let used = decoder.read(rest, &mut room, Uuid::nil(), &mut traffic).ok()?;
            length += room.filled().len();
            rest = rest.get(used..).unwrap_or_default();
        }
    }
    decoder.at_end().ok().map(|()| length)
}
