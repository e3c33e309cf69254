//! What the sessions of one connection share: frames on their way out, and payload that waits for its session's reader.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use hezar_core::Target;
use parking_lot::Mutex;

use super::wire::{self, Status};
use crate::Cause;

/// The most sessions of one connection at a time.
const MOST_SESSIONS: usize = 256;
/// The most bytes of frames that wait to be sent; one frame may go beyond it.
const MOST_OUT: usize = 64 * 1024;
/// With so many bytes of frames that wait to be sent, nothing is read from the connection: a client that does not read could otherwise
/// ask for the ends of sessions for ever.
const MOST_UNSENT: usize = 4 * MOST_OUT;
/// The most bytes that wait for readers. With more, nothing is read from the connection: mux.cool has no other way to slow a client down.
const MOST_WAITING: usize = 512 * 1024;
/// What a waiting piece counts beside its bytes.
const PIECE: usize = 64;

/// A piece of a stream, or a datagram with its target if its frame named one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    pub(super) target: Option<Target>,
}

/// The sessions of one connection.
#[derive(Debug, Default)]
pub(super) struct Connection(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Frames on their way out.
    out: Vec<u8>,
    /// Writers that wait for room in `out`.
    writers: Vec<Waker>,
    /// Who moves the bytes of the connection.
    driver: Option<Waker>,
    inboxes: HashMap<u16, Inbox>,
    /// How much waits in all inboxes.
    waiting: usize,
    is_over: bool,
}

/// What has come for one session.
#[derive(Debug, Default)]
struct Inbox {
    pieces: VecDeque<Piece>,
    reader: Option<Waker>,
    /// Whether the client has ended the session.
    has_ended: bool,
    /// Whether the client has said so again, to an answer that it does not want.
    is_unwanted: bool,
}

impl State {
    fn wake_driver(&mut self) {
        if let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    fn end(&mut self, session: u16, failed: bool) {
        wire::put_end(session, failed, &mut self.out);
        self.wake_driver();
    }
}

impl Connection {
    /// Opens a session. `None` when it cannot be: then the client is told so.
    pub(super) fn open(self: &Arc<Self>, session: u16) -> Option<Channel> {
        let mut state = self.0.lock();
        if state.inboxes.len() >= MOST_SESSIONS || state.inboxes.contains_key(&session) {
            state.end(session, true);
            return None;
        }
        state.inboxes.insert(session, Inbox::default());
        Some(Channel { connection: Arc::clone(self), session, has_ended: false })
    }

    /// Hands a piece to its session. The client hears of a session that is gone.
    pub(super) fn deliver(&self, session: u16, piece: Piece) {
        let state = &mut *self.0.lock();
        let size = PIECE + piece.bytes.len();
        match state.inboxes.get_mut(&session) {
            Some(inbox) if !inbox.has_ended => {
                inbox.pieces.push_back(piece);
                let reader = inbox.reader.take();
                state.waiting += size;
                reader.into_iter().for_each(Waker::wake);
            }
            Some(_) => {}
            None if state.out.len() < MOST_OUT => state.end(session, true),
            None => {}
        }
    }

    /// The client has ended a session.
    pub(super) fn ended(&self, session: u16) {
        let state = &mut *self.0.lock();
        let Some(inbox) = state.inboxes.get_mut(&session) else { return };
        inbox.is_unwanted = inbox.has_ended;
        inbox.has_ended = true;
        let (reader, writers) = (inbox.reader.take(), std::mem::take(&mut state.writers));
        reader.into_iter().chain(writers).for_each(Waker::wake);
    }

    /// The connection is over, and so are all its sessions.
    pub(super) fn close(&self) {
        let mut state = self.0.lock();
        state.is_over = true;
        let readers: Vec<_> = state.inboxes.values_mut().filter_map(|inbox| inbox.reader.take()).collect();
        readers.into_iter().chain(std::mem::take(&mut state.writers)).for_each(Waker::wake);
    }

    /// Takes the frames that wait to be sent, for whoever moves the bytes of the connection. It is woken when there are more.
    pub(super) fn take_out(&self, cx: &Context<'_>) -> Vec<u8> {
        let mut state = self.0.lock();
        state.driver = Some(cx.waker().clone());
        state.writers.drain(..).for_each(Waker::wake);
        std::mem::take(&mut state.out)
    }

    /// Whether more may be read from the connection. Whoever moves its bytes is woken when readers have made room; it sees itself when
    /// it has sent what waits.
    pub(super) fn may_read(&self, cx: &Context<'_>) -> bool {
        let mut state = self.0.lock();
        state.driver = Some(cx.waker().clone());
        state.waiting < MOST_WAITING && state.out.len() < MOST_UNSENT
    }

    /// Whether there is no session.
    pub(super) fn is_idle(&self) -> bool {
        self.0.lock().inboxes.is_empty()
    }
}

/// One session, from its reader's and writer's side.
#[derive(Debug)]
pub(super) struct Channel {
    connection: Arc<Connection>,
    session: u16,
    has_ended: bool,
}

impl Channel {
    /// The next piece; `None` when the client has ended the session.
    ///
    /// # Errors
    /// [`Cause::Closed`] when the connection is over.
    pub(super) fn poll_take(&self, cx: &Context<'_>) -> Poll<io::Result<Option<Piece>>> {
        let state = &mut *self.connection.0.lock();
        let is_over = state.is_over;
        let Some(inbox) = state.inboxes.get_mut(&self.session) else { return Poll::Ready(Ok(None)) };
        let Some(piece) = inbox.pieces.pop_front() else {
            if inbox.has_ended {
                return Poll::Ready(Ok(None));
            }
            if is_over {
                return Poll::Ready(Err(Cause::Closed.into()));
            }
            inbox.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let was_full = state.waiting >= MOST_WAITING;
        state.waiting -= PIECE + piece.bytes.len();
        if was_full && state.waiting < MOST_WAITING {
            state.wake_driver();
        }
        Poll::Ready(Ok(Some(piece)))
    }

    /// Queues a frame with a payload of at most 65,535 bytes; of a datagram, with its sender.
    ///
    /// # Errors
    /// [`io::ErrorKind::BrokenPipe`] when the connection is over, or the client wants no more of the session.
    pub(super) fn poll_send(&self, cx: &Context<'_>, from: Option<&Target>, payload: &[u8]) -> Poll<io::Result<()>> {
        let mut state = self.connection.0.lock();
        let is_unwanted = state.inboxes.get(&self.session).is_none_or(|inbox| inbox.is_unwanted);
        if state.is_over || is_unwanted || self.has_ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.out.len() >= MOST_OUT {
            if !state.writers.iter().any(|writer| writer.will_wake(cx.waker())) {
                state.writers.push(cx.waker().clone());
            }
            return Poll::Pending;
        }
        wire::put(self.session, Status::Keep, from, payload, &mut state.out);
        state.wake_driver();
        Poll::Ready(Ok(()))
    }

    /// Ends our side of the session, and with it the session, as mux.cool knows no half of one.
    pub(super) fn end(&mut self, failed: bool) {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.connection.0.lock().end(self.session, failed);
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.end(false);
        let mut state = self.connection.0.lock();
        if let Some(inbox) = state.inboxes.remove(&self.session) {
            state.waiting -= inbox.pieces.iter().map(|piece| PIECE + piece.bytes.len()).sum::<usize>();
            // Perhaps there is room to read again, or no session is left.
            state.wake_driver();
        }
    }
}
