//! One QUIC connection to a server: how many use it, when a packet last came from the server, and when it is closed.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use quinn::{Connection, Endpoint};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use super::fault::cause_of_end;
use crate::{
    Cause,
    budget::{IdleConnections, IdleTicket},
};

/// A connection on which a packet came within this time is used at once. After more silence the server has to answer first.
const WARM: Duration = Duration::from_secs(3);
/// The bounds of the time within which a server has to acknowledge something: four round trips.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));

/// One connection and what its protocol keeps with it.
#[derive(Debug)]
pub(crate) struct QuicConnection<S> {
    /// The connection.
    pub(crate) connection: Connection,
    /// What the protocol keeps with the connection.
    pub(crate) session: S,
    counter: Arc<UseCounter>,
    heard: Mutex<LastReceived>,
    /// The socket that it uses now.
    pub(super) endpoint: Arc<Endpoint>,
}

/// How many use a connection.
#[derive(Debug)]
struct Uses {
    count: usize,
    /// When the count fell to 0.
    idle_since: Instant,
    /// Its place among the idle connections of all nodes, while the count is 0.
    idle: Option<IdleTicket>,
    closed: bool,
}

/// When a packet was last seen to arrive, and how many had arrived by then.
#[derive(Clone, Copy, Debug)]
struct LastReceived {
    packets: u64,
    at: Instant,
}

/// What a connection and its users share.
#[derive(Debug)]
struct UseCounter {
    uses: Mutex<Uses>,
    idle_connections: Arc<IdleConnections>,
    /// Notified when too many connections of all nodes are idle, and this one is to be closed.
    close: Arc<Notify>,
}

/// One use of a connection. While it exists, the connection does not count as idle.
#[derive(Debug)]
pub(crate) struct ConnectionGuard(Arc<UseCounter>);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let counter = &self.0;
        let mut uses = counter.uses.lock();
        uses.count = uses.count.saturating_sub(1);
        if uses.count == 0 {
            uses.idle_since = Instant::now();
            uses.idle = Some(counter.idle_connections.enter(&counter.close));
        }
    }
}

impl<S: Send + Sync + 'static> QuicConnection<S> {
    /// A new connection that nobody uses yet.
    pub(super) fn new(
        connection: Connection,
        session: S,
        endpoint: Arc<Endpoint>,
        idle_connections: &Arc<IdleConnections>,
    ) -> Self {
        let now = Instant::now();
        let counter = UseCounter {
            uses: Mutex::new(Uses { count: 0, idle_since: now, idle: None, closed: false }),
            idle_connections: Arc::clone(idle_connections),
            close: Arc::default(),
        };
        let heard = Mutex::new(LastReceived { packets: connection.stats().udp_rx.datagrams, at: now });
        Self { connection, session, counter: Arc::new(counter), heard, endpoint }
    }

    /// Begins a use of the connection; `None` when it has ended or is closed for new users.
    pub(super) fn lease(&self) -> Option<ConnectionGuard> {
        if self.connection.close_reason().is_some() {
            return None;
        }
        let mut uses = self.counter.uses.lock();
        if uses.closed {
            return None;
        }
        uses.count += 1;
        uses.idle = None;
        drop(uses);
        Some(ConnectionGuard(Arc::clone(&self.counter)))
    }

    /// The cause for which the connection has ended, or that it is closed.
    pub(crate) fn end(&self) -> Cause {
        cause_of_end(&self.connection)
    }

    /// How many packets have arrived.
    pub(super) fn packets(&self) -> u64 {
        self.connection.stats().udp_rx.datagrams
    }

    /// Whether the server has been silent for so long that it may be gone.
    pub(crate) fn is_cold(&self) -> bool {
        let mut heard = self.heard.lock();
        let (now, packets) = (Instant::now(), self.packets());
        let cold = now.duration_since(heard.at) >= WARM;
        if !cold && packets != heard.packets {
            *heard = LastReceived { packets, at: now };
        }
        cold
    }

    /// Waits for a packet after the server was sent something. Returns false when none comes in time.
    pub(crate) async fn answers(&self, since: u64) -> bool {
        let (least, most) = PATIENCE;
        let until = Instant::now() + (self.connection.rtt() * 4).clamp(least, most);
        let mut pause = Duration::from_millis(1);
        let packets = loop {
            let packets = self.packets();
            if packets != since {
                break packets;
            }
            if Instant::now() >= until || self.connection.close_reason().is_some() {
                return false;
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(16));
        };
        *self.heard.lock() = LastReceived { packets, at: Instant::now() };
        true
    }
}

impl<S> QuicConnection<S> {
    /// Waits until the connection is to be closed because too many connections of all nodes are idle.
    pub(super) async fn surplus(&self) {
        self.counter.close.notified().await;
    }

    /// Closes the connection for new users when it has been unused for `idle`, or is unused and `is_surplus`. Returns when
    /// to look again, or `None` when it was closed.
    pub(super) fn close_if_idle(&self, idle: Duration, is_surplus: bool) -> Option<Instant> {
        let now = Instant::now();
        let mut uses = self.counter.uses.lock();
        let idle_at = if uses.count > 0 { now } else { uses.idle_since } + idle;
        if idle_at > now && !(is_surplus && uses.count == 0) {
            return Some(idle_at);
        }
        (uses.closed, uses.idle) = (true, None);
        None
    }
}
