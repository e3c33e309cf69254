//! Sessions that several gateways serve over one store: the first that begins one decides where it comes out, and the others follow.

use std::sync::Arc;

use async_trait::async_trait;
use hezar_engine::Clock;
use hezar_gateway::{Session, Sessions, SharedSession, SharedSessions};
use hezar_pool::{ExitKey, Pinned};
use hezar_store::{SessionName, SessionRow, SharedStore, StoreError};
use tokio::sync::Semaphore;

use super::{Stored, Written, name, pinned, restore, row, session};
use crate::nodes::Nodes;

/// Sessions that are entered late at a time: those whose first request did not wait for the store.
const MOST_LATE: usize = 200;
/// Sessions that are entered at a time; while the store is slow, more are entered late.
const MOST_AT_ONCE: usize = 64;

/// The sessions of all gateways.
pub(crate) struct SessionsAmongGateways {
    shared: Arc<dyn SharedStore>,
    sessions: Arc<Sessions>,
    pool: Arc<Nodes>,
    clock: Clock,
    written: Written,
    places: Arc<Semaphore>,
}

impl std::fmt::Debug for SessionsAmongGateways {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionsAmongGateways").finish_non_exhaustive()
    }
}

impl SessionsAmongGateways {
    pub(super) fn new(
        shared: Arc<dyn SharedStore>,
        sessions: Arc<Sessions>,
        pool: Arc<Nodes>,
        clock: Clock,
        written: Written,
    ) -> Self {
        Self { shared, sessions, pool, clock, written, places: Arc::new(Semaphore::new(MOST_AT_ONCE)) }
    }

    /// Enters the sessions that run here and are not in the store. One that another gateway has begun meanwhile takes the place of the
    /// own one.
    pub(super) async fn enter_new(&self) {
        let sessions = self.sessions.list(self.clock.now());
        let is_new = |session: &&Session| !self.written.lock().contains_key(&name(session));
        let new: Vec<SessionRow> =
            sessions.iter().filter(is_new).take(MOST_LATE).map(|session| row(&self.pool, session, None)).collect();
        for own in new {
            match self.shared.enter_session(&own).await {
                Ok(entered) => self.adopt(entered),
                // They are tried again with the next look.
                Err(error) => return tracing::debug!(%error, "sessions are not entered now"),
            }
        }
    }

    /// Takes over a session as the store has it. Of two that run, the one that began first counts.
    pub(crate) fn adopt(&self, stored: SessionRow) {
        let now = self.clock.now();
        let known = self.sessions.get(session(&stored, now).id(), now);
        let is_news = {
            let mut written = self.written.lock();
            let is_running = written.get(&stored.name).is_some_and(|known| known.is_running);
            let before = written.insert(stored.name.clone(), Stored { row: stored.clone(), is_running });
            before.is_none_or(|before| before.row != stored)
        };
        let is_older = known.as_ref().is_some_and(|known| known.began < stored.began);
        let is_same = known.is_some_and(|known| row(&self.pool, &known, Some(&stored)) == stored);
        if is_news && !is_older && !is_same {
            restore(&self.sessions, &self.pool, &stored, now);
        }
    }

    /// Takes over that a session has ended.
    pub(crate) fn adopt_end(&self, ended: &SessionName) {
        if self.written.lock().remove(ended).is_none() {
            return;
        }
        let names =
            hezar_gateway::SessionNameRef { listener: &ended.listener, user: &ended.user, session: &ended.session };
        if let Some(session) = self.sessions.end(names.id()) {
            self.pool.end_session(session.pool_key());
        }
    }

    /// The names of the sessions that are in the store, as far as is known here.
    pub(crate) fn names(&self) -> Vec<SessionName> {
        self.written.lock().keys().cloned().collect()
    }

    fn row_of(&self, session: &Session, pinned: Pinned) -> SessionRow {
        let exit_ip = self.pool.node(pinned.node).and_then(|node| node.record().exit_ip);
        SessionRow {
            name: name(session),
            country: session.country,
            began: session.began,
            ends: session.ends,
            lasts: session.lasts,
            exit_ip: exit_ip.filter(|ip| pinned.exit == ExitKey::from_ip(*ip)),
            node: Some(pinned.node),
        }
    }

    /// Enters a session; `None` when too many are being entered.
    async fn enter_row(&self, own: SessionRow) -> Result<Option<SharedSession>, StoreError> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return Ok(None) };
        let shared = Arc::clone(&self.shared);
        // A request that waits no longer must not cut the transaction: that would cost its connection, while the store is slow.
        let entering = tokio::spawn(async move {
            let _place = place;
            shared.enter_session(&own).await
        });
        let Ok(entered) = entering.await else { return Ok(None) };
        let entered = entered?;
        let now = self.clock.now();
        let shared = SharedSession { session: session(&entered, now), pinned: pinned(&self.pool, &entered) };
        self.written.lock().insert(entered.name.clone(), Stored { row: entered, is_running: false });
        Ok(Some(shared))
    }
}

#[async_trait]
impl SharedSessions for SessionsAmongGateways {
    async fn enter(&self, session: &Session, pinned: Pinned) -> Option<SharedSession> {
        let own = self.row_of(session, pinned);
        let entered = self.enter_row(own).await;
        entered.inspect_err(|error| tracing::debug!(%error, "a session is not shared with other gateways")).ok()?
    }
}
