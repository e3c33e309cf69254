//! HTTP/3 requests and answers, without I/O (RFC 9114, and RFC 9204 without its dynamic table).
//!
//! ```text
//! frame:      | type, varint | length, varint | content |     0 DATA, 1 HEADERS, 4 SETTINGS, 7 GOAWAY
//! HEADERS:    | 0 | 0 | field line …                          no entries of the dynamic table are used
//! field line: | 1 T | index, 6 bits |                         all of an entry; T = 1: of the static table
//!             | 0 1 N T | index, 4 bits | value |             the name of an entry
//!             | 0 0 1 N H | length, 3 bits | name | value |   what we send
//! value:      | H | length, 7 bits | text |                   H = 1: in Huffman's code
//! our control stream: | 0 | 4 | 0 |                           no SETTINGS, as long as the connection lives
//! ```
//!
//! Of the head of an answer only the status is used, which is its first field line (RFC 9114 §4.3.2). Payload goes from the
//! stream to the reader as it is. Only heads and the beginnings of frames are kept here.

use http::Request;

use crate::{Cause, quic::varint};

/// The bytes that open our control stream.
pub(super) const GREETING: [u8; 3] = [CONTROL as u8, SETTINGS as u8, 0];
/// The type of a control stream.
pub(super) const CONTROL: u64 = 0;
/// Frames.
const DATA: u64 = 0;
const HEADERS: u64 = 1;
const SETTINGS: u64 = 4;
/// The frame that says that no more requests are taken.
pub(super) const GOAWAY: u64 = 7;
/// Frames of other streams, and of HTTP/2, which may not come here (RFC 9114 §7.2, §7.2.8).
const ELSEWHERE: [u64; 9] = [2, 3, SETTINGS, 5, 6, GOAWAY, 8, 9, 0xd];
/// The longest head of an answer, in bytes.
const MOST_HEAD: usize = 16 * 1024;

/// The frame that opens a request.
pub(super) fn head(request: &Request<()>) -> Vec<u8> {
    let mut lines = vec![0, 0];
    let uri = request.uri();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let pseudo = [
        (":method", request.method().as_str()),
        (":scheme", uri.scheme_str().unwrap_or("https")),
        (":authority", authority),
        (":path", path),
    ];
    for (name, value) in pseudo {
        line(name, value.as_bytes(), &mut lines);
    }
    for (name, value) in request.headers() {
        line(name.as_str(), value.as_bytes(), &mut lines);
    }
    let mut frame = Vec::with_capacity(lines.len() + 5);
    varint::put(HEADERS, &mut frame);
    varint::put(lines.len() as u64, &mut frame);
    frame.extend_from_slice(&lines);
    frame
}

/// The frame that carries this payload.
pub(super) fn data(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(payload.len() + 5);
    varint::put(DATA, &mut frame);
    varint::put(payload.len() as u64, &mut frame);
    frame.extend_from_slice(payload);
    frame
}

fn line(name: &str, value: &[u8], bytes: &mut Vec<u8>) {
    put_prefixed(0b0010_0000, 3, name.len(), bytes);
    bytes.extend_from_slice(name.as_bytes());
    put_prefixed(0, 7, value.len(), bytes);
    bytes.extend_from_slice(value);
}

/// An integer in the last `bits` of a byte and as many bytes after it as it needs (RFC 7541 §5.1).
fn put_prefixed(flags: u8, bits: u8, value: usize, bytes: &mut Vec<u8>) {
    let most = (1_usize << bits) - 1;
    if value < most {
        return bytes.push(flags | value as u8);
    }
    bytes.push(flags | most as u8);
    let mut rest = value - most;
    while rest >= 0x80 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// Reads such an integer and removes it from the front of `bytes`.
fn take_prefixed(bits: u8, bytes: &mut &[u8]) -> Option<usize> {
    let (first, mut rest) = bytes.split_first()?;
    let most = (1_usize << bits) - 1;
    let mut value = usize::from(*first) & most;
    if value == most {
        // Nothing in a head is longer than three of these bytes can say.
        for shift in [0, 7, 14] {
            let (byte, after) = rest.split_first()?;
            rest = after;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                *bytes = rest;
                return Some(value);
            }
        }
        return None;
    }
    *bytes = rest;
    Some(value)
}

/// The status in the content of a HEADERS frame.
fn status(mut section: &[u8]) -> Option<u16> {
    let (inserts, _base) = (take_prefixed(8, &mut section)?, take_prefixed(7, &mut section)?);
    let first = *section.first()?;
    match first {
        _ if inserts != 0 => None,
        // The static table has statuses (RFC 9204 A).
        0xc0.. => Some(match take_prefixed(6, &mut section)? {
            24 => 103,
            25 => 200,
            26 => 304,
            27 => 404,
            28 => 503,
            63 => 100,
            64 => 204,
            65 => 206,
            66 => 302,
            67 => 400,
            68 => 403,
            69 => 421,
            70 => 425,
            71 => 500,
            _ => return None,
        }),
        0x40..=0x7f if first & 0x10 != 0 => {
            let index = take_prefixed(4, &mut section)?;
            matches!(index, 24..=28 | 63..=71).then(|| number(section))?
        }
        0x20..=0x3f => {
            let length = take_prefixed(3, &mut section)?;
            let (name, value) = section.split_at_checked(length)?;
            // The second one in Huffman's code.
            let names: [&[u8]; 2] = [b":status", &[0xb8, 0x84, 0x8d, 0x36, 0xa3]];
            (names.get(usize::from(first >> 3 & 1)) == Some(&name)).then(|| number(value))?
        }
        _ => None,
    }
}

/// Three digits as a value.
fn number(mut value: &[u8]) -> Option<u16> {
    let huffman = *value.first()? & 0x80 != 0;
    let length = take_prefixed(7, &mut value)?;
    let text = value.get(..length)?;
    let mut digits = [0; 3];
    if huffman {
        // 0, 1 and 2 have five bits, 3 to 9 have six, from 011001 on; 1s fill up the last byte (RFC 7541 B).
        let mut bytes = [0xff; 4];
        bytes.get_mut(..length)?.copy_from_slice(text);
        let mut bits = u32::from_be_bytes(bytes);
        for digit in &mut digits {
            let used;
            (*digit, used) = match (bits >> 27, bits >> 26) {
                (short @ 0..=2, _) => (short, 5),
                (_, long @ 25..=31) => (long - 22, 6),
                _ => return None,
            };
            bits <<= used;
        }
    } else {
        let text: [u8; 3] = text.try_into().ok()?;
        for (digit, byte) in digits.iter_mut().zip(text) {
            *digit = char::from(byte).to_digit(10)?;
        }
    }
    let [hundreds, tens, ones] = digits;
    u16::try_from(hundreds * 100 + tens * 10 + ones).ok()
}

/// The front of a frame, as far as it has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Front {
    bytes: [u8; 16],
    length: usize,
}

impl Front {
    /// Takes one more byte; type and length of the frame once they are there.
    pub(super) fn take(&mut self, byte: u8) -> Option<(u64, u64)> {
        // Two integers have sixteen bytes at most.
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
        let mut rest = self.bytes.get(..self.length)?;
        let front = (varint::take(&mut rest)?, varint::take(&mut rest)?);
        *self = Self::default();
        Some(front)
    }
}

/// What the next bytes of an answer are, and how many there are of them at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// For [`ResponseReader::take`].
    Ours(usize),
    /// For the reader.
    Payload(u64),
}

#[derive(Clone, Debug)]
enum Part {
    Front(Front),
    Head { left: usize, kept: Vec<u8> },
    Payload(u64),
    Nothing(u64),
}

/// Decodes an answer.
#[derive(Clone, Debug)]
pub(super) struct ResponseReader {
    part: Part,
    /// Whether its head has come with the status 200.
    begun: bool,
}

impl ResponseReader {
    /// Nothing has come.
    pub(super) fn new() -> Self {
        Self { part: Part::Front(Front::default()), begun: false }
    }

    /// What comes next.
    pub(super) fn next(&self) -> Next {
        match &self.part {
            Part::Front(_) => Next::Ours(1),
            Part::Head { left, .. } => Next::Ours(*left),
            Part::Payload(left) => Next::Payload(*left),
            Part::Nothing(left) => Next::Ours(usize::try_from(*left).unwrap_or(usize::MAX)),
        }
    }

    /// So much payload was read.
    pub(super) fn passed(&mut self, length: usize) {
        if let Part::Payload(left) = &mut self.part {
            *left = left.saturating_sub(length as u64);
            if *left == 0 {
                self.part = Part::Front(Front::default());
            }
        }
    }

    /// Takes bytes that are ours, at most as many as [`ResponseReader::next`] says.
    ///
    /// # Errors
    /// [`Cause::TransportStatus`] for any status but 200, [`Cause::Protocol`] for what is not an answer.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        let next = match &mut self.part {
            Part::Front(front) => match bytes.first().and_then(|byte| front.take(*byte)) {
                Some((kind, length)) => self.begin(kind, length)?,
                None => return Ok(()),
            },
            Part::Head { left, kept } => {
                kept.extend_from_slice(bytes);
                *left = left.saturating_sub(bytes.len());
                if *left > 0 {
                    return Ok(());
                }
                match status(kept).ok_or(Cause::Protocol("the head of an HTTP/3 answer has no status"))? {
                    // The real one is to come.
                    100..=199 => {}
                    200 => self.begun = true,
                    status => return Err(Cause::TransportStatus(status)),
                }
                Part::Front(Front::default())
            }
            Part::Nothing(left) => match left.saturating_sub(bytes.len() as u64) {
                0 => Part::Front(Front::default()),
                left => Part::Nothing(left),
            },
            Part::Payload(_) => return Ok(()),
        };
        self.part = next;
        Ok(())
    }

    fn begin(&self, kind: u64, length: u64) -> Result<Part, Cause> {
        match kind {
            HEADERS if !self.begun => match usize::try_from(length) {
                Ok(left @ 1..=MOST_HEAD) => Ok(Part::Head { left, kept: Vec::new() }),
                _ => Err(Cause::Protocol("the head of an HTTP/3 answer is empty or too long")),
            },
            DATA if !self.begun => Err(Cause::Protocol("an HTTP/3 answer without a head")),
            _ if ELSEWHERE.contains(&kind) => Err(Cause::Protocol("a frame that no HTTP/3 answer has")),
            _ if length == 0 => Ok(Part::Front(Front::default())),
            DATA => Ok(Part::Payload(length)),
            // These are trailers, and frames of unknown types, which are ignored (RFC 9114 §9).
            _ => Ok(Part::Nothing(length)),
        }
    }

    /// Judges the end of the answer.
    ///
    /// # Errors
    /// [`Cause::Closed`] when the answer is incomplete.
    pub(super) fn end(&self) -> Result<(), Cause> {
        match &self.part {
            Part::Front(front) if self.begun && front.length == 0 => Ok(()),
            _ => Err(Cause::Closed),
        }
    }
}
