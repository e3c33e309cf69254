//! v2ray's multiplexer (Mux.Cool) with one stream in it, which v2ray-plugin uses unless `mux=0`. The server ignores the target
//! in the first frame, since it has a target of its own.
//!
//! ```text
//! | n | id 2 | status | option | [ network | port 2 | type | address ] | [ length 2 | payload ] |
//! | 2 |      first frame: 1    |         only in the first frame       |  when option has bit 0  |
//! ```

use tokio::io::ReadBuf;

use crate::{
    Cause,
    io::codec_stream::{Codec, Opened},
};

/// The most payload in one frame.
const MAX_PAYLOAD: usize = 8 * 1024;
/// The longest description of a frame that a server may send.
const MAX_META: usize = 512;

/// What a frame is.
const NEW: u8 = 1;
const KEEP: u8 = 2;
const END: u8 = 3;
const KEEP_ALIVE: u8 = 4;
/// Payload follows.
const HAS_DATA: u8 = 1;
/// The stream was cut off.
const HAS_ERROR: u8 = 2;

/// The one stream's number; v2ray counts from 1.
const ID: [u8; 2] = [0, 1];

/// Encodes and decodes one connection.
#[derive(Debug, Default)]
pub(super) struct MuxCodec {
    opened: bool,
    /// How many bytes of payload of the current frame are still to come, and whether they belong to our stream.
    left: usize,
    ours: bool,
    /// Whether the payload ends with this frame.
    ending: bool,
    heard: bool,
}

impl MuxCodec {
    /// Reads one frame's description.
    fn frame(&mut self, meta: &[u8], data: usize) -> Result<(), Cause> {
        let Some(&[high, low, status, option]) = meta.first_chunk() else {
            return Err(Cause::Protocol("a frame of the multiplexer is too short"));
        };
        let ours = [high, low] == ID;
        match status {
            KEEP | KEEP_ALIVE => {}
            END if ours && option & HAS_ERROR != 0 => {
                return Err(Cause::ServerFailure("the multiplexed stream was cut off"));
            }
            END => self.ending |= ours,
            _ => return Err(Cause::Protocol("a server opens no streams in the multiplexer")),
        }
        self.heard |= ours;
        (self.left, self.ours) = (data, ours && status != KEEP_ALIVE);
        Ok(())
    }
}

impl Codec for MuxCodec {
    fn seal(&mut self, payload: &[u8], wire: &mut Vec<u8>) -> Result<usize, Cause> {
        let piece = payload.get(..payload.len().min(MAX_PAYLOAD)).unwrap_or_default();
        let option = if piece.is_empty() { 0 } else { HAS_DATA };
        if self.opened {
            wire.extend_from_slice(&[0, 4, ID[0], ID[1], KEEP, option]);
        } else {
            self.opened = true;
            // TCP to 127.0.0.1 port 0.
            wire.extend_from_slice(&[0, 12, ID[0], ID[1], NEW, option, 1, 0, 0, 1, 127, 0, 0, 1]);
        }
        if !piece.is_empty() {
            wire.extend_from_slice(&u16::try_from(piece.len()).unwrap_or(u16::MAX).to_be_bytes());
            wire.extend_from_slice(piece);
        }
        Ok(piece.len())
    }

    /// The frame for an end would end both directions, so none is sent.
    fn finish(&mut self, wire: &mut Vec<u8>) -> Result<(), Cause> {
        if !self.opened {
            self.seal(&[], wire)?;
        }
        Ok(())
    }

    fn open(&mut self, wire: &mut [u8], out: &mut ReadBuf<'_>) -> Result<Opened, Cause> {
        if self.left > 0 {
            let room = if self.ours { out.remaining() } else { usize::MAX };
            let length = self.left.min(wire.len()).min(room);
            if length == 0 {
                return Ok(Opened::Need(1));
            }
            if self.ours {
                out.put_slice(wire.get(..length).unwrap_or_default());
            }
            self.left -= length;
            return Ok(Opened::Used(length));
        }
        if self.ending {
            return Ok(Opened::End);
        }
        let Some(length) = wire.first_chunk().map(|bytes| usize::from(u16::from_be_bytes(*bytes))) else {
            return Ok(Opened::Need(2));
        };
        if !(4..=MAX_META).contains(&length) {
            return Err(Cause::Protocol("a frame of the multiplexer has an impossible length"));
        }
        let has_data = wire.get(5).is_some_and(|option| option & HAS_DATA != 0);
        let whole = 2 + length + if has_data { 2 } else { 0 };
        if wire.len() < whole.max(6) {
            return Ok(Opened::Need(whole.max(6)));
        }
        let (meta, rest) = wire.get(2..).unwrap_or_default().split_at_checked(length).unwrap_or_default();
        let data = rest.first_chunk().filter(|_| has_data);
        let data = data.map_or(0, |bytes| usize::from(u16::from_be_bytes(*bytes)));
        self.frame(meta, data)?;
        Ok(Opened::Used(whole))
    }

    fn may_end(&self) -> bool {
        self.left == 0 && self.heard
    }
}
