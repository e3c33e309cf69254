//! A stream whose payload a [`Codec`] encrypts and decrypts. This module reads and writes the connection.

mod codec;

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use self::codec::open_all;
pub(crate) use self::codec::{Codec, Opened};
use super::{
    first_write::{FirstWrite, ReaderTask},
    read_buffer::ReadBuffer,
    write_buffer::WriteBuffer,
};
use crate::{BoxStream, Cause, Stream, io::copy::pour};

/// The most wire bytes gathered for one write, in bytes; one chunk may go beyond it.
const BATCH: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadPhase {
    /// No byte seen yet.
    Silent,
    Open,
    Ended,
    Failed,
}

/// The stream.
pub(crate) struct CodecStream<C> {
    io: BoxStream,
    codec: C,
    first: FirstWrite,
    read_buffer: ReadBuffer,
    write_buffer: WriteBuffer,
    read_phase: ReadPhase,
    /// The failure of the next read. Text that came before it was returned first.
    failure: Option<io::Error>,
    finished: bool,
    /// Whether the writer bypasses the codec.
    is_left: bool,
}

impl<C: Codec> CodecStream<C> {
    /// Speaks `codec` over `io`. Nothing is sent before the first write, or the first read that waits for too long.
    pub(crate) fn new(io: BoxStream, codec: C) -> Self {
        Self {
            io,
            codec,
            first: FirstWrite::new(),
            read_buffer: ReadBuffer::default(),
            write_buffer: WriteBuffer::default(),
            read_phase: ReadPhase::Silent,
            failure: None,
            finished: false,
            is_left: false,
        }
    }

    /// Continues on a connection whose headers have been exchanged; `received` came after them.
    pub(crate) fn underway(io: BoxStream, codec: C, received: Vec<u8>) -> Self {
        let mut sealed = Self::new(io, codec);
        (sealed.first, sealed.read_buffer, sealed.read_phase) =
            (FirstWrite::Writer, ReadBuffer::from(received), ReadPhase::Open);
        sealed
    }

    /// The codec.
    pub(crate) const fn codec(&self) -> &C {
        &self.codec
    }

    /// The codec, to change it.
    #[cfg(test)]
    pub(crate) const fn codec_mut(&mut self) -> &mut C {
        &mut self.codec
    }

    /// Sends the header, or helps to send it, when the stream is read before it is written.
    fn reader_acts(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.first.reader_acts(cx) {
            ReaderTask::Nothing => return Ok(()),
            ReaderTask::Send => {
                self.codec.seal(&[], self.write_buffer.buffer())?;
            }
            ReaderTask::Drive => {}
        }
        if self.write_buffer.poll_drain(&mut self.io, cx)?.is_ready() {
            // The next call sees whether the flush has ended. While it is pending, it wakes this task.
            let _ = Pin::new(&mut self.io).poll_flush(cx)?;
        }
        Ok(())
    }

    fn poll_open(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        loop {
            self.read_buffer.give_held(out);
            if out.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.poll_step(before, out, cx)) {
                Ok(true) => {}
                // A read that fails must not have read anything, so decrypted text is returned first.
                Err(failure) if out.filled().len() > before => {
                    self.failure = Some(failure);
                    return Poll::Ready(Ok(()));
                }
                result => return Poll::Ready(result.map(drop)),
            }
        }
    }

    /// Decrypts what comes next, or reads more. Returns false when nothing comes next, and when more would have to be read
    /// although `out` has got something since it had `before` bytes.
    fn poll_step(&mut self, before: usize, out: &mut ReadBuf<'_>, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let opened = match self.codec.open(self.read_buffer.bytes(), out) {
            Ok(opened) => opened,
            Err(cause) => {
                self.refuse(&cause, cx);
                return Poll::Ready(Err(cause.into()));
            }
        };
        match opened {
            Opened::Used(used) => self.read_buffer.consume(used),
            Opened::Held(used, range) => self.read_buffer.hold(used, range),
            Opened::End => {
                self.read_phase = ReadPhase::Ended;
                return Poll::Ready(Ok(false));
            }
            Opened::Need(_) if out.filled().len() > before => return Poll::Ready(Ok(false)),
            Opened::Need(length) => {
                if ready!(self.read_buffer.poll_fill(&mut self.io, length, cx))? == 0 {
                    return Poll::Ready(self.at_end().map(|()| false));
                }
                self.read_phase = ReadPhase::Open;
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Ends our side where the protocol says so, and tells the server why if the connection takes it at once.
    fn refuse(&mut self, cause: &Cause, cx: &mut Context<'_>) {
        if self.finished || self.is_left || !self.codec.refuse(cause, self.write_buffer.buffer()) {
            return;
        }
        self.finished = true;
        if self.write_buffer.poll_drain(&mut self.io, cx).is_ready() {
            let _ = Pin::new(&mut self.io).poll_flush(cx);
        }
    }

    /// The result of every further read, if the direction has ended.
    fn over(&mut self) -> Option<io::Result<()>> {
        if let Some(failure) = self.failure.take() {
            return Some(self.noted(Err(failure)));
        }
        match self.read_phase {
            ReadPhase::Ended => Some(Ok(())),
            ReadPhase::Failed => Some(Err(Cause::Closed.into())),
            ReadPhase::Silent | ReadPhase::Open => None,
        }
    }

    /// Remembers a failure.
    fn noted(&mut self, result: io::Result<()>) -> io::Result<()> {
        if result.is_err() {
            self.read_phase = ReadPhase::Failed;
        }
        result
    }

    /// The text of one chunk at most, for a reader that may bypass the codec between two chunks; empty at the end. Only writes
    /// send the header here.
    ///
    /// # Errors
    /// The error of the connection, or that of the codec.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.read_buffer.held().is_empty() {
            let result = match self.over() {
                Some(over) => over,
                None => ready!(self.poll_hold(cx)),
            };
            self.noted(result)?;
        }
        Poll::Ready(Ok(self.read_buffer.held()))
    }

    /// Removes bytes from the front of the chunk.
    pub(crate) fn consume(&mut self, length: usize) {
        self.read_buffer.drop_held(length);
    }

    fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Where there is no room, all text is held.
        let mut nowhere = ReadBuf::new(&mut []);
        while self.read_buffer.held().is_empty() && ready!(self.poll_step(0, &mut nowhere, cx))? {}
        Poll::Ready(Ok(()))
    }

    /// The connection beneath, for a writer that bypasses the codec. Everything must have been flushed before.
    pub(crate) const fn beneath(&mut self) -> &mut BoxStream {
        self.is_left = true;
        &mut self.io
    }

    /// Reads what comes after the last chunk, without the codec.
    ///
    /// # Errors
    /// The error of the connection.
    pub(crate) fn poll_read_beneath(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let waiting = self.read_buffer.bytes();
        if waiting.is_empty() {
            self.read_buffer = ReadBuffer::default();
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let before = buf.filled().len();
        pour(&mut &*waiting, buf);
        self.read_buffer.consume(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }

    /// The connection beneath, and what was read from it after the last chunk.
    pub(crate) fn into_beneath(mut self) -> (BoxStream, Bytes) {
        let waiting = Bytes::copy_from_slice(self.read_buffer.bytes());
        (self.io, waiting)
    }

    /// The connection ended.
    fn at_end(&mut self) -> io::Result<()> {
        // An end without any byte is what a server sends that did not accept the header. An end inside a chunk is an error, too.
        if self.read_phase == ReadPhase::Silent || !self.read_buffer.bytes().is_empty() || !self.codec.may_end() {
            return Err(Cause::Closed.into());
        }
        self.read_phase = ReadPhase::Ended;
        Ok(())
    }
}

/// Encrypts as much of `payload` as one batch holds. What was encrypted counts as written even when the next piece fails; that
/// failure comes again at the next call.
fn seal(codec: &mut impl Codec, payload: &[u8], wire: &mut Vec<u8>) -> Result<usize, Cause> {
    let mut taken = 0;
    loop {
        let from = wire.len();
        match codec.seal(payload.get(taken..).unwrap_or_default(), wire) {
            Ok(more) => taken += more,
            Err(cause) => {
                wire.truncate(from);
                return if taken > 0 { Ok(taken) } else { Err(cause) };
            }
        }
        if taken >= payload.len() || wire.len() >= BATCH {
            return Ok(taken);
        }
    }
}

impl<C: Codec> AsyncRead for CodecStream<C> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(over) = this.over() {
            return Poll::Ready(over);
        }
        let result = match this.reader_acts(cx) {
            Ok(()) => ready!(this.poll_open(cx, out)),
            Err(error) => Err(error),
        };
        Poll::Ready(this.noted(result))
    }
}

impl<C: Codec> Stream for CodecStream<C> {}

impl<C: Codec> AsyncWrite for CodecStream<C> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, payload: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.finished {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let header_due = this.first.writer_acts();
        ready!(this.write_buffer.poll_drain(&mut this.io, cx))?;
        if payload.is_empty() && !header_due {
            return Poll::Ready(Ok(0));
        }
        let wire = this.write_buffer.buffer();
        // One allocation is enough for all of it, since a chunk adds only some tens of bytes.
        let part = payload.len().min(BATCH);
        wire.reserve(part + part / 64 + 128);
        let taken = seal(&mut this.codec, payload, wire)?;
        // The bytes are buffered now. A connection that is not ready takes them at the next call or flush.
        let _ = this.write_buffer.poll_drain(&mut this.io, cx)?;
        Poll::Ready(Ok(taken))
    }

    /// Joins small slices, so that they become few chunks.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut full = slices.iter().filter(|slice| !slice.is_empty());
        let (first, second) = (full.next().map_or(&[][..], |slice| slice), full.next());
        if second.is_none() || first.len() >= BATCH {
            return self.poll_write(cx, first);
        }
        let this = &mut *self;
        ready!(this.write_buffer.poll_drain(&mut this.io, cx))?;
        let mut row = Vec::with_capacity(slices.iter().map(|slice| slice.len()).sum::<usize>().min(BATCH));
        for slice in slices {
            row.extend_from_slice(slice.get(..slice.len().min(BATCH - row.len())).unwrap_or_default());
        }
        self.poll_write(cx, &row)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.write_buffer.poll_drain(&mut this.io, cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.finished {
            this.first.writer_acts();
            ready!(this.write_buffer.poll_drain(&mut this.io, cx))?;
            this.codec.finish(this.write_buffer.buffer())?;
            this.finished = true;
        }
        ready!(this.write_buffer.poll_drain(&mut this.io, cx))?;
        // The connection is also shut down after a sign of the end, since sing-box does not take the empty chunk of VMess for one.
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}
