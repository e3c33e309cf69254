//! Undoes the compression of fetched content the way browsers and people's tools do: by what the bytes are, not only by
//! what a header or a file name says.

use std::pin::Pin;

use async_compression::{
    tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder},
    zstd::DParameter,
};
use bytes::Bytes;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    task::yield_now,
};

/// The largest Zstandard window, as a power of two: 8 MiB is what HTTP allows (RFC 9659 §3).
const ZSTD_WINDOW: u32 = 23;

/// The most layers of compression that are undone; a list that is compressed twice by mistake has two.
const MAX_LAYERS: usize = 4;

/// The bytes that are looked at to tell text from binary content.
const SAMPLE_BYTES: usize = 1024;

/// The bytes that are decompressed before other tasks get their turn on this thread.
const YIELD_AFTER: usize = 256 * 1024;

/// Why content cannot be read.
#[derive(Debug, Error)]
pub(crate) enum ContentError {
    /// More than the limit comes out.
    #[error("too large")]
    TooLarge,
    /// The content is compressed in an unknown way, or is damaged; with the name of the encoding.
    #[error("{0}")]
    Encoding(Box<str>),
}

/// A content coding: RFC 9110 §8.4.1, RFC 7932 (Brotli), RFC 8878 (Zstandard).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Zstd,
    Zlib,
    /// `deflate` without the zlib wrapper, as some servers send it.
    RawDeflate,
    Brotli,
}

impl Coding {
    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Zlib | Self::RawDeflate => "deflate",
            Self::Brotli => "br",
        }
    }

    /// The coding that the first bytes announce without doubt.
    fn by_magic(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The codings that bytes without a magic number may be in, given the name that a header declares.
    fn candidates(declared: &str, bytes: &[u8]) -> &'static [Self] {
        match declared {
            "br" => &[Self::Brotli, Self::Zlib],
            // "deflate" means zlib (RFC 9110 §8.4.1.2), and some servers send it bare.
            "deflate" => &[Self::Zlib, Self::RawDeflate],
            _ if is_text(bytes) => &[],
            _ => &[Self::Zlib, Self::Brotli],
        }
    }
}

/// The content as it was before it was compressed; neither it nor any layer of it may be longer than `limit` bytes.
///
/// `declared` is the value of `Content-Encoding`, empty when there is none. A declaration that the bytes do not bear out
/// is passed over: servers name codings that they did not apply, apply one twice, and apply one without naming it.
///
/// # Errors
/// [`ContentError`] when too much comes out, or when the content is binary and no known coding explains it.
pub(crate) async fn decode(mut bytes: Bytes, declared: &str, limit: u64) -> Result<Bytes, ContentError> {
    let declared = declared.to_ascii_lowercase();
    let mut names = declared.rsplit(',').map(str::trim).filter(|name| !matches!(*name, "" | "identity"));
    for _ in 0..MAX_LAYERS {
        if let Some(coding) = Coding::by_magic(&bytes) {
            bytes = decompress(coding, &bytes, limit).await?;
            names.next();
            continue;
        }
        let Some(name) = names.next() else { return decode_undeclared(bytes, limit).await };
        let candidates = Coding::candidates(name, &bytes);
        match first_that_fits(candidates, &bytes, limit).await? {
            Some(plain) => bytes = plain,
            None if is_text(&bytes) => {}
            None => return Err(ContentError::Encoding(name.chars().take(40).collect())),
        }
    }
    Ok(bytes)
}

/// Content without a declaration and without a magic number: nearly always plain.
async fn decode_undeclared(bytes: Bytes, limit: u64) -> Result<Bytes, ContentError> {
    if is_text(&bytes) {
        return Ok(bytes);
    }
    let plain = first_that_fits(&[Coding::Zlib, Coding::Brotli], &bytes, limit).await?;
    Ok(plain.filter(|plain| is_text(plain)).unwrap_or(bytes))
}

/// What the first coding that fits makes of the bytes. Text that happens to be a valid stream, such as `ss://`, which
/// Brotli reads as an empty one, does not count as compressed.
async fn first_that_fits(codings: &[Coding], bytes: &Bytes, limit: u64) -> Result<Option<Bytes>, ContentError> {
    for coding in codings {
        match decompress(*coding, bytes, limit).await {
            Ok(plain) if is_text(bytes) && (plain.is_empty() || !is_text(&plain)) => {}
            Ok(plain) => return Ok(Some(plain)),
            Err(ContentError::Encoding(_)) => {}
            Err(too_large) => return Err(too_large),
        }
    }
    Ok(None)
}

async fn decompress(coding: Coding, bytes: &[u8], limit: u64) -> Result<Bytes, ContentError> {
    let plain = match coding {
        Coding::Gzip => {
            let mut members = GzipDecoder::new(bytes);
            members.multiple_members(true);
            match read_bounded(Box::pin(members), coding, limit).await {
                // Bytes behind the last member are ignored, as every other reader does.
                Err(ContentError::Encoding(_)) => read_bounded(Box::pin(GzipDecoder::new(bytes)), coding, limit).await,
                result => result,
            }
        }
        Coding::Zstd => {
            let decoder = ZstdDecoder::with_params(bytes, &[DParameter::window_log_max(ZSTD_WINDOW)]);
            read_bounded(Box::pin(decoder), coding, limit).await
        }
        Coding::Zlib => read_bounded(Box::pin(ZlibDecoder::new(bytes)), coding, limit).await,
        Coding::RawDeflate => read_bounded(Box::pin(DeflateDecoder::new(bytes)), coding, limit).await,
        Coding::Brotli => read_bounded(Box::pin(BrotliDecoder::new(bytes)), coding, limit).await,
    }?;
    Ok(plain.into())
}

async fn read_bounded(
    mut decoder: Pin<Box<dyn AsyncRead + Send + '_>>,
    coding: Coding,
    limit: u64,
) -> Result<Vec<u8>, ContentError> {
    let mut plain = Vec::new();
    loop {
        let turn = (&mut decoder).take(YIELD_AFTER as u64).read_to_end(&mut plain).await;
        match turn {
            Err(_) => return Err(ContentError::Encoding(coding.name().into())),
            Ok(_) if plain.len() as u64 > limit => return Err(ContentError::TooLarge),
            Ok(0) => return Ok(plain),
            Ok(_) => yield_now().await,
        }
    }
}

/// Whether content is text in some encoding: it has no control characters, or says that it is UTF-16.
fn is_text(bytes: &[u8]) -> bool {
    if matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        return true;
    }
    let is_control = |byte: &u8| matches!(byte, 0..=8 | 0x0e..=0x1a | 0x1c..=0x1f | 0xff);
    !bytes.iter().take(SAMPLE_BYTES).any(is_control)
}
