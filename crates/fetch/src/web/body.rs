//! Reading a body to its end, decompressed, with the limit on what comes out.

use std::{io, pin::Pin};

use async_compression::{
    tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder},
    zstd::DParameter,
};
use bytes::Bytes;
use futures_util::stream::try_unfold;
use hezar_engine::{DialError, http::HttpResponse};
use thiserror::Error;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

/// The largest Zstandard window, as a power of two: 8 MiB is what HTTP allows (RFC 9659 §3).
const ZSTD_WINDOW: u32 = 23;

#[derive(Debug, Error)]
pub(super) enum BodyError {
    #[error("too large")]
    TooLarge,
    #[error("{0}")]
    Encoding(Box<str>),
    #[error(transparent)]
    Exchange(#[from] DialError),
}

/// The whole body; neither it nor what came over the wire may be longer than `limit` bytes.
pub(super) async fn read(response: HttpResponse, limit: u64) -> Result<Bytes, BodyError> {
    let announced = response.header("content-length").and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(BodyError::TooLarge);
    }
    let encoding: Box<str> = response.header("content-encoding").unwrap_or_default().to_ascii_lowercase().into();
    let mut plain = decoder(&encoding, chunks(response, limit)).await.map_err(|error| cause(error, &encoding))?;
    let mut out = Vec::new();
    let read = (&mut plain).take(limit.saturating_add(1)).read_to_end(&mut out).await;
    read.map_err(|error| cause(error, &encoding))?;
    if out.len() as u64 > limit {
        return Err(BodyError::TooLarge);
    }
    Ok(Bytes::from(out))
}

/// The body as it comes over the wire. A bomb may also be a large file that decompresses to nothing.
fn chunks(response: HttpResponse, limit: u64) -> impl AsyncBufRead + Send {
    let pieces = try_unfold(response, move |mut response| async move {
        match response.chunk().await {
            Ok(_) if response.received() > limit => Err(io::Error::other(BodyError::TooLarge)),
            Ok(Some(piece)) => Ok(Some((piece, response))),
            Ok(None) => Ok(None),
            Err(error) => Err(io::Error::other(BodyError::Exchange(error))),
        }
    });
    StreamReader::new(Box::pin(pieces))
}

/// The content codings of RFC 9110 §8.4.1, RFC 7932 (br) and RFC 8878 (zstd).
async fn decoder(
    encoding: &str,
    mut wire: impl AsyncBufRead + Send + Unpin + 'static,
) -> io::Result<Pin<Box<dyn AsyncRead + Send>>> {
    Ok(match encoding.trim() {
        "" | "identity" => Box::pin(wire),
        "gzip" | "x-gzip" => {
            let mut gzip = GzipDecoder::new(wire);
            gzip.multiple_members(true);
            Box::pin(gzip)
        }
        "br" => Box::pin(BrotliDecoder::new(wire)),
        "zstd" => Box::pin(ZstdDecoder::with_params(wire, &[DParameter::window_log_max(ZSTD_WINDOW)])),
        "deflate" => {
            // "deflate" means zlib (RFC 9110 §8.4.1.2), and some servers send it bare. A zlib header ends in 8.
            let zlib = wire.fill_buf().await?.first().is_none_or(|byte| byte & 0x0f == 8);
            if zlib { Box::pin(ZlibDecoder::new(wire)) } else { Box::pin(DeflateDecoder::new(wire)) }
        }
        other => return Err(io::Error::other(BodyError::Encoding(other.chars().take(40).collect()))),
    })
}

/// Our own errors travel through readers inside I/O errors; any other is the decoder's.
fn cause(error: io::Error, encoding: &str) -> BodyError {
    match error.downcast::<BodyError>() {
        Ok(ours) => ours,
        Err(_) => BodyError::Encoding(encoding.into()),
    }
}
