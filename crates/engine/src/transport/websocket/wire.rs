//! WebSocket frames (RFC 6455 §5.2), without I/O.
//!
//! ```text
//!  0               1               2               3
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |F|R|R|R| opcode|M| length      | 16 bits if length = 126,      |
//! |I|S|S|S|       |A| 0..=125     | 64 bits if length = 127       |
//! |N|V|V|V|       |S| 126, 127    |                               |
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! | masking key, 4 bytes, if MASK (client → server always, server → client never)
//! +---------------------------------------------------------------+
//! | payload, byte i XOR key[i % 4]
//! +---------------------------------------------------------------+
//! ```

use bytes::{BufMut, BytesMut};

/// The longest payload of a control frame (RFC 6455 §5.5), in bytes.
pub(super) const MOST_CONTROL: usize = 125;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    /// More of the message that is under way.
    Continuation,
    /// The first frame of a text message; its bytes are taken as they are.
    Text,
    /// The first frame of a binary message.
    Binary,
    /// The end.
    Close,
    /// Asks for a pong.
    Ping,
    /// Answers a ping.
    Pong,
}

impl Opcode {
    const fn number(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    /// Whether it is a control frame, which may stand between the frames of a message.
    pub(super) const fn is_control(self) -> bool {
        self.number() >= 8
    }
}

/// Which end of the connection reads a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// It reads what a server sent, which is never masked.
    Client,
    /// It reads what a client sent, which is always masked.
    Server,
}

/// The front of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Whether the message ends with this frame.
    pub(super) last: bool,
    /// What it is.
    pub(super) opcode: Opcode,
    /// The length of the payload in bytes.
    pub(super) length: u64,
    /// The key that the payload is masked with.
    pub(super) key: Option<[u8; 4]>,
}

/// A frame that RFC 6455 does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameError {
    /// A reserved bit is set though no extension was agreed on.
    Reserved,
    /// The opcode is not one of the six.
    Opcode,
    /// A server masked its frame.
    Masked,
    /// A client did not mask its frame.
    Bare,
    /// The length's first bit is set.
    Length,
    /// A control frame is fragmented or longer than 125 bytes.
    Control,
}

impl FrameError {
    /// The text for [`Cause::Protocol`](crate::Cause::Protocol).
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Reserved => "a WebSocket frame uses an extension",
            Self::Opcode => "a WebSocket frame has an unknown opcode",
            Self::Masked => "a WebSocket frame from the server is masked",
            Self::Bare => "a WebSocket frame from the client is not masked",
            Self::Length => "a WebSocket frame has an impossible length",
            Self::Control => "a WebSocket control frame is too long",
        }
    }
}

/// Reads the header at the front of `bytes`; `None` while it is incomplete. Returns its own length beside it.
///
/// # Errors
/// [`FrameError`]: what is wrong with it.
pub(super) fn decode(bytes: &[u8], side: Side) -> Result<Option<(Header, usize)>, FrameError> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err(FrameError::Reserved);
    }
    let opcode = Opcode::from_number(first & 0x0f).ok_or(FrameError::Opcode)?;
    match (side, second & 0x80 != 0) {
        (Side::Client, true) => return Err(FrameError::Masked),
        (Side::Server, false) => return Err(FrameError::Bare),
        _ => {}
    }
    let last = first & 0x80 != 0;
    let short = second & 0x7f;
    if opcode.is_control() && (!last || usize::from(short) > MOST_CONTROL) {
        return Err(FrameError::Control);
    }
    let (length, size) = match short {
        126 => match rest.first_chunk() {
            Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 4),
            None => return Ok(None),
        },
        127 => match rest.first_chunk() {
            Some(bytes) => (u64::from_be_bytes(*bytes), 10),
            None => return Ok(None),
        },
        short => (u64::from(short), 2),
    };
    if length >> 63 != 0 {
        return Err(FrameError::Length);
    }
    let header = Header { last, opcode, length, key: None };
    if side == Side::Client {
        return Ok(Some((header, size)));
    }
    let key = bytes.get(size..).and_then(|rest| rest.first_chunk());
    Ok(key.map(|key| (Header { key: Some(*key), ..header }, size + key.len())))
}

/// Appends one whole frame: header, and the payload, which a client masks with its `key`.
pub(super) fn encode(out: &mut BytesMut, opcode: Opcode, key: Option<[u8; 4]>, payload: &[u8]) {
    out.reserve(payload.len() + 14);
    out.put_u8(0x80 | opcode.number());
    let masked = if key.is_some() { 0x80 } else { 0 };
    match payload.len() {
        short @ 0..=125 => out.put_u8(masked | u8::try_from(short).unwrap_or(125)),
        length => match u16::try_from(length) {
            Ok(length) => {
                out.put_u8(masked | 126);
                out.put_u16(length);
            }
            Err(_) => {
                out.put_u8(masked | 127);
                out.put_u64(length as u64);
            }
        },
    }
    let Some(key) = key else {
        out.put_slice(payload);
        return;
    };
    out.put_slice(&key);
    let start = out.len();
    out.put_slice(payload);
    mask(&mut out[start..], key);
}

/// XORs `payload` with `key`, sixteen bytes at a time.
pub(super) fn mask(payload: &mut [u8], key: [u8; 4]) {
    let word = u128::from_ne_bytes([key, key, key, key].as_flattened().try_into().unwrap_or_default());
    let (words, tail) = payload.as_chunks_mut::<16>();
    for chunk in words {
        *chunk = (u128::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// Takes the mask off the next piece of a frame's payload, and turns the key to the piece after it.
pub(super) fn unmask(key: &mut Option<[u8; 4]>, piece: &mut [u8]) {
    if let Some(key) = key {
        mask(piece, *key);
        let turned = piece.len() % key.len();
        key.rotate_left(turned);
    }
}
