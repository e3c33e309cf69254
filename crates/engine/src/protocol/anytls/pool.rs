//! The idle AnyTLS connections of one node. The newest is used first. Each is read while it is idle, and closed when it
//! has been idle for too long.

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

/// The most idle connections. The oldest one is closed to make room for a new one.
const MOST_IDLE: usize = 16;
/// How long a connection stays idle before it is closed.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// The longest time for sending what is queued before a connection is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// An idle connection; `None` once it is taken or has ended.
type IdleSlot = Mutex<Option<AnyTlsSession>>;

/// The connections.
pub(super) struct Pool {
    pub(super) scheme: SharedScheme,
    idle: Mutex<Vec<(Arc<IdleSlot>, AbortHandle)>>,
    idle_connections: Arc<IdleConnections>,
}

impl Pool {
    /// An empty pool. Its connections count among the idle connections of all nodes.
    pub(super) fn new(budget: &ConnectionBudget) -> Self {
        Self { scheme: SharedScheme::default(), idle: Mutex::default(), idle_connections: Arc::clone(&budget.idle) }
    }

    /// Takes the newest idle connection.
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
        // The lock is held until the task is in the list, since the task may end at once.
        let mut idle = self.idle.lock();
        let task = runtime.spawn(attend(Arc::clone(&place), Arc::downgrade(self), Arc::clone(&self.idle_connections)));
        idle.push((place, task.abort_handle()));
        if idle.len() > MOST_IDLE {
            let (oldest, task) = idle.remove(0);
            task.abort();
            drop(oldest.lock().take());
        }
    }

    /// The number of idle connections.
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

/// Sends the last frames of a connection that is not kept, within a short time.
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
