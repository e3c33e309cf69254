//! Sessions named in user names: the pool keeps a session behind its exit, this table decides when a new session begins.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use hezar_core::{Country, KeyHasher, SessionKey, Timestamp};
use parking_lot::Mutex;

mod id;
mod shared;
mod table;
#[cfg(test)]
mod tests;

pub use id::{ParseSessionIdError, SessionId};
pub use shared::{SharedSession, SharedSessions};
use table::Table;

/// A session is renewed when this part of its time has passed: the hundredth.
const RENEWED_PARTS: u32 = 100;

/// The sessions of all listeners. A session lasts a fixed time from its first request; the first request after that
/// begins a new one, which the pool sees as another name.
#[derive(Debug)]
pub struct Sessions {
    most: AtomicUsize,
    max_per_user: AtomicUsize,
    table: Mutex<Table>,
}

/// The names that together name a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionNameRef<'a> {
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
    /// The country of the exit that was chosen last, if one was asked for.
    pub country: Option<Country>,
    /// Its first request.
    pub began: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// How long it lasts from its first request, or from its last rotation.
    pub lasts: Duration,
}

impl Session {
    /// The number by which it is asked for.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.names().id()
    }

    /// The key under which the pool knows it: another one for each country, so that a session that is used for two
    /// countries has an exit in each.
    #[must_use]
    pub fn pool_key(&self) -> SessionKey {
        self.pool_key_in(self.country)
    }

    /// The key under which the pool knows it for requests to this country.
    pub(crate) fn pool_key_in(&self, country: Option<Country>) -> SessionKey {
        let hasher = self.names().hasher(KeyHasher::new().text("session")).number(self.began.0);
        SessionKey(hasher.finish()).in_country(country)
    }

    /// Gives it its full time again. A little less than that is left alone: every change is written to the store.
    fn extend(&mut self, now: Timestamp) {
        let ends = now.after(self.lasts);
        if ends.since(self.ends) >= self.lasts / RENEWED_PARTS {
            self.ends = ends;
        }
    }

    fn names(&self) -> SessionNameRef<'_> {
        SessionNameRef { listener: &self.listener, user: &self.user, session: &self.session }
    }

    fn has_names(&self, names: SessionNameRef<'_>) -> bool {
        self.names() == names
    }
}

impl SessionNameRef<'_> {
    /// The number by which the session is asked for, as [`Session::id`] says it.
    #[must_use]
    pub fn id(self) -> SessionId {
        SessionId(self.hasher(KeyHasher::new()).finish())
    }

    fn hasher(self, hasher: KeyHasher) -> KeyHasher {
        hasher.text(self.listener).text(self.user).text(self.session)
    }
}

impl Sessions {
    /// At most `most` sessions at a time.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        Self { most: AtomicUsize::new(most), max_per_user: AtomicUsize::new(most), table: Mutex::default() }
    }

    /// At most `most` sessions of one user at one listener; one more ends the one that was unused for longest.
    #[must_use]
    pub fn with_user_limit(self, most: usize) -> Self {
        Self { max_per_user: AtomicUsize::new(most.max(1)), ..self }
    }

    /// Other limits from now on. Sessions beyond smaller ones end as new ones begin.
    pub fn set_limits(&self, most: usize, max_per_user: usize) {
        self.most.store(most.max(1), Relaxed);
        self.max_per_user.store(max_per_user.max(1), Relaxed);
    }

    /// The session with these names, if it runs; else what it would be if it began now. With `renews` a session that runs gets its full
    /// time again.
    pub(crate) fn find_or_plan(
        &self,
        names: SessionNameRef<'_>,
        ttl: Duration,
        renews: bool,
        now: Timestamp,
    ) -> Session {
        if let Some(running) = self.table.lock().touch(names, now) {
            if renews {
                running.extend(now);
            }
            return running.clone();
        }
        Session {
            listener: names.listener.into(),
            user: names.user.into(),
            session: names.session.into(),
            country: None,
            began: now,
            ends: now.after(ttl),
            lasts: ttl,
        }
    }

    /// A node was found for a session in this country: a planned session begins with that. Returns the session as it
    /// runs, which somebody else may have begun meanwhile.
    pub(crate) fn begin(&self, planned: &Session, country: Option<Country>, now: Timestamp) -> Session {
        let mut table = self.table.lock();
        if let Some(running) = table.touch(planned.names(), now) {
            running.country = country;
            return running.clone();
        }
        let session = Session { country, ..planned.clone() };
        table.insert(session.clone(), self.most.load(Relaxed), self.max_per_user.load(Relaxed), now);
        session
    }

    /// Takes in a session as it was before a restart.
    pub fn restore(&self, session: Session, now: Timestamp) {
        if session.ends > now {
            self.table.lock().insert(session, self.most.load(Relaxed), self.max_per_user.load(Relaxed), now);
        }
    }

    /// Those that run, in no order.
    #[must_use]
    pub fn list(&self, now: Timestamp) -> Vec<Session> {
        self.table.lock().iter().filter(|session| session.ends > now).cloned().collect()
    }

    /// One that runs.
    #[must_use]
    pub fn get(&self, id: SessionId, now: Timestamp) -> Option<Session> {
        self.table.lock().get(id).filter(|session| session.ends > now).cloned()
    }

    /// Gives a session its full time again.
    pub fn renew(&self, id: SessionId, now: Timestamp) -> Option<Session> {
        let mut table = self.table.lock();
        let session = table.get_mut(id).filter(|session| session.ends > now)?;
        // It keeps its beginning: the pool knows it by that.
        session.ends = now.after(session.lasts);
        Some(session.clone())
    }

    /// Ends a session: the next request with its name begins a new one.
    pub fn end(&self, id: SessionId) -> Option<Session> {
        self.table.lock().remove(id)
    }

    /// How many are remembered, those among them that have ended and were not cleared away yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.lock().len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
