//! The flow-control windows of all shared connections: their sum is bounded, and late connections get smaller ones.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// The window of one stream in bytes while there is room: enough for 80 Mbit/s over a round trip of 100 ms.
const STREAM_WINDOW: u32 = 1 << 20;
/// The smallest window of a stream in bytes: the one that HTTP/2 begins with (RFC 9113 §6.9.2), below which a connection's
/// window cannot be.
const MIN_STREAM_WINDOW: u32 = 65_535;

/// The bytes that are left of the bound.
#[derive(Debug)]
pub(crate) struct WindowBudget {
    left: AtomicU64,
}

/// The windows of one connection, each stream's of the same size; they are given back when this is dropped.
#[derive(Debug)]
pub(crate) struct WindowShare {
    budget: Arc<WindowBudget>,
    taken: u64,
    stream_window: u32,
    streams: u32,
}

impl WindowBudget {
    /// At most `bytes` in all.
    pub(crate) const fn new(bytes: u64) -> Self {
        Self { left: AtomicU64::new(bytes) }
    }

    /// Windows for a connection that carries `streams` streams at the same time: the connection's window is the sum of its
    /// streams', so that a stream whose client does not read cannot stop the others.
    ///
    /// When little is left, the windows are halved until they fit, down to [`MIN_STREAM_WINDOW`]. When that does not fit
    /// either, the connection carries a single stream with the smallest window, beyond the bound: as much as any
    /// connection costs.
    pub(crate) fn take(self: &Arc<Self>, streams: u32) -> WindowShare {
        let streams = streams.max(1);
        let mut stream_window = STREAM_WINDOW;
        while stream_window >= MIN_STREAM_WINDOW {
            let wanted = u64::from(stream_window) * u64::from(streams);
            if self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(wanted)).is_ok() {
                return WindowShare { budget: Arc::clone(self), taken: wanted, stream_window, streams };
            }
            stream_window /= 2;
        }
        WindowShare { budget: Arc::clone(self), taken: 0, stream_window: MIN_STREAM_WINDOW, streams: 1 }
    }

    /// How many bytes are left.
    #[cfg(test)]
    pub(crate) fn left(&self) -> u64 {
        self.left.load(Relaxed)
    }
}

impl WindowShare {
    /// What the server may send on one stream before we have taken it, in bytes.
    pub(crate) const fn stream_window(&self) -> u32 {
        self.stream_window
    }

    /// The same for the whole connection.
    pub(crate) const fn connection_window(&self) -> u32 {
        self.stream_window.saturating_mul(self.streams)
    }

    /// How many streams the connection may carry at the same time.
    pub(crate) const fn streams(&self) -> u32 {
        self.streams
    }
}

impl Drop for WindowShare {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.taken, Relaxed);
    }
}
