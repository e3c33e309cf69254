//! Sessions over a restart: what the gateway and the pool know about them is written behind, and comes back.

use std::{collections::HashMap, sync::Arc, time::Duration};

use hezar_core::Timestamp;
use hezar_engine::Clock;
use hezar_gateway::{Session, Sessions};
use hezar_pool::{ExitKey, Pinned};
use hezar_store::{Change, SessionName, SessionRow, Writer};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::nodes::Nodes;

/// How often changes are looked for; what is younger may be lost when the program is killed.
const EVERY: Duration = Duration::from_secs(1);

/// The table of sessions, and what of it is in the store.
pub(crate) struct SessionSync {
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) pool: Arc<Nodes>,
    clock: Clock,
    written: HashMap<SessionName, SessionRow>,
}

impl SessionSync {
    /// Takes in what the store held.
    pub(crate) fn new(sessions: Arc<Sessions>, pool: Arc<Nodes>, clock: Clock, rows: Vec<SessionRow>) -> Self {
        let now = clock.now();
        rows.iter().for_each(|row| restore(&sessions, &pool, row, now));
        let written = rows.into_iter().map(|row| (row.name.clone(), row)).collect();
        Self { sessions, pool, clock, written }
    }

    /// Writes what changes until `stop`, and then what is left.
    pub(crate) async fn run(&mut self, writer: &Writer, stop: &CancellationToken) {
        loop {
            let stopped = tokio::select! {
                () = stop.cancelled() => true,
                () = sleep(EVERY) => false,
            };
            let changes = self.changes(self.clock.now());
            if (!changes.is_empty() && writer.put(changes).await.is_err()) || stopped {
                return;
            }
        }
    }

    /// What is different from the store.
    pub(crate) fn changes(&mut self, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut now_written = HashMap::new();
        for session in self.sessions.list(now) {
            let name = name(&session);
            let old = self.written.get(&name);
            let row = row(&self.pool, &session, old);
            if old != Some(&row) {
                changes.push(Change::PutSession(row.clone()));
            }
            now_written.insert(name, row);
        }
        let gone = self.written.keys().filter(|name| !now_written.contains_key(*name));
        changes.extend(gone.cloned().map(Change::RemoveSession));
        self.written = now_written;
        changes
    }
}

/// Takes in a session as a row says it, with the exit that it keeps.
pub(crate) fn restore(sessions: &Sessions, pool: &Nodes, row: &SessionRow, now: Timestamp) {
    let session = session(row, now);
    let node = row.node.and_then(|id| pool.node(id));
    let exit = row.exit_ip.map(ExitKey::from_ip).or_else(|| node.map(|node| node.exit()));
    if let (Some(node), Some(exit)) = (row.node, exit) {
        pool.pin(session.pool_key(), Pinned { node, exit });
    }
    sessions.restore(session, now);
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
    let exit = known.or(old.and_then(|old| old.exit_ip));
    SessionRow {
        name: name(session),
        country: *country,
        began: *began,
        ends: *ends,
        lasts: *lasts,
        // A node that is gone no longer says where it came out; what was written before does.
        exit_ip: exit.filter(|ip| pinned.is_some_and(|pinned| pinned.exit == ExitKey::from_ip(*ip))),
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
