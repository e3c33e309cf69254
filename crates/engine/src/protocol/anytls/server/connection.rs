//! The connection of a client: it reads and writes frames for as long as somebody asks for the next request.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Buf as _;
use tokio::{
    io::AsyncWrite,
    time::{Instant, Sleep, sleep},
};

use super::{
    super::{
        padding::{DEFAULT, Scheme},
        wire::{self, Command, HEADER, Header, MAX_TEXT},
    },
    shared::{Shared, State},
    stream::AnyTlsServedStream,
    target::{Asked, take_target},
};
use crate::{
    BoxStream, Cause,
    io::{read_buffer::ReadBuffer, write_buffer::WriteBuffer},
    protocol::packets,
    served::{CredentialId, InboundRequest, InboundSession, SessionItem, StreamRequest},
};

/// The padding scheme that clients are told of.
static SCHEME: LazyLock<Scheme> = LazyLock::new(Scheme::default);
/// The most streams at a time.
const MOST_STREAMS: usize = 256;
/// How long a connection without streams stays open. Clients close idle ones themselves, after 30 s as a rule.
const IDLE_LIMIT: Duration = Duration::from_secs(300);
/// Clients of version 2 give up a whole connection when a stream is not confirmed for 3 s; the nodes behind may need longer.
const CONFIRMATION: Duration = Duration::from_millis(2500);

/// The connection.
pub(super) struct AnyTlsConnection {
    io: BoxStream,
    credential: CredentialId,
    shared: Arc<Shared>,
    read_buffer: ReadBuffer,
    write_buffer: WriteBuffer,
    /// Whether something was written that has not been flushed.
    unflushed: bool,
    /// Whether the client has sent its settings.
    is_introduced: bool,
    /// The data of the current frame that is still to come, and the stream that it is for.
    left: usize,
    receiver: Option<u32>,
    /// Requests that the client must be told of at these times.
    unconfirmed: VecDeque<(Instant, u32)>,
    alarm: Pin<Box<Sleep>>,
}

impl AnyTlsConnection {
    /// The connection of a client with this credential, behind its beginning.
    pub(super) fn new(io: BoxStream, credential: CredentialId) -> Self {
        Self {
            io,
            credential,
            shared: Arc::default(),
            read_buffer: ReadBuffer::default(),
            write_buffer: WriteBuffer::default(),
            unflushed: false,
            is_introduced: false,
            left: 0,
            receiver: None,
            unconfirmed: VecDeque::new(),
            alarm: Box::pin(sleep(IDLE_LIMIT)),
        }
    }

    /// The next request; `None` at the end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<InboundRequest>> {
        if self.shared.0.lock().is_over {
            return Poll::Ready(None);
        }
        match ready!(self.poll_request(cx)) {
            Ok(request) => Poll::Ready(Some(request)),
            Err(cause) => {
                tracing::trace!(%cause, "a connection of AnyTLS has ended");
                if matches!(cause, Cause::Protocol(_)) {
                    self.shared.0.lock().send(Command::Alert, 0, b"protocol error");
                }
                // What does not leave now never does.
                let _ = self.poll_send(cx);
                self.close();
                Poll::Ready(None)
            }
        }
    }

    fn close(&self) {
        self.shared.0.lock().close();
    }

    /// Reads and writes until there is a request.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Result<InboundRequest, Cause>> {
        loop {
            self.shared.0.lock().connection = Some(cx.waker().clone());
            let sent = self.poll_send(cx)?;
            if let Poll::Ready(request) = self.poll_receive(cx)? {
                return Poll::Ready(Ok(request));
            }
            if self.poll_alarm(cx).is_ready() {
                return Poll::Ready(Err(Cause::Closed));
            }
            // Whether something is to be sent is known after the waker is in its place, so that no stream's call is lost.
            if sent.is_pending() || self.shared.0.lock().to_send.is_empty() {
                return Poll::Pending;
            }
        }
    }

    /// Sends what is queued.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.write_buffer.poll_drain(&mut self.io, cx))?;
            let mut state = self.shared.0.lock();
            if state.to_send.is_empty() {
                break;
            }
            *self.write_buffer.buffer() = std::mem::take(&mut state.to_send);
            self.unflushed = true;
            state.wake_writers();
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads frames until there is a request, or no more may be read.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<InboundRequest, Cause>> {
        loop {
            let needed = {
                let shared = Arc::clone(&self.shared);
                let mut state = shared.0.lock();
                if !state.may_receive() {
                    return Poll::Pending;
                }
                match self.step(&mut state)? {
                    Step::Used => continue,
                    Step::Need(needed) => needed,
                    Step::Asked(id) => match self.request(&mut state, id) {
                        Some(request) => return Poll::Ready(Ok(request)),
                        None => continue,
                    },
                }
            };
            if ready!(self.read_buffer.poll_fill(&mut self.io, needed, cx))? == 0 {
                return Poll::Ready(Err(Cause::Closed));
            }
            self.shared.0.lock().last_use = Instant::now();
        }
    }

    /// Decodes one step of the received bytes.
    fn step(&mut self, state: &mut State) -> Result<Step, Cause> {
        if self.left > 0 {
            return Ok(self.data(state));
        }
        let bytes = self.read_buffer.bytes();
        let Some(header) = Header::read(bytes) else { return Ok(Step::Need(HEADER)) };
        let whole = if header.command == Some(Command::Settings) { header.length } else { 0 };
        if whole > MAX_TEXT {
            return Err(Cause::Protocol("the settings of an AnyTLS client are too long"));
        }
        let Some(text) = bytes.get(HEADER..HEADER + whole) else { return Ok(Step::Need(HEADER + whole)) };
        self.receiver = None;
        match header.command {
            Some(Command::Settings) => {
                self.is_introduced = true;
                introduce(state, text);
            }
            Some(Command::Syn) if !self.is_introduced => {
                return Err(Cause::Protocol("an AnyTLS client opens a stream before it has sent its settings"));
            }
            Some(Command::Syn) => open(state, header.stream),
            Some(Command::Push) => self.receiver = Some(header.stream),
            Some(Command::Fin) => state.end(header.stream),
            Some(Command::HeartRequest) => state.send(Command::HeartResponse, header.stream, &[]),
            _ => {}
        }
        self.read_buffer.consume(HEADER + whole);
        self.left = header.length - whole;
        Ok(Step::Used)
    }

    /// Passes data of a frame to its stream, and drops it where there is none.
    fn data(&mut self, state: &mut State) -> Step {
        let bytes = self.read_buffer.bytes();
        let data = bytes.get(..self.left.min(bytes.len())).unwrap_or_default();
        let length = data.len();
        if length == 0 {
            return Step::Need(1);
        }
        if let Some(id) = self.receiver {
            state.receive(id, data);
        }
        self.read_buffer.consume(length);
        self.left -= length;
        match self.receiver {
            Some(id) if state.streams.get(&id).is_some_and(|stream| !stream.is_open) => Step::Asked(id),
            _ => Step::Used,
        }
    }

    /// The request of a stream, once it is whole. A stream that asks for nothing that can be is ended.
    fn request(&mut self, state: &mut State, id: u32) -> Option<InboundRequest> {
        let stream = state.streams.get_mut(&id)?;
        match take_target(&stream.received) {
            Ok(None) => return None,
            Ok(Some((asked, length))) => {
                stream.received.advance(length);
                stream.is_open = true;
                let served = AnyTlsServedStream::new(Arc::clone(&self.shared), id);
                return Some(self.asked(state, asked, served, id));
            }
            Err(_) => {}
        }
        state.answer(id, "no such address");
        state.send(Command::Fin, id, &[]);
        state.streams.remove(&id);
        None
    }

    fn asked(&mut self, state: &mut State, asked: Asked, stream: AnyTlsServedStream, id: u32) -> InboundRequest {
        let credential = self.credential;
        match asked {
            Asked::Stream(target) => {
                self.unconfirmed.push_back((Instant::now() + CONFIRMATION, id));
                // A client that opens and ends streams all the time is told at once of the oldest ones.
                if self.unconfirmed.len() > MOST_STREAMS
                    && let Some((_, oldest)) = self.unconfirmed.pop_front()
                {
                    state.answer(oldest, "");
                }
                InboundRequest::Stream(StreamRequest { credential, target, stream: Box::new(stream) })
            }
            Asked::Datagrams(codec) => {
                // Datagrams have no answer of their own.
                state.answer(id, "");
                packets::request(credential, Box::new(stream), codec)
            }
        }
    }

    /// Confirms streams before their clients lose patience. Ready when the connection was idle for too long.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = Instant::now();
            let mut state = self.shared.0.lock();
            while let Some((_, id)) = self.unconfirmed.pop_front_if(|(due, _)| *due <= now) {
                state.answer(id, "");
            }
            let idle_since = if state.streams.is_empty() { state.last_use } else { now };
            drop(state);
            if now.duration_since(idle_since) >= IDLE_LIMIT {
                return Poll::Ready(());
            }
            let due = idle_since + IDLE_LIMIT;
            let due = self.unconfirmed.front().map_or(due, |(confirm, _)| due.min(*confirm));
            if self.alarm.deadline() > due || self.alarm.is_elapsed() {
                self.alarm.as_mut().reset(due);
            }
            ready!(self.alarm.as_mut().poll(cx));
        }
    }
}

impl Drop for AnyTlsConnection {
    fn drop(&mut self) {
        self.close();
    }
}

#[async_trait]
impl InboundSession for AnyTlsConnection {
    async fn next(&mut self) -> Option<SessionItem> {
        poll_fn(|cx| self.poll_next(cx)).await.map(SessionItem::Request)
    }
}

/// One step of reading.
enum Step {
    /// Something was used up.
    Used,
    /// So many bytes are needed in all.
    Need(usize),
    /// A stream whose request has not been whole has got more of it.
    Asked(u32),
}

/// Takes a client's settings, and answers with ours.
fn introduce(state: &mut State, settings: &[u8]) {
    state.version = wire::version(settings).unwrap_or(1);
    if wire::scheme_digest(settings) != Some(SCHEME.digest()) {
        state.send(Command::UpdatePadding, 0, DEFAULT.as_bytes());
    }
    if state.version >= 2 {
        state.send(Command::ServerSettings, 0, wire::SERVER_SETTINGS);
    }
}

/// Opens a stream, unless there are too many. One that is open stays what it is.
fn open(state: &mut State, id: u32) {
    if state.streams.len() < MOST_STREAMS {
        state.streams.entry(id).or_default();
    } else if !state.streams.contains_key(&id) {
        if state.version >= 2 {
            state.send(Command::SynAck, id, b"too many streams");
        }
        state.send(Command::Fin, id, &[]);
    }
}
