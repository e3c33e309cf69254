//! Sessions named in user names: the pool keeps a session behind its exit, this table decides when a new session begins.

use std::time::Duration;

use ahash::AHashMap;
use hezar_core::Timestamp;
use hezar_pool::hash_key;
use parking_lot::Mutex;

#[cfg(test)]
mod tests;

/// Sessions by the hash of listener, user and session name. A session lasts a fixed time from its first request; the
/// first request after that begins a new one, which the pool sees as another name.
#[derive(Debug)]
pub struct Sessions {
    most: usize,
    table: Mutex<AHashMap<u64, Session>>,
}

/// What names a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey<'a> {
    /// The listener that the user came to.
    pub listener: &'a str,
    /// The user.
    pub user: &'a str,
    /// The name of the session.
    pub session: &'a str,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The listener that the user came to.
    pub listener: Box<str>,
    /// The user.
    pub user: Box<str>,
    /// The name of the session.
    pub session: Box<str>,
    /// The country that was asked for last.
    pub country: Option<[u8; 2]>,
    /// Its first request.
    pub began: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// How long it lasts from its first request, or from its last rotation.
    pub lasts: Duration,
}

impl Session {
    /// The number by which it is asked for. The same in every process of one build.
    #[must_use]
    pub fn id(&self) -> u64 {
        SessionKey { listener: &self.listener, user: &self.user, session: &self.session }.id()
    }

    /// The key under which the pool knows it.
    #[must_use]
    pub fn pool_key(&self) -> u64 {
        hash_key(&(self.id(), self.began.0))
    }
}

impl SessionKey<'_> {
    /// The number by which the session is asked for, as [`Session::id`] says it.
    #[must_use]
    pub fn id(self) -> u64 {
        hash_key(&self)
    }
}

impl Sessions {
    /// At most `most` sessions at a time.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), table: Mutex::default() }
    }

    /// The key under which the pool knows this session at this moment.
    pub(crate) fn key(&self, key: SessionKey<'_>, country: Option<[u8; 2]>, ttl: Duration, now: Timestamp) -> u64 {
        let id = key.id();
        let mut table = self.table.lock();
        if let Some(running) = table.get_mut(&id).filter(|running| running.ends > now) {
            running.country = country;
            return hash_key(&(id, running.began.0));
        }
        let session = Session {
            listener: key.listener.into(),
            user: key.user.into(),
            session: key.session.into(),
            country,
            began: now,
            ends: now.after(ttl),
            lasts: ttl,
        };
        insert(&mut table, self.most, id, session, now);
        hash_key(&(id, now.0))
    }

    /// Takes in a session as it was before a restart.
    pub fn restore(&self, session: Session, now: Timestamp) {
        if session.ends > now {
            insert(&mut self.table.lock(), self.most, session.id(), session, now);
        }
    }

    /// Those that run, in no order.
    #[must_use]
    pub fn list(&self, now: Timestamp) -> Vec<Session> {
        self.table.lock().values().filter(|session| session.ends > now).cloned().collect()
    }

    /// One that runs.
    #[must_use]
    pub fn get(&self, id: u64, now: Timestamp) -> Option<Session> {
        self.table.lock().get(&id).filter(|session| session.ends > now).cloned()
    }

    /// Gives a session its full time again.
    pub fn renew(&self, id: u64, now: Timestamp) -> Option<Session> {
        let mut table = self.table.lock();
        let session = table.get_mut(&id).filter(|session| session.ends > now)?;
        // It keeps its beginning: the pool knows it by that.
        session.ends = now.after(session.lasts);
        Some(session.clone())
    }

    /// Ends a session: the next request with its name begins a new one.
    pub fn end(&self, id: u64) -> Option<Session> {
        self.table.lock().remove(&id)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.table.lock().len()
    }
}

fn insert(table: &mut AHashMap<u64, Session>, most: usize, id: u64, session: Session, now: Timestamp) {
    if table.len() >= most && !table.contains_key(&id) {
        make_room(table, most, now);
    }
    table.insert(id, session);
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
