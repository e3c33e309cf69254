//! One AnyTLS connection: it reads and writes frames, for one stream at a time.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use parking_lot::Mutex;
use tokio::io::{AsyncWrite, ReadBuf};

use super::{
    padding::Scheme,
    wire::{self, Command, HEADER, Header, MAX_TEXT},
};
use crate::{BoxStream, Cause, io::read_buffer::ReadBuffer};

/// The padding scheme that the connections of a node share. The server may change it.
pub(super) type SharedScheme = Arc<Mutex<Arc<Scheme>>>;

/// What a read of the stream gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Payload went to the reader.
    Payload,
    /// The server ended the stream.
    End,
}

/// What the server has done with the current stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Nothing yet.
    Asked,
    /// It confirmed the stream, or sent payload.
    Open,
    Ended,
}

/// The connection.
pub(super) struct AnyTlsSession {
    io: BoxStream,
    shared: SharedScheme,
    /// The scheme when the connection began. A newer one is used from the next connection on.
    scheme: Arc<Scheme>,
    read_buffer: ReadBuffer,
    /// Pieces to write one by one: each becomes a TLS record of its own.
    write_buffer: VecDeque<Vec<u8>>,
    sent: usize,
    /// Writes so far.
    written: u32,
    stream: u32,
    progress: Progress,
    /// Data of the current frame that is still to come, and whether it is payload of the current stream.
    left: usize,
    ours: bool,
    /// The protocol version that the server has announced.
    version: u32,
    failed: bool,
}

impl AnyTlsSession {
    /// A new connection. Its first bytes and the settings are sent together with the first stream.
    pub(super) fn new(io: BoxStream, key: &wire::PasswordHash, shared: SharedScheme) -> Self {
        let scheme = Arc::clone(&shared.lock());
        let hello = wire::hello(key, scheme.first(&mut rand::rng()));
        Self {
            io,
            shared,
            scheme,
            read_buffer: ReadBuffer::default(),
            write_buffer: VecDeque::from([hello]),
            sent: 0,
            written: 0,
            stream: 0,
            progress: Progress::Ended,
            left: 0,
            ours: false,
            version: 1,
            failed: false,
        }
    }

    /// Begins a new stream whose first bytes are `request`. The streams before it have ended.
    pub(super) fn begin(&mut self, request: &[u8]) {
        let mut wire = Vec::new();
        if self.stream == 0 {
            let settings = wire::settings(self.scheme.digest());
            wire::put_frame(Command::Settings, 0, settings.as_bytes(), &mut wire);
        }
        self.stream = self.stream.wrapping_add(1);
        self.progress = Progress::Asked;
        // The rest of a frame of the last stream is dropped.
        self.ours = false;
        wire::put_frame(Command::Syn, self.stream, &[], &mut wire);
        wire::put_frame(Command::Push, self.stream, request, &mut wire);
        self.write(&wire);
    }

    /// Ends our side of the stream, and with it the whole stream.
    pub(super) fn end(&mut self) {
        if self.progress != Progress::Ended {
            self.progress = Progress::Ended;
            self.ours = false;
            let mut wire = Vec::new();
            wire::put_frame(Command::Fin, self.stream, &[], &mut wire);
            self.write(&wire);
        }
    }

    /// Queues payload. It may be called only when everything that was queued before has been sent.
    pub(super) fn push(&mut self, payload: &[u8]) -> usize {
        let piece = payload.get(..payload.len().min(wire::MAX_PAYLOAD)).unwrap_or_default();
        let mut wire = Vec::new();
        wire::put_frame(Command::Push, self.stream, piece, &mut wire);
        self.write(&wire);
        piece.len()
    }

    /// Whether another stream may follow.
    pub(super) const fn healthy(&self) -> bool {
        !self.failed && self.stream < u32::MAX
    }

    /// Whether the server should have confirmed the stream and has not. Only the first stream of a connection begins
    /// before the server's version is known.
    pub(super) fn unconfirmed(&self) -> bool {
        self.progress == Progress::Asked && self.version >= 2 && self.stream > 1
    }

    /// Whether everything has been sent.
    pub(super) fn is_idle(&self) -> bool {
        self.write_buffer.is_empty()
    }

    fn write(&mut self, wire: &[u8]) {
        self.written = self.written.saturating_add(1);
        self.write_buffer.extend(self.scheme.shape(self.written, wire, &mut rand::rng()));
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// The error of the connection.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(piece) = self.write_buffer.front() {
            let rest = piece.get(self.sent..).unwrap_or_default();
            if rest.is_empty() {
                self.write_buffer.pop_front();
                self.sent = 0;
                continue;
            }
            match ready!(Pin::new(&mut self.io).poll_write(cx, rest)) {
                Ok(0) => return self.fail(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.sent += written,
                Err(error) => return self.fail(error),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what is queued and flushes the connection.
    ///
    /// # Errors
    /// The error of the connection.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        match ready!(Pin::new(&mut self.io).poll_flush(cx)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => self.fail(error),
        }
    }

    fn fail<T>(&mut self, error: io::Error) -> Poll<io::Result<T>> {
        self.failed = true;
        Poll::Ready(Err(error))
    }

    /// Reads frames until payload of the stream has gone to `out`, or the stream ends.
    ///
    /// # Errors
    /// The error of the connection, [`Cause::Closed`] at its end, or [`Cause::TargetUnreachable`] when the server says so.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<Event>> {
        match ready!(self.poll_frames(cx, out)) {
            Ok(event) => Poll::Ready(Ok(event)),
            Err(cause) => {
                // The target has failed; the connection can carry another stream.
                self.failed |= !matches!(cause, Cause::TargetUnreachable(_));
                Poll::Ready(Err(cause.into()))
            }
        }
    }

    fn poll_frames(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<Result<Event, Cause>> {
        let before = out.filled().len();
        loop {
            if self.left == 0 && self.progress == Progress::Ended && self.stream > 0 && out.capacity() > 0 {
                return Poll::Ready(Ok(Event::End));
            }
            let needed = match self.step(out)? {
                None => continue,
                Some(_) if out.filled().len() > before => return Poll::Ready(Ok(Event::Payload)),
                Some(needed) => needed,
            };
            match ready!(self.read_buffer.poll_fill(&mut self.io, needed, cx)) {
                Ok(0) => return Poll::Ready(Err(Cause::Closed)),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Decodes one step of the received bytes. Returns how many bytes are needed when there are too few; 0 when the reader is full.
    fn step(&mut self, out: &mut ReadBuf<'_>) -> Result<Option<usize>, Cause> {
        if self.left > 0 {
            return Ok(self.data(out));
        }
        let bytes = self.read_buffer.bytes();
        let Some(header) = Header::read(bytes) else { return Ok(Some(HEADER)) };
        let current = header.stream == self.stream;
        let whole = match header.command {
            Some(Command::UpdatePadding | Command::ServerSettings) if header.length > MAX_TEXT => {
                return Err(Cause::Protocol("a text of the AnyTLS server is too long"));
            }
            Some(Command::UpdatePadding | Command::ServerSettings) => header.length,
            _ => 0,
        };
        let Some(text) = bytes.get(HEADER..HEADER + whole) else { return Ok(Some(HEADER + whole)) };
        match header.command {
            Some(Command::UpdatePadding) => {
                if let Some(scheme) = Scheme::read(text) {
                    *self.shared.lock() = Arc::new(scheme);
                }
            }
            Some(Command::ServerSettings) => self.version = wire::version(text).unwrap_or(self.version),
            _ => {}
        }
        self.read_buffer.consume(HEADER + whole);
        self.left = header.length - whole;
        self.ours = current && header.command == Some(Command::Push) && self.progress != Progress::Ended;
        self.handle_frame(header, current)?;
        Ok(None)
    }

    /// Acts on a frame, apart from its data.
    fn handle_frame(&mut self, header: Header, current: bool) -> Result<(), Cause> {
        match header.command {
            Some(Command::Alert) => return Err(Cause::ServerFailure("the AnyTLS server raised an alert")),
            Some(Command::HeartRequest) => {
                let mut wire = Vec::new();
                wire::put_frame(Command::HeartResponse, header.stream, &[], &mut wire);
                // A server that sends requests and never reads must not fill our memory.
                if self.write_buffer.len() > 64 {
                    return Err(Cause::Protocol("the AnyTLS server asks and does not read"));
                }
                self.write(&wire);
            }
            Some(Command::SynAck) if current && header.length > 0 && self.progress != Progress::Ended => {
                self.progress = Progress::Ended;
                return Err(Cause::TargetUnreachable("the AnyTLS server says so"));
            }
            Some(Command::SynAck | Command::Push) if current && self.progress == Progress::Asked => {
                self.progress = Progress::Open;
            }
            Some(Command::Fin) if current => self.progress = Progress::Ended,
            _ => {}
        }
        Ok(())
    }

    /// Passes data of a frame to the reader when it belongs to the current stream, and drops it otherwise.
    fn data(&mut self, out: &mut ReadBuf<'_>) -> Option<usize> {
        let bytes = self.read_buffer.bytes();
        let room = if self.ours { out.remaining() } else { usize::MAX };
        let length = self.left.min(bytes.len()).min(room);
        if length == 0 {
            return Some(1);
        }
        if self.ours {
            out.put_slice(bytes.get(..length).unwrap_or_default());
        }
        self.read_buffer.consume(length);
        self.left -= length;
        None
    }

    /// Serves an idle connection: sends what is queued, answers heartbeats, and drops other data. Ready when the connection is
    /// over.
    pub(super) fn poll_attend(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            // Whether everything could be sent shows in the queue; what was sent must also leave.
            let _ = self.poll_flush(cx);
            let queued = self.write_buffer.len();
            let read =
                if self.failed { return Poll::Ready(()) } else { self.poll_read(cx, &mut ReadBuf::new(&mut [])) };
            if read.is_pending() && self.write_buffer.len() <= queued {
                return Poll::Pending;
            }
        }
    }
}
