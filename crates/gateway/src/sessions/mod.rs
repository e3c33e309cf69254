//! When each session began: the pool keeps a session on its node, this table decides when a new session begins.

use std::time::Duration;

use ahash::AHashMap;
use hezar_core::Timestamp;
use hezar_pool::hash_key;
use parking_lot::Mutex;

#[cfg(test)]
mod tests;

/// Sessions by the hash of user and session name. A session lasts a fixed time from its first request; the first
/// request after that begins a new one, which the pool sees as another name.
#[derive(Debug)]
pub(crate) struct Sessions {
    most: usize,
    table: Mutex<AHashMap<u64, Session>>,
}

#[derive(Clone, Copy, Debug)]
struct Session {
    began: Timestamp,
    ends: Timestamp,
}

impl Sessions {
    /// At most `most` sessions at a time.
    pub(crate) fn new(most: usize) -> Self {
        Self { most: most.max(1), table: Mutex::default() }
    }

    /// The key under which the pool knows this session at this moment.
    pub(crate) fn key(&self, user: &str, session: &str, ttl: Duration, now: Timestamp) -> u64 {
        let name = hash_key(&(user, session));
        let mut table = self.table.lock();
        if let Some(running) = table.get(&name).filter(|running| running.ends > now) {
            return hash_key(&(name, running.began.0));
        }
        if table.len() >= self.most && !table.contains_key(&name) {
            make_room(&mut table, self.most, now);
        }
        table.insert(name, Session { began: now, ends: now.after(ttl) });
        hash_key(&(name, now.0))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.table.lock().len()
    }
}

/// Drops what has ended; when all run, an eighth goes (whichever lie first in the table), so that the sweep is rare.
fn make_room(table: &mut AHashMap<u64, Session>, most: usize, now: Timestamp) {
    table.retain(|_, session| session.ends > now);
    if table.len() < most {
        return;
    }
    let victims: Vec<u64> = table.keys().take(most / 8 + 1).copied().collect();
    for victim in victims {
        table.remove(&victim);
    }
}
