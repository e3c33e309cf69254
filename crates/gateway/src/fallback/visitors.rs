//! The places of those who are answered at a time: when all are taken, the connection that has been silent for the longest gives way.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// The most connections of strangers, and single requests over others, that are answered at a time.
pub(super) const MOST_STRANGERS: usize = 256;
/// A connection on which something has moved within this time does not give way.
const LEAST_SILENCE: Duration = Duration::from_secs(1);
/// How long the place of a connection that gives way is waited for: its task only needs to be run.
const GIVING_WAY: Duration = Duration::from_secs(5);

/// Everybody who is answered.
#[derive(Debug)]
pub(super) struct Visitors {
    pub(super) places: Arc<Semaphore>,
    /// Those with connections of their own that have not been asked to give way.
    connections: Mutex<Vec<Arc<Visitor>>>,
}

/// A stranger with a connection of its own.
#[derive(Debug)]
pub(super) struct Visitor {
    last_move: Mutex<Instant>,
    /// Cancelled when its connection must give way.
    pub(super) leave: CancellationToken,
}

/// A connection's place, which is free again when this is dropped.
pub(super) struct ConnectionPlace<'a> {
    visitors: &'a Visitors,
    pub(super) visitor: Arc<Visitor>,
    _place: OwnedSemaphorePermit,
}

impl Visitors {
    /// Nobody yet.
    pub(super) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(MOST_STRANGERS)), connections: Mutex::default() }
    }

    /// A place for a connection; `None` when all are taken by those who are being answered.
    pub(super) async fn connection(&self) -> Option<ConnectionPlace<'_>> {
        let place = self.place().await?;
        let visitor = Arc::new(Visitor { last_move: Mutex::new(Instant::now()), leave: CancellationToken::new() });
        self.connections.lock().push(Arc::clone(&visitor));
        Some(ConnectionPlace { visitors: self, visitor, _place: place })
    }

    /// A place for anything; `None` when all are taken by those who are being answered.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        let silent = self.take_most_silent()?;
        // It is waited for before it becomes free, so that nobody else takes it meanwhile.
        let place = timeout(GIVING_WAY, Arc::clone(&self.places).acquire_owned());
        let (place, ()) = tokio::join!(place, async { silent.leave.cancel() });
        place.ok()?.ok()
    }

    /// The connection on which nothing has moved for the longest time, if that is long enough. No other call gives the same one.
    fn take_most_silent(&self) -> Option<Arc<Visitor>> {
        let mut connections = self.connections.lock();
        let (at, last_move) = connections
            .iter()
            .map(|visitor| *visitor.last_move.lock())
            .enumerate()
            .min_by_key(|(_, last_move)| *last_move)?;
        (last_move.elapsed() >= LEAST_SILENCE).then(|| connections.swap_remove(at))
    }
}

impl Visitor {
    /// Notes that something has moved on its connection.
    pub(super) fn note_move(&self) {
        *self.last_move.lock() = Instant::now();
    }
}

impl Drop for ConnectionPlace<'_> {
    fn drop(&mut self) {
        self.visitors.connections.lock().retain(|visitor| !Arc::ptr_eq(visitor, &self.visitor));
    }
}
