//! The circuit of a node: a failure opens it, it rests for seconds, and one trial decides how it goes on.
//!
//! ```text
//!   closed ──failure──► resting ──time──► one trial ──success──► closed
//!                          ▲                 └─failure, or nothing for a while─┐
//!                          └──────────────── twice as long ◄───────────────────┘
//! ```

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use hezar_core::Timestamp;

/// The first rest, doubled with every failure in a row up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(32);
/// How long a trial has the node to itself.
const TRIAL: Duration = Duration::from_secs(2);
/// The word, from the top: failures in a row (7 bits, 0 = closed), whether a trial runs, and until when the node rests
/// (or its trial has it), in ms.
const COUNT: u32 = 57;
const TRYING: u64 = 1 << 56;
const TIME: u64 = TRYING - 1;

/// One atomic word.
#[derive(Debug, Default)]
pub(crate) struct Circuit(AtomicU64);

impl Circuit {
    /// A success.
    pub(crate) fn close(&self) {
        self.0.store(0, Relaxed);
    }

    /// A failure.
    pub(crate) fn trip(&self, now: Timestamp) {
        let update = |word: u64| {
            let failures = word >> COUNT;
            // What ran beside the request that opened it tells nothing new.
            if failures > 0 && word & TIME > now.0 && word & TRYING == 0 {
                return None;
            }
            let rest = FIRST.saturating_mul(1 << failures.min(10)).min(LONGEST);
            Some(((failures + 1).min(0x7f) << COUNT) | (now.after(rest).0 & TIME))
        };
        // Declined when nothing changes.
        let _ = self.0.fetch_update(Relaxed, Relaxed, update);
    }

    /// What dials it cannot be used: it rests for the shortest time, however often that happens.
    pub(crate) fn rest(&self, now: Timestamp) {
        let update = |word: u64| {
            if word & TIME > now.0 && word & TRYING == 0 {
                return None;
            }
            let failures = (word >> COUNT).max(1);
            Some((failures << COUNT) | (now.after(FIRST).0 & TIME))
        };
        // Declined when it rests already.
        let _ = self.0.fetch_update(Relaxed, Relaxed, update);
    }

    /// Whether it should be left alone now.
    pub(crate) fn resting(&self, now: Timestamp) -> bool {
        self.0.load(Relaxed) & TIME > now.0
    }

    /// Until when it rests, or its trial has it.
    pub(crate) fn until(&self) -> Timestamp {
        Timestamp(self.0.load(Relaxed) & TIME)
    }

    /// Asks to use the node: free when closed; after a rest only one may try.
    pub(crate) fn admit(&self, now: Timestamp) -> bool {
        let word = self.0.load(Relaxed);
        if word >> COUNT == 0 {
            return true;
        }
        if word & TIME > now.0 {
            return false;
        }
        let tried = (word >> COUNT << COUNT) | TRYING | (now.after(TRIAL).0 & TIME);
        self.0.compare_exchange(word, tried, Relaxed, Relaxed).is_ok()
    }
}
