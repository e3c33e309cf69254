//! Finds the end of a request's body, where the next head begins. It does no I/O.
//!
//! ```text
//!   chunked (RFC 9112 §7.1):  size [extension] CRLF data CRLF … 0 CRLF trailers CRLF
//!   Size ──CR──► SizeEnd ──LF──► Data ──► DataEnd ──► Size      0: Trailer ──empty line──► over
//! ```

/// The longest size line, and the longest trailer section, in bytes.
const MAX_LINES: usize = 16 * 1024;
/// The most digits of a size, without leading zeros.
const MAX_DIGITS: u8 = 15;

/// What is left of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// So many bytes.
    Length(u64),
    /// Chunks, until the last one.
    Chunked(ChunkReader),
}

/// The position in a chunked body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChunkReader {
    part: Part,
    /// The size of the chunk, or what is left of it.
    size: u64,
    digits: u8,
    /// The bytes of the size line or of all trailers.
    line: usize,
}

/// The part of a chunked body that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Size,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    /// The beginning of a trailer line, or of the empty line after the last one.
    TrailerStart,
    Trailer,
    TrailerEnd,
    LastLf,
    Over,
}

impl BodyEnd {
    pub(super) const fn none() -> Self {
        Self::Length(0)
    }

    pub(super) const fn length(length: u64) -> Self {
        Self::Length(length)
    }

    pub(super) const fn chunked() -> Self {
        Self::Chunked(ChunkReader { part: Part::Size, size: 0, digits: 0, line: 0 })
    }

    /// Whether the body has ended.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(ChunkReader { part: Part::Over, .. }))
    }

    /// Takes the bytes that belong to the body from the front and returns their number; fewer than all only when the body ends
    /// there.
    ///
    /// # Errors
    /// What is wrong with a chunk.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        match self {
            Self::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                Ok(taken)
            }
            Self::Chunked(chunks) => chunks.take(bytes),
        }
    }
}

impl ChunkReader {
    fn take(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        let mut taken = 0;
        while self.part != Part::Over {
            let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) else { break };
            if self.part == Part::Data {
                let data = usize::try_from(self.size).unwrap_or(usize::MAX).min(rest.len());
                self.size -= data as u64;
                taken += data;
                if self.size == 0 {
                    self.part = Part::DataCr;
                }
                continue;
            }
            self.step(rest.first().copied().unwrap_or_default())?;
            taken += 1;
        }
        Ok(taken)
    }

    fn step(&mut self, byte: u8) -> Result<(), &'static str> {
        self.line += 1;
        if self.line > MAX_LINES {
            return Err("a line of the chunked body is too long");
        }
        self.part = match (self.part, byte) {
            (Part::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if self.digits < MAX_DIGITS => {
                // Leading zeros count as one digit.
                self.digits = if self.size == 0 { 1 } else { self.digits + 1 };
                self.size = self.size << 4 | u64::from(char::from(byte).to_digit(16).unwrap_or_default());
                Part::Size
            }
            (Part::Size, b'\r') if self.digits > 0 => Part::SizeEnd,
            (Part::Size, b';' | b' ' | b'\t') if self.digits > 0 => Part::Extension,
            (Part::Extension, b'\r') => Part::SizeEnd,
            (Part::Extension | Part::Trailer, b'\t' | b' '..=b'~' | 0x80..) => self.part,
            (Part::SizeEnd, b'\n') => {
                self.line = 0;
                if self.size == 0 { Part::TrailerStart } else { Part::Data }
            }
            (Part::DataCr, b'\r') => Part::DataLf,
            (Part::DataLf, b'\n') => {
                (self.digits, self.line) = (0, 0);
                Part::Size
            }
            (Part::TrailerStart, b'\r') => Part::LastLf,
            (Part::TrailerStart, b'!'..=b'~') => Part::Trailer,
            (Part::Trailer, b'\r') => Part::TrailerEnd,
            (Part::TrailerEnd, b'\n') => Part::TrailerStart,
            (Part::LastLf, b'\n') => Part::Over,
            _ => return Err("the chunks of the body are malformed"),
        };
        Ok(())
    }
}
