//! Which node each session is pinned to: bounded, and locked only among pickers.

use std::collections::HashMap;

use hezar_core::{ExitKey, NodeId, SessionKey};
use parking_lot::{Mutex, MutexGuard};

const SHARDS: usize = 16;

/// The table of pinned sessions.
#[derive(Debug)]
pub(crate) struct SessionTable {
    shards: [Mutex<Shard>; SHARDS],
}

/// A part of the table. When it is full, the first entry that the hand meets unused since its last round goes
/// (the CLOCK approximation of least recently used).
#[derive(Debug)]
pub(crate) struct Shard {
    most: usize,
    index: HashMap<SessionKey, u32, ahash::RandomState>,
    entries: Vec<Entry>,
    hand: usize,
}

#[derive(Debug)]
struct Entry {
    session: SessionKey,
    pin: SessionPin,
    used: bool,
}

/// The node of a session. The slot finds it, the id says whether it is still the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionPin {
    pub(crate) slot: u32,
    pub(crate) id: NodeId,
    /// The exit that the session came out of.
    pub(crate) exit: ExitKey,
}

/// What a session is pinned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The node.
    pub node: NodeId,
    /// Its exit.
    pub exit: ExitKey,
}

impl SessionTable {
    pub(crate) fn new(most: usize) -> Self {
        let most = per_shard(most);
        let shard = || Shard { most, index: HashMap::default(), entries: Vec::new(), hand: 0 };
        Self { shards: std::array::from_fn(|_| Mutex::new(shard())) }
    }

    /// Changes how many sessions are kept; those beyond are forgotten now, unused ones first.
    pub(crate) fn set_most(&self, most: usize) {
        for shard in &self.shards {
            shard.lock().set_most(per_shard(most));
        }
    }

    pub(crate) fn shard(&self, session: SessionKey) -> MutexGuard<'_, Shard> {
        self.shards[(session.0 >> 60) as usize % SHARDS].lock()
    }
}

const fn per_shard(most: usize) -> usize {
    let most = most.div_ceil(SHARDS);
    if most > 0 { most } else { 1 }
}

impl Shard {
    fn set_most(&mut self, most: usize) {
        self.most = most;
        while self.entries.len() > most {
            let at = self.sweep();
            let session = self.entries[at].session;
            self.end(session);
        }
    }

    pub(crate) fn get(&mut self, session: SessionKey) -> Option<SessionPin> {
        let entry = self.entries.get_mut(*self.index.get(&session)? as usize)?;
        entry.used = true;
        Some(entry.pin)
    }

    pub(crate) fn set(&mut self, session: SessionKey, pin: SessionPin) {
        if let Some(index) = self.index.get(&session) {
            self.entries[*index as usize].pin = pin;
            return;
        }
        // Not marked: a session that comes once must not push out one that comes back. It has a round's time.
        let entry = Entry { session, pin, used: false };
        if self.entries.len() < self.most {
            self.index.insert(session, self.entries.len() as u32);
            self.entries.push(entry);
            return;
        }
        let at = self.sweep();
        self.index.remove(&self.entries[at].session);
        self.index.insert(session, at as u32);
        self.entries[at] = entry;
    }

    /// Pins a session, unless its pin is another one than it was `before`; says whether it was done.
    pub(crate) fn replace(&mut self, session: SessionKey, before: Option<SessionPin>, pin: SessionPin) -> bool {
        let same = self.get(session) == before;
        if same {
            self.set(session, pin);
        }
        same
    }

    /// Forgets a session; says whether it was there.
    pub(crate) fn end(&mut self, session: SessionKey) -> bool {
        let Some(at) = self.index.remove(&session) else { return false };
        self.entries.swap_remove(at as usize);
        if let Some(moved) = self.entries.get(at as usize) {
            self.index.insert(moved.session, at);
        }
        true
    }

    /// Moves the hand to an entry that may go; ends within two rounds, since the first one clears every mark.
    fn sweep(&mut self) -> usize {
        loop {
            let at = self.hand % self.entries.len();
            self.hand = (at + 1) % self.entries.len();
            if !std::mem::take(&mut self.entries[at].used) {
                return at;
            }
        }
    }
}
