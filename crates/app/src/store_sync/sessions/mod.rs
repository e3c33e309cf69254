//! Sessions over a restart: what the gateway and the pool know about them is written behind, and comes back.

mod among_gateways;

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use hezar_core::Timestamp;
use hezar_engine::Clock;
use hezar_gateway::{Session, Sessions};
use hezar_pool::{ExitKey, Pinned};
use hezar_store::{Change, SessionName, SessionRow, SharedStore, Writer};
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::nodes::Nodes;

pub(crate) use among_gateways::SessionsAmongGateways;

/// The rows that are in the store, by name.
type Written = Arc<Mutex<HashMap<SessionName, Stored>>>;

/// A row of the store.
struct Stored {
    row: SessionRow,
    /// Whether the session was seen to run here: then it has ended when it no longer does.
    is_running: bool,
}

/// How often changes are looked for; what is younger may be lost when the program is killed.
const EVERY: Duration = Duration::from_secs(1);

/// How long sessions that are not in the store may take to be entered at the end.
const LAST: Duration = Duration::from_secs(3);

/// The table of sessions, and what of it is in the store.
pub(crate) struct SessionSync {
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) pool: Arc<Nodes>,
    clock: Clock,
    written: Written,
    /// Where the store has the sessions of other gateways, too.
    among: Option<Arc<SessionsAmongGateways>>,
}

impl SessionSync {
    /// Takes in what the store held.
    pub(crate) fn new(sessions: Arc<Sessions>, pool: Arc<Nodes>, clock: Clock, rows: Vec<SessionRow>) -> Self {
        let now = clock.now();
        rows.iter().for_each(|row| restore(&sessions, &pool, row, now));
        let written: HashMap<_, _> =
            rows.into_iter().map(|row| (row.name.clone(), Stored { row, is_running: true })).collect();
        Self { sessions, pool, clock, written: Arc::new(Mutex::new(written)), among: None }
    }

    /// The same for a store that other gateways write to as well.
    pub(crate) fn among_gateways(mut self, shared: Arc<dyn SharedStore>) -> (Self, Arc<SessionsAmongGateways>) {
        let (sessions, pool) = (Arc::clone(&self.sessions), Arc::clone(&self.pool));
        let among = SessionsAmongGateways::new(shared, sessions, pool, self.clock, Arc::clone(&self.written));
        let among = Arc::new(among);
        self.among = Some(Arc::clone(&among));
        (self, among)
    }

    /// Writes what changes until `stop`, and then what is left.
    pub(crate) async fn run(&mut self, writer: &Writer, stop: &CancellationToken) {
        loop {
            let stopped = tokio::select! {
                () = stop.cancelled() => true,
                () = sleep(EVERY) => false,
            };
            if let Some(among) = &self.among {
                // A store that does not answer must not keep the program from ending.
                let _ = if stopped {
                    timeout(LAST, among.enter_new()).await.ok()
                } else {
                    stop.run_until_cancelled(among.enter_new()).await
                };
            }
            let changes = self.changes(self.clock.now());
            if (!changes.is_empty() && writer.put(changes).await.is_err()) || stopped {
                return;
            }
        }
    }

    /// What is different from the store.
    pub(crate) fn changes(&mut self, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut running = HashSet::new();
        let mut written = self.written.lock();
        for session in self.sessions.list(now) {
            let name = name(&session);
            let old = written.get(&name).map(|stored| &stored.row);
            if old.is_none() && self.among.is_some() {
                // Another gateway may have begun it: it is entered, not written.
                continue;
            }
            let row = row(&self.pool, &session, old);
            if old != Some(&row) {
                changes.push(Change::PutSession(row.clone()));
            }
            written.insert(name.clone(), Stored { row, is_running: true });
            running.insert(name);
        }
        written.retain(|name, stored| {
            let stays = running.contains(name) || (!stored.is_running && stored.row.ends > now);
            if !stays {
                changes.push(Change::RemoveSession { name: name.clone(), ends: stored.row.ends });
            }
            stays
        });
        changes
    }
}

/// Takes in a session as a row says it, with the exit that it keeps.
pub(crate) fn restore(sessions: &Sessions, pool: &Nodes, row: &SessionRow, now: Timestamp) {
    let session = session(row, now);
    if let Some(pinned) = pinned(pool, row) {
        pool.pin(session.pool_key(), pinned);
    }
    sessions.restore(session, now);
}

/// What a row says about where its session comes out.
fn pinned(pool: &Nodes, row: &SessionRow) -> Option<Pinned> {
    let node = row.node?;
    let exit = row.exit_ip.map(ExitKey::from_ip).or_else(|| pool.node(node).map(|node| node.exit()))?;
    Some(Pinned { node, exit })
}

/// Whether a session with the names of a row runs.
pub(crate) fn is_running(sessions: &Sessions, row: &SessionRow, now: Timestamp) -> bool {
    sessions.get(session(row, now).id(), now).is_some()
}

/// What the store keeps of a session; `old` is what it kept before. Without `..`: a field that is added must be kept.
pub(crate) fn row(pool: &Nodes, session: &Session, old: Option<&SessionRow>) -> SessionRow {
    let Session { listener: _, user: _, session: _, country, began, ends, lasts } = session;
    let pinned = pool.pinned(session.pool_key());
    let node = pinned.and_then(|pinned| pool.node(pinned.node));
    let known = node.and_then(|node| node.record().exit_ip);
    let is_pinned = |ip: &IpAddr| pinned.is_some_and(|pinned| pinned.exit == ExitKey::from_ip(*ip));
    SessionRow {
        name: name(session),
        country: *country,
        began: *began,
        ends: *ends,
        lasts: *lasts,
        // A node that is gone no longer says where it came out, and here it may come out elsewhere than where the session began; what was
        // written before does.
        exit_ip: known.filter(is_pinned).or_else(|| old.and_then(|old| old.exit_ip).filter(is_pinned)),
        node: pinned.map(|pinned| pinned.node),
    }
}

pub(crate) fn name(session: &Session) -> SessionName {
    SessionName { listener: session.listener.clone(), user: session.user.clone(), session: session.session.clone() }
}

/// The session that was kept. What a wrong clock put into the future is brought back: no session outlasts its time.
fn session(row: &SessionRow, now: Timestamp) -> Session {
    let SessionRow { name, country, began, ends, lasts, exit_ip: _, node: _ } = row;
    Session {
        listener: name.listener.clone(),
        user: name.user.clone(),
        session: name.session.clone(),
        country: *country,
        began: (*began).min(now),
        ends: (*ends).min(now.after(*lasts)),
        lasts: *lasts,
    }
}

#[cfg(test)]
mod tests;
