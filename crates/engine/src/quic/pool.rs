//! The open connections to one server: opened on use, shared, watched, closed when idle.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::FutureExt;
use hezar_core::Stage;
use parking_lot::Mutex;
use quinn::{Connection, Endpoint, VarInt};
use tokio::{
    io::AsyncWriteExt,
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use super::{Dialled, fault::cause_of, server::ActiveHopping, stream::QuicStream};
use crate::{
    Attempt, Cause, DialError,
    budget::{ConnectionBudget, IdleConnections, IdleTicket},
};

/// A connection without streams and associations is closed after this long.
pub(crate) const IDLE: Duration = Duration::from_secs(15);

/// A server from which a packet came within this time is used at once; after more silence it has to answer first.
const WARM: Duration = Duration::from_secs(3);
/// How long a server may be silent after it was sent something that it must acknowledge: four round trips, within these
/// bounds.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));

/// The most connections to one server; a second one is opened when the first may carry no more streams.
const MOST: usize = 16;

/// One connection and what its protocol keeps with it.
#[derive(Debug)]
pub(crate) struct QuicConnection<S> {
    /// The connection.
    pub(crate) connection: Connection,
    /// The protocol's own part.
    pub(crate) session: S,
    counter: Arc<UseCounter>,
    heard: Mutex<LastReceived>,
    /// The socket that it uses now.
    pub(super) endpoint: Arc<Endpoint>,
}

/// Who uses a connection.
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
    /// Told when too many connections of all nodes are idle, and this is the one to close.
    close: Arc<Notify>,
}

/// One use of a connection. While it exists the connection is not closed for idleness.
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

/// A new stream, and whether its server has to answer before the stream is used.
struct Opened<S> {
    /// Its connection.
    link: Arc<QuicConnection<S>>,
    /// The stream.
    stream: QuicStream,
    cold: bool,
}

/// All connections to one server.
#[derive(Debug)]
pub(crate) struct QuicPool<S> {
    open: Arc<Mutex<Vec<Arc<QuicConnection<S>>>>>,
    // Held while a connection is opened, so that others wait for that one.
    dialling: tokio::sync::Mutex<()>,
    idle: Duration,
    idle_connections: Arc<IdleConnections>,
}

impl<S> QuicPool<S> {
    /// No connection yet; those to come stay within `budget`.
    pub(crate) fn new(budget: &ConnectionBudget) -> Self {
        let idle_connections = Arc::clone(&budget.idle);
        Self { open: Arc::default(), dialling: tokio::sync::Mutex::default(), idle: IDLE, idle_connections }
    }
}

#[cfg(test)]
impl<S> Default for QuicPool<S> {
    fn default() -> Self {
        Self::new(&ConnectionBudget::default())
    }
}

impl<S: Send + Sync + 'static> QuicConnection<S> {
    fn lease(&self) -> Option<ConnectionGuard> {
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

    /// Why the connection is over, or that it is closed.
    pub(crate) fn end(&self) -> Cause {
        self.connection.close_reason().map_or(Cause::Closed, |reason| cause_of(&reason))
    }

    fn packets(&self) -> u64 {
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

    /// Whether any packet comes in, now that the server was sent something.
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

impl<S: Send + Sync + 'static> QuicPool<S> {
    /// Opens a stream on an open connection or on a new one, and returns it with the bytes that are to be written `first`.
    /// Where the server has been silent, the first bytes are written here and the server has to acknowledge them, and no bytes
    /// are returned; when it does not, a new connection takes its place.
    ///
    /// # Errors
    /// [`DialError`] of `dial`, or at the handshake stage when the connection breaks at once.
    pub(crate) async fn stream<F: Future<Output = Result<(Dialled, S), DialError>> + Send>(
        &self,
        attempt: &Attempt,
        first: impl Fn(&QuicConnection<S>) -> Vec<u8>,
        dial: impl Fn() -> F,
    ) -> Result<(QuicStream, Vec<u8>, Arc<QuicConnection<S>>), DialError> {
        loop {
            let Opened { link, mut stream, cold } = self.open(attempt, &dial).await?;
            let first = first(&link);
            if !cold {
                return Ok((stream, first, link));
            }
            let before = link.packets();
            let work = async {
                // A broken connection does not answer either.
                let _ = stream.write_all(&first).await;
                Ok::<_, Cause>(link.answers(before).await)
            };
            if attempt.stage(Stage::Handshake, work).await? {
                return Ok((stream, Vec::new(), link));
            }
            self.retire(&link);
        }
    }

    /// A connection for associations, as in [`QuicPool::stream`]; `nudge` sends something that a silent server must
    /// acknowledge.
    ///
    /// # Errors
    /// [`DialError`] of `dial`.
    pub(crate) async fn link<F: Future<Output = Result<(Dialled, S), DialError>> + Send>(
        &self,
        attempt: &Attempt,
        nudge: impl Fn(&QuicConnection<S>),
        dial: impl Fn() -> F,
    ) -> Result<(Arc<QuicConnection<S>>, ConnectionGuard), DialError> {
        loop {
            let (link, lease) = match self.leased() {
                Some(found) => found,
                None => {
                    let _turn = self.turn(attempt).await?;
                    match self.leased() {
                        Some(found) => found,
                        None => return self.adopt(dial().await?),
                    }
                }
            };
            if !link.is_cold() {
                return Ok((link, lease));
            }
            let before = link.packets();
            nudge(&link);
            if attempt.stage(Stage::Handshake, async { Ok::<_, Cause>(link.answers(before).await) }).await? {
                return Ok((link, lease));
            }
            self.retire(&link);
        }
    }

    async fn open<F: Future<Output = Result<(Dialled, S), DialError>> + Send>(
        &self,
        attempt: &Attempt,
        dial: &impl Fn() -> F,
    ) -> Result<Opened<S>, DialError> {
        if let Some(opened) = self.open_now() {
            return Ok(opened);
        }
        let turn = self.turn(attempt).await?;
        if let Some(opened) = self.open_now() {
            return Ok(opened);
        }
        let full = (self.open.lock().len() >= MOST).then(|| self.leased()).flatten();
        let (link, lease) = match full {
            Some(found) => found,
            None => self.adopt(dial().await?)?,
        };
        // The server decides when it accepts another stream; other callers do not wait for that.
        drop(turn);
        let both = async { link.connection.open_bi().await.map_err(|error| cause_of(&error)) };
        let both = attempt.stage(Stage::Handshake, both).await?;
        Ok(Opened { link, stream: QuicStream::new(both, lease), cold: false })
    }

    /// A stream of the first connection that can open one without waiting.
    fn open_now(&self) -> Option<Opened<S>> {
        let links: Vec<_> = self.open.lock().iter().map(Arc::clone).collect();
        links.into_iter().find_map(|link| {
            let lease = link.lease()?;
            let both = link.connection.open_bi().now_or_never()?.ok()?;
            let cold = link.is_cold();
            Some(Opened { link, stream: QuicStream::new(both, lease), cold })
        })
    }

    fn leased(&self) -> Option<(Arc<QuicConnection<S>>, ConnectionGuard)> {
        self.open.lock().iter().rev().find_map(|link| Some((Arc::clone(link), link.lease()?)))
    }

    async fn turn(&self, attempt: &Attempt) -> Result<tokio::sync::MutexGuard<'_, ()>, DialError> {
        attempt.stage(Stage::Connect, async { Ok::<_, Cause>(self.dialling.lock().await) }).await
    }

    /// Adds a new connection and starts the task that watches it.
    fn adopt(&self, (dialled, session): (Dialled, S)) -> Result<(Arc<QuicConnection<S>>, ConnectionGuard), DialError> {
        let Dialled { connection, endpoint, hop } = dialled;
        let now = Instant::now();
        let link = Arc::new(QuicConnection {
            heard: Mutex::new(LastReceived { packets: connection.stats().udp_rx.datagrams, at: now }),
            counter: Arc::new(UseCounter {
                uses: Mutex::new(Uses { count: 0, idle_since: now, idle: None, closed: false }),
                idle_connections: Arc::clone(&self.idle_connections),
                close: Arc::default(),
            }),
            connection,
            session,
            endpoint,
        });
        let lease = link.lease().ok_or_else(|| DialError::new(Stage::Handshake, link.end()))?;
        self.open.lock().push(Arc::clone(&link));
        tokio::spawn(keep(Arc::downgrade(&self.open), Arc::clone(&link), hop, self.idle));
        Ok((link, lease))
    }

    /// Opens no more streams on a connection; those that are open go on.
    pub(crate) fn retire(&self, link: &Arc<QuicConnection<S>>) {
        self.open.lock().retain(|other| !Arc::ptr_eq(other, link));
    }

    /// Another time for idleness, in tests.
    #[cfg(test)]
    pub(crate) fn closing_after(idle: Duration) -> Self {
        Self { idle, ..Self::default() }
    }

    /// Whether one of the open connections is so.
    #[cfg(test)]
    pub(crate) fn any(&self, what: impl Fn(&QuicConnection<S>) -> bool) -> bool {
        self.open.lock().iter().any(|link| what(link))
    }

    /// How many connections are open.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.open.lock().len()
    }
}

/// Watches a connection until it ends: changes its ports, closes it when it is idle, and removes it from the pool.
async fn keep<S>(
    links: Weak<Mutex<Vec<Arc<QuicConnection<S>>>>>,
    link: Arc<QuicConnection<S>>,
    hop: Option<ActiveHopping>,
    idle: Duration,
) {
    let mut idle_at = Instant::now() + idle;
    let mut hop_at = hop.as_ref().map(|hop| Instant::now() + hop.hop.interval);
    loop {
        let next = hop_at.map_or(idle_at, |hop_at| hop_at.min(idle_at));
        let is_surplus = tokio::select! {
            _ = link.connection.closed() => break,
            () = link.counter.close.notified() => true,
            () = sleep_until(next) => false,
        };
        let now = Instant::now();
        if let (Some(at), Some(hop)) = (hop_at, &hop)
            && at <= now
        {
            hop.go(&link.endpoint);
            hop_at = Some(now + hop.hop.interval);
        }
        if idle_at <= now || is_surplus {
            let mut uses = link.counter.uses.lock();
            idle_at = if uses.count > 0 { now } else { uses.idle_since } + idle;
            if idle_at <= now || (is_surplus && uses.count == 0) {
                (uses.closed, uses.idle) = (true, None);
                break;
            }
        }
    }
    // Closing a connection that is over would replace its reason.
    if link.connection.close_reason().is_none() {
        // HTTP/3's "no error"; TUIC ignores the code.
        link.connection.close(VarInt::from_u32(0x100), b"");
    }
    if let Some(links) = links.upgrade() {
        links.lock().retain(|other| !Arc::ptr_eq(other, &link));
    }
}
