//! The idle AnyTLS connections of one node: the newest is used first, each is read while it waits, and ends when
//! nobody needs it.

use std::{
    future::poll_fn,
    sync::{Arc, Weak},
    task::Poll,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::Notify, task::AbortHandle, time::sleep};

use super::session::{AnyTlsSession, SharedScheme};
use crate::budget::{ConnectionBudget, IdleConnections};

/// The most idle connections; the oldest is closed for a new one.
const MOST_IDLE: usize = 16;
/// How long one waits before it is closed.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// The longest time for sending what is queued before a connection is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A waiting connection; nothing once it is taken or over.
type IdleSlot = Mutex<Option<AnyTlsSession>>;

/// The connections.
pub(super) struct Pool {
    pub(super) scheme: SharedScheme,
    idle: Mutex<Vec<(Arc<IdleSlot>, AbortHandle)>>,
    idle_connections: Arc<IdleConnections>,
}

impl Pool {
    /// No connection yet; those to come are counted among the idle ones of all nodes.
    pub(super) fn new(budget: &ConnectionBudget) -> Self {
        Self { scheme: SharedScheme::default(), idle: Mutex::default(), idle_connections: Arc::clone(&budget.idle) }
    }

    /// Takes the newest waiting connection.
    pub(super) fn take(&self) -> Option<AnyTlsSession> {
        loop {
            let (place, task) = self.idle.lock().pop()?;
            task.abort();
            if let Some(session) = place.lock().take() {
                return Some(session);
            }
        }
    }

    /// Keeps a connection for the next stream, with a task that reads and answers while it waits.
    pub(super) fn put(self: &Arc<Self>, session: AnyTlsSession) {
        let Ok(runtime) = Handle::try_current() else { return };
        let place = Arc::new(Mutex::new(Some(session)));
        // Held until the task is in the list: it may be over at once.
        let mut idle = self.idle.lock();
        let task = runtime.spawn(attend(Arc::clone(&place), Arc::downgrade(self), Arc::clone(&self.idle_connections)));
        idle.push((place, task.abort_handle()));
        if idle.len() > MOST_IDLE {
            let (oldest, task) = idle.remove(0);
            task.abort();
            drop(oldest.lock().take());
        }
    }

    /// How many connections wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.idle.lock().len()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for (_, task) in self.idle.get_mut() {
            task.abort();
        }
    }
}

/// Reads and answers on an idle connection until it is taken, ends, or has waited for too long.
async fn attend(place: Arc<IdleSlot>, pool: Weak<Pool>, idle_connections: Arc<IdleConnections>) {
    let close = Arc::new(Notify::new());
    let _ticket = idle_connections.enter(&close);
    let over = poll_fn(|cx| match place.lock().as_mut() {
        Some(session) => session.poll_attend(cx),
        None => Poll::Ready(()),
    });
    tokio::select! {
        () = over => {}
        () = sleep(IDLE_LIMIT) => {}
        // Too many connections of all nodes are idle, and this one has been idle for longest.
        () = close.notified() => {}
    }
    if let Some(pool) = pool.upgrade() {
        pool.idle.lock().retain(|(other, _)| !Arc::ptr_eq(other, &place));
    }
    drop(place.lock().take());
}

/// Lets a connection that is not kept send its last frames, for a short while.
pub(super) fn dismiss(mut session: AnyTlsSession) {
    if session.is_idle() || !session.healthy() {
        return;
    }
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move {
            tokio::select! {
                _ = poll_fn(|cx| session.poll_flush(cx)) => {}
                () = sleep(CLOSE_TIMEOUT) => {}
            }
        });
    }
}
