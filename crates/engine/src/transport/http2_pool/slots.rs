//! The slots of one HTTP/2 connection: how many streams use it, and what is known about its health.

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
    state: Mutex<SlotState>,
    limits: Limits,
    born: Instant,
    /// The number of reads that brought something.
    reads: Arc<AtomicU64>,
    /// Notified whenever the state changes.
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
struct SlotState {
    /// How many slots are taken now.
    taken: u32,
    /// How many slots were taken in all.
    ever_taken: u32,
    /// How many streams were opened in all.
    used: u32,
    /// Whether no further stream can be opened.
    closed: bool,
    /// Whether a stream was dropped before the server had answered, so that it is checked whether the server is still there.
    doubted: bool,
}

impl ConnectionSlots {
    /// A new connection, with every slot free.
    pub(super) fn new(limits: Limits) -> Self {
        Self { state: Mutex::default(), limits, born: Instant::now(), reads: Arc::default(), changed: Notify::new() }
    }

    /// Takes one of at most `most` slots. Returns false when the connection may carry no further stream.
    pub(super) fn take(&self, most: usize) -> bool {
        let mut state = self.state.lock();
        let full = state.taken >= self.limits.slots || state.taken as usize >= most;
        if state.closed || state.doubted || full || self.is_worn_out(&state) {
            return false;
        }
        state.taken += 1;
        state.ever_taken = state.ever_taken.saturating_add(1);
        drop(state);
        self.changed.notify_one();
        true
    }

    /// Whether it has carried as many streams as it may, or has grown too old.
    fn is_worn_out(&self, state: &SlotState) -> bool {
        let is_worn_out = self.limits.uses > 0 && state.used >= self.limits.uses;
        is_worn_out || self.limits.age.is_some_and(|age| self.born.elapsed() >= age)
    }

    fn leave(&self, answered: bool) {
        let mut state = self.state.lock();
        state.taken = state.taken.saturating_sub(1);
        state.doubted |= !answered;
        drop(state);
        self.changed.notify_one();
    }

    /// Whether no slot is taken.
    pub(super) fn empty(&self) -> bool {
        self.state.lock().taken == 0
    }

    /// How many slots were ever taken.
    pub(super) fn ever_taken(&self) -> u32 {
        self.state.lock().ever_taken
    }

    /// The counter of reads.
    pub(super) const fn reads(&self) -> &Arc<AtomicU64> {
        &self.reads
    }

    /// The reads that brought something so far.
    pub(super) fn reads_so_far(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Whether a stream was given up before the server had answered it.
    pub(super) fn doubted(&self) -> bool {
        self.state.lock().doubted
    }

    /// Takes note that the server has answered, so that the connection is used again.
    pub(super) fn clear_doubt(&self) {
        self.state.lock().doubted = false;
    }

    /// Whether the connection has ended.
    pub(super) fn closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Closes the connection for new streams.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
    }

    /// Closes the connection for new streams if no slot is taken, and returns whether it did.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut state = self.state.lock();
        state.closed |= state.taken == 0;
        state.closed
    }
}

/// One slot of a connection; it is free again when this is dropped.
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
    /// When the connection has ended.
    pub(crate) fn request(&self, request: Request<()>, ends: bool) -> Result<Exchange, Cause> {
        let (answer, upload) = self.sender.clone().send_request(request, ends).map_err(cause_of)?;
        let mut state = self.slots.state.lock();
        state.used = state.used.saturating_add(1);
        Ok(Exchange { answer, upload })
    }

    /// Whether the next stream should go over another connection.
    pub(crate) fn is_worn_out(&self) -> bool {
        let state = self.slots.state.lock();
        state.closed || self.slots.is_worn_out(&state)
    }

    /// Takes note that the server has answered on a stream of this permit.
    pub(crate) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Takes note that the connection has ended. The next request opens another one.
    pub(super) fn retire(&self) {
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
