//! Counts the Vision streams of an engine that have left their TLS or encryption.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many Vision streams of an engine have left their TLS or encryption, by direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandedOver {
    /// Streams whose sending half goes past it.
    pub sending: u64,
    /// Streams whose receiving half goes past it.
    pub receiving: u64,
}

/// The counter.
#[derive(Debug, Default)]
pub(crate) struct HandOverCounter {
    sending: AtomicU64,
    receiving: AtomicU64,
}

impl HandOverCounter {
    /// A stream's sending half has left.
    pub(crate) fn count_sending(&self) {
        self.sending.fetch_add(1, Relaxed);
    }

    /// A stream's receiving half has left.
    pub(crate) fn count_receiving(&self) {
        self.receiving.fetch_add(1, Relaxed);
    }

    /// The counts so far.
    pub(crate) fn counts(&self) -> HandedOver {
        HandedOver { sending: self.sending.load(Relaxed), receiving: self.receiving.load(Relaxed) }
    }
}
