//! Database files in compressed form: Zstandard (RFC 8878) with a checksum of the content.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{StoreError, file};

/// The first bytes of a Zstandard frame (RFC 8878 §3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Zstandard's own default: more costs much time for little room.
const LEVEL: i32 = 3;
/// What is read at a time.
const CHUNK: usize = 1 << 20;
/// The largest database that is taken out of a compressed file; a file of a few KiB may stand for any number of bytes.
const LARGEST: u64 = 64 << 30;

/// How fast a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// At most so many bytes of the database a second, beside a program that serves.
    BytesPerSecond(u64),
    /// As fast as it goes, when somebody waits for it.
    Unlimited,
}

/// Compresses `from` into the file `to`, which is there already, and syncs it. It blocks.
pub(crate) fn compress(from: &Path, to: &Path, pace: Pace) -> io::Result<()> {
    let target = OpenOptions::new().write(true).truncate(true).open(to)?;
    let mut encoder = zstd::Encoder::new(target, LEVEL)?;
    encoder.include_checksum(true)?;
    copy(&mut File::open(from)?, &mut encoder, pace)?;
    encoder.finish()?.sync_all()
}

/// Writes the database that `from` holds to the file `to`, which is there already, and syncs it. It blocks.
///
/// # Errors
/// [`StoreError::Corrupt`] when `from` is damaged or cut off, or why `to` cannot be written.
pub(crate) fn expand(from: &Path, to: &Path) -> Result<(), StoreError> {
    let damaged = |error: io::Error| StoreError::Corrupt { path: from.to_owned(), detail: error.to_string().into() };
    let source = File::open(from).map_err(|error| file::failed(from, error))?;
    let mut decoder = zstd::Decoder::new(source).map_err(damaged)?;
    let mut target = OpenOptions::new().write(true).truncate(true).open(to).map_err(|error| file::failed(to, error))?;
    let (mut chunk, mut written) = (vec![0; CHUNK], 0);
    loop {
        let length = decoder.read(&mut chunk).map_err(damaged)?;
        let Some(bytes) = chunk.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
        written += bytes.len() as u64;
        if written > LARGEST {
            return Err(damaged(io::Error::other("it stands for more than 64 GiB")));
        }
        target.write_all(bytes).map_err(|error| file::failed(to, error))?;
    }
    target.sync_all().map_err(|error| file::failed(to, error))
}

/// Whether a file begins as a compressed one does.
pub(crate) fn is_compressed(path: &Path) -> io::Result<bool> {
    let mut start = Vec::with_capacity(MAGIC.len());
    File::open(path)?.take(MAGIC.len() as u64).read_to_end(&mut start)?;
    Ok(start == MAGIC)
}

/// Reads a compressed file to its end, which checks every byte of it.
pub(super) fn read_through(path: &Path) -> io::Result<()> {
    io::copy(&mut zstd::Decoder::new(File::open(path)?)?, &mut io::sink()).map(drop)
}

fn copy(from: &mut impl Read, to: &mut impl Write, pace: Pace) -> io::Result<()> {
    let (begun, mut chunk, mut copied) = (Instant::now(), vec![0; CHUNK], 0_u64);
    loop {
        let length = from.read(&mut chunk)?;
        let Some(bytes) = chunk.get(..length).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        to.write_all(bytes)?;
        copied += bytes.len() as u64;
        if let Pace::BytesPerSecond(rate) = pace {
            let due = Duration::from_secs_f64(copied as f64 / rate.max(1) as f64);
            sleep(due.saturating_sub(begun.elapsed()));
        }
    }
}
