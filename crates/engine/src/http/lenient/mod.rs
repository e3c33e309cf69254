//! Answers of HTTP/1 servers as they are met in the wild: their heads are read as browsers read them, and handed on as RFC 9112 wants them.
//!
//! ```text
//!   bytes ──► Head: whole? ──1xx──► dropped (100 is told)      ──► the next head
//!                          └─final─► written again, strictly    ──► Chunks: written again, too; any other body passes as it is
//! ```
//! Only for a stream that carries one exchange: what is lenient here must never decide where a second answer begins.

mod chunks;
mod framing;
mod head;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};

use self::chunks::Chunks;
use crate::{
    Cause,
    io::{
        copy::pour,
        read_through::{ReadThrough, Reader},
    },
};

/// The longest head of an answer that a proxy passes on, in bytes: browsers stop at 256 KiB, curl at 100 KiB a line.
pub const MAX_ANSWER_HEAD: usize = 128 * 1024;

/// The most interim answers (1xx) before the final one.
const MAX_INTERIM: u32 = 64;

/// A stream whose peer is an HTTP/1 server that is asked once; written bytes pass through.
pub type LenientAnswers<S> = ReadThrough<AnswerHeads, S>;

/// What is called when the server says `100 Continue`.
type OnContinue = Box<dyn Fn() + Send + Sync>;

/// Reads heads until the final one.
pub struct AnswerHeads {
    /// The longest head, in bytes.
    limit: usize,
    /// Bytes of the server that are not used yet.
    raw: BytesMut,
    /// How many of them hold no end of a head for certain.
    searched: usize,
    /// The final head, or what stands between two chunks, as far as it has not been given out.
    ready: Bytes,
    interim: u32,
    /// Whether the final head has been read.
    is_final: bool,
    /// How far the body has come when it is chunked.
    chunks: Option<Chunks>,
    on_continue: Option<OnContinue>,
}

impl<S> LenientAnswers<S> {
    /// Reads the one answer that `inner` brings; its head has at most `limit` bytes.
    ///
    /// A head that cannot be read fails the stream with [`Cause::BadAnswer`].
    pub fn new(inner: S, limit: usize) -> Self {
        let (raw, ready) = (BytesMut::new(), Bytes::new());
        let (is_final, chunks, on_continue) = (false, None, None);
        let reader = AnswerHeads { limit, raw, searched: 0, ready, interim: 0, is_final, chunks, on_continue };
        Self { reader, inner }
    }

    /// The same, and `on_continue` is called when the server says `100 Continue`.
    #[must_use]
    pub fn with_continue(mut self, on_continue: impl Fn() + Send + Sync + 'static) -> Self {
        self.reader.on_continue = Some(Box::new(on_continue));
        self
    }
}

impl AnswerHeads {
    /// Takes the heads out of what has arrived; true when more is needed.
    fn needs_more(&mut self) -> Result<bool, Cause> {
        loop {
            if self.searched == 0 {
                // A blank line in front is tolerated by every client.
                let blank = self.raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
                self.raw.advance(blank);
            }
            let Some((head, length)) = head::read(&self.raw, self.searched, self.limit)? else {
                self.searched = self.raw.len();
                return Ok(true);
            };
            self.raw.advance(length);
            self.searched = 0;
            if head.status == 101 || head.status >= 200 {
                self.is_final = true;
                self.chunks = head.is_chunked.then_some(Chunks::Size);
                self.ready = head.bytes.into();
                return Ok(false);
            }
            self.interim += 1;
            if self.interim > MAX_INTERIM {
                return Err(Cause::BadAnswer("it sends interim answers (1xx) without end"));
            }
            if let Some(on_continue) = self.on_continue.as_ref().filter(|_| head.status == 100) {
                on_continue();
            }
        }
    }
}

/// Reads a chunked body: data goes where it is wanted at once, what stands between it is written again.
fn poll_chunks<S: AsyncRead + Unpin>(
    chunks: &mut Chunks,
    raw: &mut BytesMut,
    inner: &mut S,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<Bytes>> {
    loop {
        let room = buf.remaining().min(raw.len());
        let data = chunks.pass(raw.get(..room).unwrap_or_default());
        if data > 0 {
            buf.put_slice(&raw.split_to(data));
            return Poll::Ready(Ok(Bytes::new()));
        }
        let between = chunks.between(raw)?;
        if !between.is_empty() || *chunks == Chunks::Over {
            return Poll::Ready(Ok(between.into()));
        }
        if raw.is_empty() {
            // A body that is waited for holds no buffer.
            *raw = BytesMut::new();
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut *inner).poll_read(cx, buf))?;
        let fresh = buf.filled().get(before..).unwrap_or_default();
        if fresh.is_empty() {
            return Poll::Ready(Ok(Bytes::new()));
        }
        // What is behind an unfinished line is not looked at before the line.
        let data = if raw.is_empty() { chunks.pass(fresh) } else { 0 };
        raw.extend_from_slice(fresh.get(data..).unwrap_or_default());
        buf.set_filled(before + data);
        if data > 0 {
            return Poll::Ready(Ok(Bytes::new()));
        }
    }
}

/// What is left of an answer that comes in pieces of `piece` bytes; `None` when it is refused.
#[cfg(feature = "fuzzing")]
pub(crate) fn decode(data: &[u8], piece: usize) -> Option<Vec<u8>> {
    let LenientAnswers { mut reader, .. } = LenientAnswers::new((), 1024);
    let mut out = Vec::new();
    for piece in data.chunks(piece.max(1)) {
        reader.raw.extend_from_slice(piece);
        if reader.is_final || !reader.needs_more().ok()? {
            out.extend_from_slice(&std::mem::take(&mut reader.ready));
            match &mut reader.chunks {
                Some(chunks) => chunks.rewrite(&mut reader.raw, &mut out).ok()?,
                None => out.extend_from_slice(&reader.raw.split()),
            }
        }
    }
    reader.is_final.then_some(out)
}

impl Reader for AnswerHeads {
    fn poll_read<S: AsyncRead + Unpin>(
        &mut self,
        inner: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_final {
            // The reader's own room is read into, and emptied again: no buffer is held for a server that is silent.
            let before = buf.filled().len();
            ready!(Pin::new(&mut *inner).poll_read(cx, buf))?;
            let fresh = buf.filled().get(before..).unwrap_or_default();
            if fresh.is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.raw.extend_from_slice(fresh);
            buf.set_filled(before);
            self.needs_more()?;
        }
        if !self.ready.is_empty() {
            pour(&mut self.ready, buf);
            return Poll::Ready(Ok(()));
        }
        if let Some(chunks) = &mut self.chunks {
            self.ready = ready!(poll_chunks(chunks, &mut self.raw, inner, cx, buf))?;
            pour(&mut self.ready, buf);
            return Poll::Ready(Ok(()));
        }
        if self.raw.is_empty() {
            return Pin::new(inner).poll_read(cx, buf);
        }
        pour(&mut self.raw, buf);
        if self.raw.is_empty() {
            self.raw = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    fn is_bare(&self) -> bool {
        self.is_final && self.chunks.is_none() && self.ready.is_empty() && self.raw.is_empty()
    }
}

impl fmt::Debug for AnswerHeads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerHeads").field("is_final", &self.is_final).field("interim", &self.interim).finish()
    }
}
