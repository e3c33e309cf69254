//! The task of a connection: it moves the bytes, asks a silent server for a sign of life, and closes what nobody uses.

use std::{
    pin::pin,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use h2::{Ping, PingPong, client};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::{Connection, seats::Seats};
use crate::BoxStream;

/// How long a connection that nobody uses stays open.
pub(super) const IDLE: Duration = Duration::from_secs(30);
/// How often the server of a connection in use is asked for a sign of life.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(20);
/// How long it may take to give one.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long an orderly end may take.
const GOODBYE: Duration = Duration::from_secs(5);

/// Why the watch is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nobody uses the connection.
    Idle,
    /// The server is silent.
    Dead,
}

/// Runs a connection to its end and takes it off the list.
pub(super) async fn drive(
    mut wire: client::Connection<BoxStream, Bytes>,
    seats: Arc<Seats>,
    list: Weak<Mutex<Vec<Connection>>>,
) {
    let pings = wire.ping_pong();
    let mut wire = pin!(wire);
    let verdict = tokio::select! {
        result = &mut wire => {
            if let Err(error) = result {
                tracing::debug!(%error, "a shared connection failed");
            }
            None
        }
        verdict = watch(&seats, pings) => Some(verdict),
    };
    seats.close();
    if let Some(list) = list.upgrade() {
        list.lock().retain(|connection| !Arc::ptr_eq(&connection.seats, &seats));
    }
    if verdict == Some(Verdict::Idle) {
        // Nobody can send any more, so this says goodbye and ends.
        let _ = timeout(GOODBYE, wire).await;
    }
    // Dropping the connection fails every stream that is still on it.
}

async fn watch(seats: &Seats, mut pings: Option<PingPong>) -> Verdict {
    loop {
        let (empty, doubted) = (seats.empty(), seats.doubted());
        let pause = match (doubted, empty) {
            (true, _) => Duration::ZERO,
            (_, true) => IDLE,
            (_, false) => KEEPALIVE,
        };
        if timeout(pause, seats.changed.notified()).await.is_ok() {
            continue;
        }
        if empty && !doubted {
            if seats.close_if_empty() {
                return Verdict::Idle;
            }
            continue;
        }
        let Some(pings) = &mut pings else { continue };
        match timeout(PATIENCE, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => seats.trust(),
            _ => return Verdict::Dead,
        }
    }
}
