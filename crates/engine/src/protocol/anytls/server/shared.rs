//! What a connection and its streams share: what was received for each stream, and what is to be sent.

use std::{
    collections::HashMap,
    io,
    task::{Context, Poll, Waker},
};

use bytes::{Buf, BytesMut};
use parking_lot::Mutex;
use tokio::{io::ReadBuf, time::Instant};

use super::super::wire::{self, Command};
use crate::io::copy::pour;

/// From so many bytes on that wait to be sent, no stream adds any.
const MOST_TO_SEND: usize = 64 * 1024;
/// From so many bytes on that wait to be sent, nothing more is read: only answers to a client that asks and does not read come so far.
const MOST_ANSWERS: usize = 256 * 1024;
/// From so many bytes on that one stream has not read, nothing more is read for any of them: the protocol has no other way to slow a
/// client down.
const MOST_UNREAD: usize = 256 * 1024;
/// The same for all streams together.
const MOST_UNREAD_IN_ALL: usize = 4 * 1024 * 1024;

/// A stream as its connection sees it.
#[derive(Debug, Default)]
pub(super) struct StreamState {
    /// What was received and not read yet.
    pub(super) received: BytesMut,
    /// Whether its request has been handed out.
    pub(super) is_open: bool,
    /// Whether the client knows how its request went.
    answered: bool,
    /// Whether it has been ended, by the client or by us.
    pub(super) ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The state of a connection.
#[derive(Debug)]
pub(super) struct State {
    pub(super) streams: HashMap<u32, StreamState>,
    /// Frames that wait to be sent.
    pub(super) to_send: Vec<u8>,
    /// The task that reads and writes the connection.
    pub(super) connection: Option<Waker>,
    /// The version that the client speaks.
    pub(super) version: u32,
    /// When the client was last heard, or a stream last ended.
    pub(super) last_use: Instant,
    /// Whether the connection reads nothing until there is room again.
    is_paused: bool,
    /// Whether the connection is gone.
    pub(super) is_over: bool,
}

/// The state, shared by the connection and its streams.
#[derive(Debug)]
pub(super) struct Shared(pub(super) Mutex<State>);

impl Default for Shared {
    fn default() -> Self {
        Self(Mutex::new(State {
            streams: HashMap::new(),
            to_send: Vec::new(),
            connection: None,
            version: 1,
            last_use: Instant::now(),
            is_paused: false,
            is_over: false,
        }))
    }
}

impl State {
    /// Queues a frame for the client.
    pub(super) fn send(&mut self, command: Command, stream: u32, data: &[u8]) {
        wire::put_frame(command, stream, data, &mut self.to_send);
        self.wake_connection();
    }

    /// Wakes the task that reads and writes the connection. Its waker stays until that task brings another one.
    pub(super) fn wake_connection(&self) {
        if let Some(connection) = &self.connection {
            connection.wake_by_ref();
        }
    }

    /// Tells the client how its request went: no text says that it went well. Only the first answer is sent, and only to clients that
    /// understand it.
    pub(super) fn answer(&mut self, id: u32, text: &str) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if !std::mem::replace(&mut stream.answered, true) && self.version >= 2 {
            self.send(Command::SynAck, id, text.as_bytes());
        }
    }

    /// Adds what was received for a stream, if it is still there.
    pub(super) fn receive(&mut self, id: u32, data: &[u8]) {
        if let Some(stream) = self.streams.get_mut(&id).filter(|stream| !stream.ended) {
            stream.received.extend_from_slice(data);
            stream.wake_reader();
        }
    }

    /// Notes that a stream has been ended. One whose request was never whole is forgotten.
    pub(super) fn end(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.ended = true;
        stream.wake_reader();
        stream.wake_writer();
        if !stream.is_open {
            self.streams.remove(&id);
        }
    }

    /// Whether the connection may read more now. If not, it is woken when it may again.
    pub(super) fn may_receive(&mut self) -> bool {
        self.is_paused = self.is_full();
        !self.is_paused
    }

    fn is_full(&self) -> bool {
        let unread = || self.streams.values().map(|stream| stream.received.len());
        self.to_send.len() >= MOST_ANSWERS
            || unread().any(|length| length >= MOST_UNREAD)
            || unread().sum::<usize>() >= MOST_UNREAD_IN_ALL
    }

    /// Wakes the streams that wait for room.
    pub(super) fn wake_writers(&mut self) {
        self.streams.values_mut().for_each(StreamState::wake_writer);
    }

    /// Ends everything: the connection is gone.
    pub(super) fn close(&mut self) {
        self.is_over = true;
        self.to_send = Vec::new();
        for stream in self.streams.values_mut() {
            stream.wake_reader();
            stream.wake_writer();
        }
    }

    /// Reads what was received for a stream.
    ///
    /// # Errors
    /// [`io::ErrorKind::ConnectionReset`] when the connection is gone and the stream had not been ended.
    pub(super) fn poll_read(&mut self, id: u32, cx: &Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let is_over = self.is_over;
        let Some(stream) = self.streams.get_mut(&id) else { return Poll::Ready(Ok(())) };
        if !stream.received.is_empty() {
            let before = out.filled().len();
            pour(&mut &stream.received[..], out);
            stream.received.advance(out.filled().len() - before);
            if stream.received.is_empty() {
                // An idle stream holds no buffer.
                stream.received = BytesMut::new();
            }
            if self.is_paused && self.may_receive() {
                self.wake_connection();
            }
            return Poll::Ready(Ok(()));
        }
        match (stream.ended, is_over) {
            (true, _) => Poll::Ready(Ok(())),
            (false, true) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            (false, false) => {
                stream.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Queues payload of a stream, as much as there is room for.
    ///
    /// # Errors
    /// [`io::ErrorKind::BrokenPipe`] when the stream has been ended, or its client is gone.
    pub(super) fn poll_write(&mut self, id: u32, cx: &Context<'_>, payload: &[u8]) -> Poll<io::Result<usize>> {
        let is_over = self.is_over;
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| !stream.ended && !is_over) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        if payload.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if self.to_send.len() >= MOST_TO_SEND {
            stream.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // A target that speaks was reached.
        self.answer(id, "");
        let mut taken = 0;
        for piece in payload.chunks(wire::MAX_PAYLOAD) {
            if self.to_send.len() >= MOST_TO_SEND {
                break;
            }
            self.send(Command::Push, id, piece);
            taken += piece.len();
        }
        Poll::Ready(Ok(taken))
    }
}

impl StreamState {
    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}
