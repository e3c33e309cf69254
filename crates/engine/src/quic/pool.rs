//! The open connections to one server. They are opened on use, shared, watched, and closed when they are idle.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::FutureExt;
use hezar_core::Stage;
use parking_lot::Mutex;
use quinn::VarInt;
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, sleep_until},
};

use super::{
    Dialled,
    connection::{ConnectionGuard, QuicConnection},
    fault::cause_of,
    server::ActiveHopping,
    stream::QuicStream,
};
use crate::{
    Attempt, Cause, DialError,
    budget::{ConnectionBudget, IdleConnections},
};

/// A connection without streams and associations is closed after this long.
pub(crate) const IDLE: Duration = Duration::from_secs(15);

/// The most connections to one server. A second one is opened when the first one may carry no more streams.
const MOST: usize = 16;

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
    // The lock is held while a connection is opened, so that others wait for that connection.
    dialling: tokio::sync::Mutex<()>,
    idle: Duration,
    idle_connections: Arc<IdleConnections>,
}

impl<S> QuicPool<S> {
    /// An empty pool. Its connections count towards `budget`.
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

    /// A connection for an association, chosen as in [`QuicPool::stream`]. `nudge` sends something that a silent server must
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
        // The server decides when it accepts another stream. Other callers do not wait for that.
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
        let link = Arc::new(QuicConnection::new(connection, session, endpoint, &self.idle_connections));
        let lease = link.lease().ok_or_else(|| DialError::new(Stage::Handshake, link.end()))?;
        self.open.lock().push(Arc::clone(&link));
        tokio::spawn(keep(Arc::downgrade(&self.open), Arc::clone(&link), hop, self.idle));
        Ok((link, lease))
    }

    /// Opens no more streams on a connection. Its open streams go on.
    pub(crate) fn retire(&self, link: &Arc<QuicConnection<S>>) {
        self.open.lock().retain(|other| !Arc::ptr_eq(other, link));
    }

    /// A pool that closes connections after another idle time, for tests.
    #[cfg(test)]
    pub(crate) fn closing_after(idle: Duration) -> Self {
        Self { idle, ..Self::default() }
    }

    /// Whether `what` holds for one of the open connections.
    #[cfg(test)]
    pub(crate) fn any(&self, what: impl Fn(&QuicConnection<S>) -> bool) -> bool {
        self.open.lock().iter().any(|link| what(link))
    }

    /// The number of open connections.
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
            () = link.surplus() => true,
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
            let Some(later) = link.close_if_idle(idle, is_surplus) else { break };
            idle_at = later;
        }
    }
    // A connection that has ended is not closed again, since that would replace its reason.
    if link.connection.close_reason().is_none() {
        // This is H3_NO_ERROR (RFC 9114 §8.1). TUIC ignores the code.
        link.connection.close(VarInt::from_u32(0x100), b"");
    }
    if let Some(links) = links.upgrade() {
        links.lock().retain(|other| !Arc::ptr_eq(other, &link));
    }
}
