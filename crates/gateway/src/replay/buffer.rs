//! Holds a first flight while it is sent to one node or several. It may grow, and it may be released.
//!
//! ```text
//!   ReplayBuffer ──more bytes──► ReplayBuffer      every node gets them, from the beginning
//!     └──release──► Released       not one more is held: the node that runs goes on alone, and no other follows
//! ```

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;

use super::{Expectation, MAX_REPLAY};

/// What the tries see.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplayView {
    pub bytes: Bytes,
    /// The client has closed its half behind it.
    pub ended: bool,
    /// Nothing more is held.
    pub released: bool,
}

/// A flight that is held until an answer has begun.
#[derive(Debug)]
pub(crate) struct ReplayBuffer {
    bytes: BytesMut,
    view: watch::Sender<ReplayView>,
    expect: Expectation,
}

impl ReplayBuffer {
    pub(crate) fn new(bytes: BytesMut, ended: bool, expect: Expectation) -> Self {
        let view = ReplayView { bytes: Bytes::copy_from_slice(&bytes), ended, released: false };
        Self { bytes, view: watch::Sender::new(view), expect }
    }

    pub(crate) const fn expect(&self) -> Expectation {
        self.expect
    }

    /// What a try follows.
    pub(crate) fn follow(&self) -> watch::Receiver<ReplayView> {
        self.view.subscribe()
    }

    /// Whether it may be sent to another node.
    pub(crate) fn repeatable(&self) -> bool {
        !self.view.borrow().released
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// More of a flight whose end nobody can know. When it grows beyond what is held, it is released, and false tells
    /// that these bytes are not part of it.
    pub(crate) fn grow(&mut self, more: &[u8]) -> bool {
        if self.bytes.len() + more.len() > MAX_REPLAY || !self.repeatable() {
            self.release();
            return false;
        }
        self.bytes.extend_from_slice(more);
        let bytes = Bytes::copy_from_slice(&self.bytes);
        self.view.send_modify(|view| view.bytes = bytes);
        true
    }

    /// The client has closed its half.
    pub(crate) fn end(&self) {
        self.view.send_modify(|view| view.ended = true);
    }

    /// What follows cannot be held.
    pub(crate) fn release(&self) {
        self.view.send_modify(|view| view.released = true);
    }
}
