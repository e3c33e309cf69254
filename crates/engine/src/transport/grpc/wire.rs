//! gRPC messages that hold pieces of a stream, without I/O (gRPC over HTTP/2; v2ray's `Hunk` and Xray's `MultiHunk`).
//!
//! ```text
//! | compressed? 0 | length L | message: field 1, bytes          | next message …
//! |       1       | 4        | 0x0a | length, varint | payload … |
//! |               |          | MultiHunk: any number of them     |
//! ```
//!
//! Both directions have the same form, and a `MultiHunk` with one piece is a `Hunk`. Payload is passed on as it comes; no message
//! is held back until it is whole.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::Cause;

/// Field 1, length-delimited.
const DATA: u64 = 0x0a;
/// The most bytes of a varint.
const MOST_VARINT: u32 = 10;
/// The most bytes in front of a payload that fits into 32 bits.
const MOST_FRONT: usize = 5 + 1 + 5;

/// The message that carries `payload`.
pub(super) fn message(payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(MOST_FRONT + payload.len());
    let mut front = BytesMut::with_capacity(6);
    front.put_u8(DATA as u8);
    put_varint(&mut front, payload.len() as u64);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(front.len() + payload.len()).unwrap_or(u32::MAX));
    bytes.extend_from_slice(&front);
    bytes.extend_from_slice(payload);
    bytes.freeze()
}

fn put_varint(bytes: &mut BytesMut, mut number: u64) {
    while number >= 0x80 {
        bytes.put_u8((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.put_u8(number as u8);
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// So many bytes of a message's front have been seen, and this is their content.
    Front { seen: u32, length: u32 },
    /// A field's tag.
    Tag,
    /// The length of a field. Its content is payload, or is ignored.
    Length { payload: bool },
    /// A number that is ignored.
    Number,
    /// So many bytes of a field, which are payload or are ignored.
    Content { payload: bool, left: u32 },
}

/// Takes the payload out of a stream of messages.
#[derive(Debug)]
pub(super) struct Decoder {
    part: Part,
    /// How many bytes of the message are still to come.
    left: u32,
    varint: u64,
    /// The bytes of the varint so far.
    shift: u32,
}

impl Decoder {
    /// At the beginning of a message.
    pub(super) const fn new() -> Self {
        Self { part: Part::Front { seen: 0, length: 0 }, left: 0, varint: 0, shift: 0 }
    }

    /// Whether the last message that has begun is complete.
    pub(super) const fn whole(&self) -> bool {
        matches!(self.part, Part::Front { seen: 0, .. })
    }

    /// Takes the next piece of payload from the front of `bytes`; `None` when `bytes` is used up.
    ///
    /// # Errors
    /// [`Cause::Protocol`] for malformed messages.
    pub(super) fn take(&mut self, bytes: &mut Bytes) -> Result<Option<Bytes>, Cause> {
        while bytes.has_remaining() {
            if let Part::Content { payload, left } = self.part {
                let length = bytes.len().min(left as usize);
                let content = bytes.split_to(length);
                // Both are at most `left`.
                let length = length as u32;
                self.left -= length;
                self.part = Part::Content { payload, left: left - length };
                if left == length {
                    self.next_field();
                }
                if payload && length > 0 {
                    return Ok(Some(content));
                }
                continue;
            }
            let byte = bytes.get_u8();
            self.step(byte)?;
        }
        Ok(None)
    }

    fn step(&mut self, byte: u8) -> Result<(), Cause> {
        match self.part {
            Part::Front { seen: 0, .. } if byte != 0 => Err(Cause::Protocol("a gRPC message is compressed")),
            Part::Front { seen, length } => {
                let length = length << 8 | u32::from(byte);
                if seen < 4 {
                    self.part = Part::Front { seen: seen + 1, length };
                } else {
                    self.left = length;
                    self.next_field();
                }
                Ok(())
            }
            Part::Tag => {
                if let Some(tag) = self.varint(byte)? {
                    self.part = match tag & 7 {
                        0 => Part::Number,
                        1 => self.content(false, 8)?,
                        2 => Part::Length { payload: tag == DATA },
                        5 => self.content(false, 4)?,
                        _ => return Err(Cause::Protocol("a gRPC message has a field of an unknown kind")),
                    };
                }
                Ok(())
            }
            Part::Length { payload } => {
                if let Some(length) = self.varint(byte)? {
                    self.part = self.content(payload, length)?;
                    if length == 0 {
                        self.next_field();
                    }
                }
                Ok(())
            }
            Part::Number => {
                if self.varint(byte)?.is_some() {
                    self.next_field();
                }
                Ok(())
            }
            // `take` does these itself.
            Part::Content { .. } => Ok(()),
        }
    }

    /// One byte of a varint inside the message; the number when it is complete.
    fn varint(&mut self, byte: u8) -> Result<Option<u64>, Cause> {
        let more = byte & 0x80 != 0;
        self.left = self.left.checked_sub(1).ok_or(Cause::Protocol("a gRPC message ends inside a field"))?;
        if more && (self.shift + 1 >= MOST_VARINT || self.left == 0) {
            return Err(Cause::Protocol("a number in a gRPC message does not end"));
        }
        self.varint |= u64::from(byte & 0x7f).checked_shl(self.shift * 7).unwrap_or(0);
        self.shift += 1;
        if more {
            return Ok(None);
        }
        self.shift = 0;
        Ok(Some(std::mem::take(&mut self.varint)))
    }

    fn content(&self, payload: bool, length: u64) -> Result<Part, Cause> {
        match u32::try_from(length) {
            Ok(left) if left <= self.left => Ok(Part::Content { payload, left }),
            _ => Err(Cause::Protocol("a field of a gRPC message is longer than the message")),
        }
    }

    fn next_field(&mut self) {
        self.part = if self.left > 0 { Part::Tag } else { Part::Front { seen: 0, length: 0 } };
    }
}
