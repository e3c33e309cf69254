//! The blocks of XTLS Vision (xtls-rprx-vision, as Xray's proxy package does it).
//!
//! ```text
//! first block: | user id | command | content length | padding length | content | padding |
//!              |   16    |    1    |       2        |       2        |   var   |   var   |
//! later ones:  the same without the user id
//! command: 0 more blocks follow; 1 bare payload follows; 2 bare payload follows outside TLS
//! ```

use rand::{Rng, RngExt};
use uuid::Uuid;

use crate::Cause;

/// The most content of one block, in bytes. Receivers have room for 8 KiB of a block with a user id.
pub(super) const MOST_CONTENT: usize = MOST_BLOCK - 16 - HEADER;

const MOST_BLOCK: usize = 8192;
const HEADER: usize = 5;

/// What comes after a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Another block.
    Continue,
    /// Payload as it is, still inside TLS.
    End,
    /// Payload as it is, outside TLS.
    Direct,
}

/// Appends one block. When `long` is true, short content gets as much padding as hides a TLS handshake message.
pub(super) fn pad(
    wire: &mut Vec<u8>,
    id: Option<&Uuid>,
    command: Command,
    content: &[u8],
    long: bool,
    random: &mut impl Rng,
) {
    let content = content.get(..content.len().min(MOST_CONTENT)).unwrap_or_default();
    let padding = if long && content.len() < 900 {
        900 - content.len() + random.random_range(0..500)
    } else {
        random.random_range(0..256)
    };
    let padding = padding.min(MOST_CONTENT - content.len());
    if let Some(id) = id {
        wire.extend_from_slice(id.as_bytes());
    }
    wire.push(match command {
        Command::Continue => 0,
        Command::End => 1,
        Command::Direct => 2,
    });
    for length in [content.len(), padding] {
        // Both are below 8 KiB.
        wire.extend_from_slice(&u16::try_from(length).unwrap_or_default().to_be_bytes());
    }
    wire.extend_from_slice(content);
    wire.resize(wire.len() + padding, 0);
}

/// Decodes the blocks of one direction.
#[derive(Debug)]
pub(super) struct BlockDecoder {
    id: Uuid,
    state: DecoderState,
}

#[derive(Clone, Copy, Debug)]
enum DecoderState {
    /// The user id comes, and so many bytes of it have come.
    Id(usize),
    /// The header comes.
    Header { bytes: [u8; HEADER], filled: usize },
    /// So many bytes of content come, then padding.
    Content { left: usize, padding: usize, command: Command },
    /// So many bytes of padding come.
    Padding { left: usize, command: Command },
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockPart {
    /// More bytes are needed.
    More,
    /// So many bytes are not payload.
    Skip(usize),
    /// Up to so many bytes are payload. [`BlockDecoder::taken`] tells the decoder how many were taken.
    Content(usize),
    /// No more blocks come.
    Over(Command),
}

impl BlockDecoder {
    /// A decoder that expects the first block, which begins with this user id.
    pub(super) const fn new(id: Uuid) -> Self {
        Self { id, state: DecoderState::Id(0) }
    }

    /// Says what the next bytes are.
    ///
    /// # Errors
    /// [`Cause::Protocol`] for another user's id or an unknown command.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Result<BlockPart, Cause> {
        match &mut self.state {
            DecoderState::Padding { left: 0, command: Command::Continue } => {
                self.state = DecoderState::Header { bytes: [0; HEADER], filled: 0 };
                self.step(bytes)
            }
            DecoderState::Padding { left: 0, command } => Ok(BlockPart::Over(*command)),
            _ if bytes.is_empty() => Ok(BlockPart::More),
            DecoderState::Id(came) => {
                let expected = self.id.as_bytes().get(*came..).unwrap_or_default();
                let length = expected.len().min(bytes.len());
                if expected.get(..length) != bytes.get(..length) {
                    return Err(Cause::Protocol("the payload does not begin with a block of Vision"));
                }
                *came += length;
                if *came == 16 {
                    self.state = DecoderState::Header { bytes: [0; HEADER], filled: 0 };
                }
                Ok(BlockPart::Skip(length))
            }
            DecoderState::Header { bytes: header, filled } => {
                let room = header.get_mut(*filled..).unwrap_or_default();
                let length = room.len().min(bytes.len());
                room.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
                *filled += length;
                if *filled == HEADER {
                    self.state = Self::begin(*header)?;
                }
                Ok(BlockPart::Skip(length))
            }
            DecoderState::Content { left, .. } => Ok(BlockPart::Content((*left).min(bytes.len()))),
            DecoderState::Padding { left, .. } => {
                let length = (*left).min(bytes.len());
                *left -= length;
                Ok(BlockPart::Skip(length))
            }
        }
    }

    /// Whether the last block that has begun is complete.
    pub(super) const fn between(&self) -> bool {
        matches!(
            self.state,
            DecoderState::Id(0) | DecoderState::Header { filled: 0, .. } | DecoderState::Padding { left: 0, .. }
        )
    }

    /// Takes note that so many bytes of content were taken.
    pub(super) fn taken(&mut self, length: usize) {
        if let DecoderState::Content { left, padding, command } = &mut self.state {
            *left = left.saturating_sub(length);
            if *left == 0 {
                self.state = DecoderState::Padding { left: *padding, command: *command };
            }
        }
    }

    fn begin([command, a, b, c, d]: [u8; HEADER]) -> Result<DecoderState, Cause> {
        let command = match command {
            0 => Command::Continue,
            1 => Command::End,
            2 => Command::Direct,
            _ => return Err(Cause::Protocol("an unknown command of Vision")),
        };
        let [left, padding] = [[a, b], [c, d]].map(|length| usize::from(u16::from_be_bytes(length)));
        Ok(if left == 0 {
            DecoderState::Padding { left: padding, command }
        } else {
            DecoderState::Content { left, padding, command }
        })
    }
}
