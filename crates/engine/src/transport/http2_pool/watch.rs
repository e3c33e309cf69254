//! The task of a connection. It moves the bytes, pings a silent server, and closes the connection when it is idle.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use h2::{Ping, PingPong, client};
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{Connection, slots::ConnectionSlots};
use crate::{
    budget::{IdleConnections, IdleTicket},
    io::activity::ActivityMeter,
};

/// How long a connection that nobody uses stays open, at most.
pub(super) const IDLE: Duration = Duration::from_secs(30);
/// That time for each stream it has carried: a connection that was opened for one probe is soon closed.
pub(super) const IDLE_FOR_EACH: Duration = Duration::from_secs(5);
/// How often the server of a connection in use is pinged.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(20);
/// How long the server may take to answer a ping or to send anything else. The answer may come behind much data on a slow path.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long an orderly end may take.
const GOODBYE: Duration = Duration::from_secs(5);

/// Why the watch is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WatchEnd {
    /// Nobody uses the connection.
    Idle,
    /// The server is silent.
    Dead,
}

/// Runs a connection to its end and removes it from the pool.
pub(super) async fn run(
    mut wire: client::Connection<ActivityMeter, Bytes>,
    slots: Arc<ConnectionSlots>,
    list: Weak<Mutex<Vec<Connection>>>,
    idle: Arc<IdleConnections>,
) {
    let pings = wire.ping_pong();
    let mut wire = pin!(wire);
    let end = tokio::select! {
        result = &mut wire => {
            if let Err(error) = result {
                tracing::debug!(%error, "a shared connection failed");
            }
            None
        }
        end = watch_over(&slots, pings, &idle) => Some(end),
    };
    slots.close();
    if let Some(list) = list.upgrade() {
        list.lock().retain(|connection| !Arc::ptr_eq(&connection.slots, &slots));
    }
    if end == Some(WatchEnd::Idle) {
        // Nobody can send any more, so this ends the connection in order.
        let _ = timeout(GOODBYE, wire).await;
    }
    // Dropping the connection fails every stream that is still on it.
}

async fn watch_over(slots: &ConnectionSlots, mut pings: Option<PingPong>, idle: &Arc<IdleConnections>) -> WatchEnd {
    let close = Arc::new(Notify::new());
    loop {
        let (empty, doubted) = (slots.empty(), slots.doubted());
        let pause = match (doubted, empty) {
            (true, _) => Duration::ZERO,
            (_, true) => IDLE_FOR_EACH.saturating_mul(slots.ever_taken()).min(IDLE),
            (_, false) => KEEPALIVE,
        };
        let _ticket: Option<IdleTicket> = (empty && !doubted).then(|| idle.enter(&close));
        tokio::select! {
            () = slots.changed.notified() => continue,
            () = sleep(pause) => {}
            // Others have become idle since, and there are too many.
            () = close.notified() => {}
        }
        if empty && !doubted {
            if slots.close_if_empty() {
                return WatchEnd::Idle;
            }
            continue;
        }
        let Some(pings) = &mut pings else { continue };
        if !is_alive(slots, pings).await {
            return WatchEnd::Dead;
        }
        slots.clear_doubt();
    }
}

/// Whether the server answers a ping or sends anything else.
async fn is_alive(slots: &ConnectionSlots, pings: &mut PingPong) -> bool {
    if pings.send_ping(Ping::opaque()).is_err() {
        return false;
    }
    loop {
        let before = slots.reads_so_far();
        match timeout(PATIENCE, poll_fn(|cx| pings.poll_pong(cx))).await {
            Ok(pong) => return pong.is_ok(),
            Err(_) if slots.reads_so_far() == before => return false,
            Err(_) => {}
        }
    }
}
