//! Reads the head of a client's request, and keeps every byte for a site when it is no client's.

use std::{io, time::Duration};

use bytes::{Buf, BytesMut};
use tokio::{
    io::AsyncReadExt,
    time::{Instant, timeout_at},
};

use super::{Stranger, StrangerReason, said_nothing};
use crate::{BoxStream, Prefixed};

/// Read at a time.
const PIECE: usize = 4096;

/// How long the rest of a head may take that clients send in one piece.
pub(crate) const HALF_HEAD: Duration = Duration::from_millis(500);

/// What the bytes that have come so far are: a request and the length of its head, `None` for the beginning of a head, or the reason why
/// no client sends them.
pub(crate) type HeadRead<T> = Result<Option<(T, usize)>, StrangerReason>;

/// Reads until `judge` knows what the bytes are; it is asked again whenever more have come. Gives the request and the stream
/// behind its head. A head that is not whole after `most` bytes is a stranger's, as is one that ends too early.
///
/// # Errors
/// Those of reading, and [`io::ErrorKind::UnexpectedEof`] when the connection ended before its first byte.
pub(crate) async fn read_head<T>(
    stream: BoxStream,
    most: usize,
    judge: impl FnMut(&[u8]) -> HeadRead<T>,
) -> io::Result<Result<(T, BoxStream), Stranger>> {
    read(stream, most, None, judge).await
}

/// As [`read_head`], for a head whose first bytes are those of no request to a web server, which would answer at once: one that is not
/// whole within [`HALF_HEAD`] after its first byte is a stranger's.
///
/// # Errors
/// As [`read_head`].
pub(crate) async fn read_prompt_head<T>(
    stream: BoxStream,
    most: usize,
    judge: impl FnMut(&[u8]) -> HeadRead<T>,
) -> io::Result<Result<(T, BoxStream), Stranger>> {
    read(stream, most, Some(HALF_HEAD), judge).await
}

async fn read<T>(
    mut stream: BoxStream,
    most: usize,
    half: Option<Duration>,
    mut judge: impl FnMut(&[u8]) -> HeadRead<T>,
) -> io::Result<Result<(T, BoxStream), Stranger>> {
    let mut bytes = BytesMut::with_capacity(PIECE.min(most));
    let mut until = None;
    loop {
        let piece = stream.read_buf(&mut bytes);
        let read = match until {
            None => piece.await,
            Some(until) => match timeout_at(until, piece).await {
                Ok(read) => read,
                Err(_) => return Ok(Err(Stranger { stream: behind(bytes, stream), why: StrangerReason::TooShort })),
            },
        };
        let ended = read? == 0;
        if bytes.is_empty() {
            return Err(said_nothing());
        }
        let why = match judge(&bytes) {
            Ok(Some((request, length))) => {
                bytes.advance(length.min(bytes.len()));
                return Ok(Ok((request, behind(bytes, stream))));
            }
            Err(why) => why,
            Ok(None) if ended => StrangerReason::TooShort,
            Ok(None) if bytes.len() >= most => StrangerReason::Protocol,
            Ok(None) => {
                until = until.or_else(|| half.map(|half| Instant::now() + half));
                bytes.reserve(PIECE.min(most - bytes.len()));
                continue;
            }
        };
        return Ok(Err(Stranger { stream: behind(bytes, stream), why }));
    }
}

/// The stream with what was read from it in front.
fn behind(bytes: BytesMut, stream: BoxStream) -> BoxStream {
    if bytes.is_empty() { stream } else { Box::new(Prefixed::new(bytes.freeze(), stream)) }
}
