//! Who uses a connection: its slots, and what is known about its health.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::{Exchange, Limits, cause_of};
use crate::Cause;

/// The slots of one connection.
#[derive(Debug)]
pub(super) struct ConnectionSlots {
    state: Mutex<State>,
    limits: Limits,
    born: Instant,
    /// The reads that brought something.
    reads: Arc<AtomicU64>,
    /// Told whenever the state changes.
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// ConnectionSlots taken now.
    taken: u32,
    /// ConnectionSlots ever taken.
    ever_taken: u32,
    /// Streams ever opened.
    used: u32,
    /// Nothing can be opened any more.
    closed: bool,
    /// A stream was given up before the server had answered: is anybody there?
    doubted: bool,
}

impl ConnectionSlots {
    /// All free.
    pub(super) fn new(limits: Limits) -> Self {
        Self { state: Mutex::default(), limits, born: Instant::now(), reads: Arc::default(), changed: Notify::new() }
    }

    /// Takes one of at most `most`, if the connection is fit for another stream.
    pub(super) fn take(&self, most: usize) -> bool {
        let mut state = self.state.lock();
        let full = state.taken >= self.limits.slots || state.taken as usize >= most;
        if state.closed || state.doubted || full || self.worn(&state) {
            return false;
        }
        state.taken += 1;
        state.ever_taken = state.ever_taken.saturating_add(1);
        drop(state);
        self.changed.notify_one();
        true
    }

    /// Whether it has carried as many streams as it may, or has grown too old.
    fn worn(&self, state: &State) -> bool {
        let worn = self.limits.uses > 0 && state.used >= self.limits.uses;
        worn || self.limits.age.is_some_and(|age| self.born.elapsed() >= age)
    }

    fn leave(&self, answered: bool) {
        let mut state = self.state.lock();
        state.taken = state.taken.saturating_sub(1);
        state.doubted |= !answered;
        drop(state);
        self.changed.notify_one();
    }

    /// Whether nobody sits.
    pub(super) fn empty(&self) -> bool {
        self.state.lock().taken == 0
    }

    /// How many have ever sat.
    pub(super) fn ever_taken(&self) -> u32 {
        self.state.lock().ever_taken
    }

    /// Where reads are counted.
    pub(super) const fn reads(&self) -> &Arc<AtomicU64> {
        &self.reads
    }

    /// How often something came.
    pub(super) fn heard(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Whether somebody got no answer.
    pub(super) fn doubted(&self) -> bool {
        self.state.lock().doubted
    }

    /// The server has given a sign of life.
    pub(super) fn trust(&self) {
        self.state.lock().doubted = false;
    }

    /// Whether it is over.
    pub(super) fn closed(&self) -> bool {
        self.state.lock().closed
    }

    /// No more streams.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
    }

    /// No more streams, if nobody sits. Whether that is so.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut state = self.state.lock();
        state.closed |= state.taken == 0;
        state.closed
    }
}

/// A permit taken; left when dropped.
pub(crate) struct StreamPermit {
    sender: SendRequest<Bytes>,
    slots: Arc<ConnectionSlots>,
    answered: AtomicBool,
}

impl StreamPermit {
    pub(super) const fn new(sender: SendRequest<Bytes>, slots: Arc<ConnectionSlots>) -> Self {
        Self { sender, slots, answered: AtomicBool::new(false) }
    }

    /// The connection's slots.
    pub(super) const fn slots(&self) -> &Arc<ConnectionSlots> {
        &self.slots
    }

    /// Opens an HTTP/2 stream.
    ///
    /// # Errors
    /// When the connection is over.
    pub(crate) fn request(&self, request: Request<()>, ends: bool) -> Result<Exchange, Cause> {
        let (answer, upload) = self.sender.clone().send_request(request, ends).map_err(cause_of)?;
        let mut state = self.slots.state.lock();
        state.used = state.used.saturating_add(1);
        Ok(Exchange { answer, upload })
    }

    /// Whether the next stream should go over another connection.
    pub(crate) fn worn(&self) -> bool {
        let state = self.slots.state.lock();
        state.closed || self.slots.worn(&state)
    }

    /// The server has answered on this permit.
    pub(crate) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// The connection is over: the next one to come opens another.
    pub(super) fn gone(&self) {
        self.answered();
        self.slots.close();
        self.slots.changed.notify_one();
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.slots.leave(self.answered.load(Ordering::Relaxed));
    }
}

impl fmt::Debug for StreamPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamPermit").finish_non_exhaustive()
    }
}
