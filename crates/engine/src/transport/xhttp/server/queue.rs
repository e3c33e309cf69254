//! The upload of one session: pieces that come in any order and more than once, read in the order of their numbers; or the body of
//! one request.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::Notify,
};

use crate::{io::copy::pour, transport::http_server::BodyStream};

/// The most pieces of one session that wait for the ones before them (as many as Xray's server takes).
const MOST_PIECES: usize = 30;
/// The most bytes in the pieces of one session that wait, unless the next piece alone is larger.
const MOST_BYTES: usize = 2 << 20;
/// The same while nobody has shown a credential in the session.
const MOST_UNPROVEN_BYTES: usize = 64 << 10;
/// The most bytes that the sessions of a listener hold together: those of clients, and those of whoever it may be.
const MOST_HELD: usize = 256 << 20;
const MOST_HELD_UNPROVEN: usize = 32 << 20;

/// Why a part of an upload is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueError {
    /// The session is over.
    Over,
    /// It is uploaded in another way already.
    Conflict,
    /// All sessions together hold too much.
    Full,
}

/// The bytes that all sessions of one listener hold.
#[derive(Debug, Default)]
pub(super) struct HeldBytes {
    proven: AtomicUsize,
    unproven: AtomicUsize,
}

impl HeldBytes {
    /// The number of the sessions of this sort, and its bound.
    const fn of(&self, proven: bool) -> (&AtomicUsize, usize) {
        if proven { (&self.proven, MOST_HELD) } else { (&self.unproven, MOST_HELD_UNPROVEN) }
    }

    /// Counts more bytes, unless they are too many.
    fn take(&self, proven: bool, length: usize) -> bool {
        let (held, most) = self.of(proven);
        let fits = held.fetch_add(length, Relaxed) + length <= most;
        if !fits {
            held.fetch_sub(length, Relaxed);
        }
        fits
    }

    /// Counts fewer bytes.
    fn give_back(&self, proven: bool, length: usize) {
        self.of(proven).0.fetch_sub(length, Relaxed);
    }

    /// All of them.
    #[cfg(test)]
    pub(super) fn sum(&self) -> usize {
        self.proven.load(Relaxed) + self.unproven.load(Relaxed)
    }
}

/// The upload of one session. Its writers and its reader share it.
pub(super) struct UploadQueue {
    state: Mutex<State>,
    /// Told when something was read, a piece has come or is lost, or the session is over.
    room: Notify,
    held: Arc<HeldBytes>,
}

#[derive(Default)]
struct State {
    /// The number of the piece that is read next.
    next: u64,
    pieces: BTreeMap<u64, Bytes>,
    /// The numbers of pieces whose bodies are being read.
    coming: BTreeSet<u64>,
    /// The bytes in `pieces`, `coming` and `front`.
    bytes: usize,
    /// The piece that is being read.
    front: Bytes,
    front_length: usize,
    /// The whole upload.
    body: Option<BodyStream>,
    in_one_body: bool,
    /// Whether somebody reads it.
    paired: bool,
    /// Whether a known credential was shown in it.
    proven: bool,
    over: bool,
    reader: Option<Waker>,
}

impl UploadQueue {
    /// An empty one, which counts its bytes in `held`.
    pub(super) fn new(held: Arc<HeldBytes>) -> Self {
        Self { state: Mutex::default(), room: Notify::new(), held }
    }

    /// Says that the download is there, so that the upload is read. False when there was one already.
    pub(super) fn pair(&self) -> bool {
        let is_first = !std::mem::replace(&mut self.state.lock().paired, true);
        self.room.notify_waiters();
        is_first
    }

    /// Whether the download is there.
    pub(super) fn is_paired(&self) -> bool {
        self.state.lock().paired
    }

    /// Says that the session is a client's, whose upload may take more room.
    pub(super) fn prove(&self) {
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.proven, true) {
            self.held.give_back(false, state.bytes);
            // They are here already, whatever the bound says.
            self.held.of(true).0.fetch_add(state.bytes, Relaxed);
        }
        self.room.notify_waiters();
    }

    /// Makes the body of one request the whole upload.
    ///
    /// # Errors
    /// When the session is over, or some of its upload has come already.
    pub(super) fn attach(&self, body: BodyStream) -> Result<(), QueueError> {
        let mut state = self.state.lock();
        if state.over {
            return Err(QueueError::Over);
        }
        if state.in_one_body || state.next > 0 || !state.pieces.is_empty() || !state.coming.is_empty() {
            return Err(QueueError::Conflict);
        }
        state.in_one_body = true;
        state.body = Some(body);
        wake(&mut state);
        Ok(())
    }

    /// Waits until there is room for piece `number`. `None` when it has come before; while another request
    /// brings it, that one is waited for.
    ///
    /// # Errors
    /// When it cannot be taken.
    pub(super) async fn room(self: &Arc<Self>, number: u64, length: usize) -> Result<Option<Room>, QueueError> {
        self.until(|| self.try_room(number, length)).await
    }

    /// Asks now, and again whenever `room` is told something, until there is an answer.
    async fn until<T>(&self, ask: impl Fn() -> Option<T>) -> T {
        loop {
            let mut told = pin!(self.room.notified());
            told.as_mut().enable();
            if let Some(answer) = ask() {
                return answer;
            }
            told.await;
        }
    }

    fn try_room(self: &Arc<Self>, number: u64, length: usize) -> Option<Result<Option<Room>, QueueError>> {
        let mut state = self.state.lock();
        if state.over {
            return Some(Err(QueueError::Over));
        }
        if state.in_one_body {
            return Some(Err(QueueError::Conflict));
        }
        if number < state.next || state.pieces.contains_key(&number) {
            return Some(Ok(None));
        }
        // The request before may be lost with its connection: then this one takes its place.
        if state.coming.contains(&number) {
            return None;
        }
        let waiting = state.pieces.len() + state.coming.len();
        let most = if state.proven { MOST_BYTES } else { MOST_UNPROVEN_BYTES };
        // The next piece of what is read always fits: without it nothing is read, and there would never be room.
        let is_needed = state.paired && number == state.next;
        if !is_needed && (waiting >= MOST_PIECES || state.bytes + length > most) {
            return None;
        }
        if !self.held.take(state.proven, length) {
            return Some(Err(QueueError::Full));
        }
        state.bytes += length;
        state.coming.insert(number);
        Some(Ok(Some(Room { queue: Arc::clone(self), number, length, used: false })))
    }

    /// Whether there is no body of one request that is the whole upload.
    pub(super) fn comes_in_pieces(&self) -> bool {
        !self.state.lock().in_one_body
    }

    /// Ends the session: nothing more is taken, and the reader is at the end.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.over = true;
        let given_back = state.pieces.values().map(Bytes::len).sum::<usize>() + state.front_length;
        state.pieces.clear();
        (state.front, state.front_length) = (Bytes::new(), 0);
        state.body = None;
        self.give_back(&mut state, given_back);
        wake(&mut state);
    }

    fn give_back(&self, state: &mut State, length: usize) {
        state.bytes -= length;
        self.held.give_back(state.proven, length);
        self.room.notify_waiters();
    }

    /// Waits until the session is over, or its upload has been read to the end.
    pub(super) async fn ended(&self) {
        self.until(|| self.state.lock().has_ended().then_some(())).await;
    }

    /// Reads on, in order. Nothing at the end.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.lock();
        loop {
            if let Some(body) = &mut state.body {
                let before = buf.filled().len();
                let read = Pin::new(body).poll_read(cx, buf);
                if read.is_ready() && buf.filled().len() == before {
                    // The end, or an error, which is told only once.
                    state.body = None;
                    self.room.notify_waiters();
                }
                return read;
            }
            if state.has_ended() {
                return Poll::Ready(Ok(()));
            }
            if !state.front.is_empty() {
                pour(&mut state.front, buf);
                if state.front.is_empty() {
                    let length = std::mem::take(&mut state.front_length);
                    state.front = Bytes::new();
                    self.give_back(&mut state, length);
                }
                return Poll::Ready(Ok(()));
            }
            let next = state.next;
            if let Some(piece) = state.pieces.remove(&next) {
                state.next += 1;
                state.front_length = piece.len();
                state.front = piece;
                self.room.notify_waiters();
                continue;
            }
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
    }
}

impl State {
    const fn has_ended(&self) -> bool {
        self.over || (self.in_one_body && self.body.is_none())
    }
}

fn wake(state: &mut State) {
    if let Some(reader) = state.reader.take() {
        reader.wake();
    }
}

/// Room for one piece. It is given back when the piece does not come.
pub(super) struct Room {
    queue: Arc<UploadQueue>,
    number: u64,
    length: usize,
    used: bool,
}

impl Room {
    /// Puts the piece into its place. It may be shorter than was said.
    pub(super) fn fill(mut self, piece: Bytes) {
        self.used = true;
        let mut state = self.queue.state.lock();
        state.coming.remove(&self.number);
        let kept = if state.over { 0 } else { piece.len().min(self.length) };
        self.queue.give_back(&mut state, self.length - kept);
        if !state.over {
            state.pieces.insert(self.number, piece);
            if self.number == state.next {
                wake(&mut state);
            }
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.used {
            return;
        }
        let mut state = self.queue.state.lock();
        state.coming.remove(&self.number);
        self.queue.give_back(&mut state, self.length);
    }
}
