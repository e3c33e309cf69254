//! HTTP/2 connections to one server, each of which carries many streams. They are opened on use, replaced when they fail, and
//! closed when they have been idle for a while.
//!
//! A node that is not in use has no connection here, and so no task and no buffer. A connection in use has one task,
//! which moves its bytes and watches over it ([`watch`](self::watch)).

mod request;
mod slots;
mod stream;
#[cfg(test)]
mod tests;
mod watch;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use hezar_core::Stage;
use http::Request;
use parking_lot::Mutex;

use self::slots::ConnectionSlots;
pub(super) use self::{request::request, slots::StreamPermit, stream::MuxStream};
use crate::{
    Attempt, BoxStream, Cause, DialError, budget::ConnectionBudget, io::activity::ActivityMeter,
    security::SecureConnector, transport::http2_body::cause_of,
};

/// The streams that one connection carries at the same time, unless the node says otherwise.
const SLOTS: u32 = 32;
/// The most streams of one connection, whatever the node says, since the windows of its streams come out of one budget.
const MOST_SLOTS: u32 = 128;
/// The most bytes of one stream's upload that wait in the buffer of the connection.
const SEND_BUFFER: usize = 64 * 1024;
/// The longest head of an answer, in bytes.
const MOST_HEAD: u32 = 16 * 1024;
/// How many connections that turn out to be dead are tried before an attempt fails.
const TRIES: usize = 3;

/// How much one connection is used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Streams at the same time.
    pub(super) slots: u32,
    /// Streams in its life, several of which may belong to one permit; 0 = any number.
    pub(super) uses: u32,
    /// Its age, from which on it takes no new streams.
    pub(super) age: Option<Duration>,
    /// The HTTP/2 streams that one permit may need at the same time.
    pub(super) streams_per_permit: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { slots: SLOTS, uses: 0, age: None, streams_per_permit: 1 }
    }
}

/// The connections to one node's server.
#[derive(Debug)]
pub(super) struct Http2Pool {
    open: Arc<Mutex<Vec<Connection>>>,
    /// The lock is held while a connection is opened. Whoever comes meanwhile shares that connection.
    opening: tokio::sync::Mutex<()>,
    limits: Limits,
    budget: ConnectionBudget,
}

/// One connection.
#[derive(Debug)]
struct Connection {
    sender: SendRequest<Bytes>,
    slots: Arc<ConnectionSlots>,
}

/// A stream that was asked for: the future answer, and the sender of the request's body.
pub(super) struct Exchange {
    pub(super) answer: ResponseFuture,
    pub(super) upload: h2::SendStream<Bytes>,
}

impl Http2Pool {
    /// An empty pool. Its connections count towards `budget`.
    pub(super) fn new(limits: Limits, budget: ConnectionBudget) -> Self {
        let slots = limits.slots.clamp(1, MOST_SLOTS);
        let limits = Limits { slots, ..limits };
        Self { open: Arc::default(), opening: tokio::sync::Mutex::default(), limits, budget }
    }

    /// Sends a request's head on a connection that has room, or on a new one.
    ///
    /// # Errors
    /// [`DialError`] with the stage that failed.
    pub(super) async fn request(
        &self,
        connector: &SecureConnector,
        request: &Request<()>,
        ends: bool,
        attempt: &Attempt,
    ) -> Result<(Arc<StreamPermit>, Exchange), DialError> {
        let mut failure = Cause::Closed;
        for _ in 0..TRIES {
            let permit = self.permit(connector, attempt).await?;
            match permit.request(request.clone(), ends) {
                Ok(exchange) => return Ok((Arc::new(permit), exchange)),
                // The connection died between its last use and now.
                Err(cause) => failure = cause,
            }
            permit.retire();
        }
        Err(DialError::new(Stage::Transport, failure))
    }

    /// A permit on a connection.
    ///
    /// # Errors
    /// [`DialError`] when none is free and no connection can be opened.
    pub(super) async fn permit(
        &self,
        connector: &SecureConnector,
        attempt: &Attempt,
    ) -> Result<StreamPermit, DialError> {
        if let Some(permit) = self.free() {
            return Ok(permit);
        }
        let turn = async { Ok::<_, Cause>(self.opening.lock().await) };
        let _turn = attempt.stage(Stage::Connect, turn).await?;
        if let Some(permit) = self.free() {
            return Ok(permit);
        }
        let stream = connector.connect(attempt).await?;
        attempt.stage(Stage::Transport, self.begin(stream)).await
    }

    /// A free permit on a connection that lives.
    fn free(&self) -> Option<StreamPermit> {
        let mut open = self.open.lock();
        open.retain(|connection| !connection.slots.closed());
        open.iter().find_map(|connection| {
            let most = connection.sender.current_max_send_streams() / self.limits.streams_per_permit.max(1) as usize;
            connection.slots.take(most.max(1)).then(|| connection.permit())
        })
    }

    /// The number of open connections.
    #[cfg(test)]
    pub(super) fn alive(&self) -> usize {
        self.open.lock().len()
    }

    /// Makes a connection out of a stream, and takes its first permit.
    async fn begin(&self, stream: BoxStream) -> Result<StreamPermit, Cause> {
        let windows = self.budget.windows.take(self.limits.slots);
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(windows.stream_window())
            .initial_connection_window_size(windows.connection_window())
            .max_send_buffer_size(SEND_BUFFER)
            .max_header_list_size(MOST_HEAD);
        let slots = Arc::new(ConnectionSlots::new(Limits { slots: windows.streams(), ..self.limits }));
        let stream = ActivityMeter::new(stream, Arc::clone(slots.reads()));
        let (sender, wire) = builder.handshake(stream).await.map_err(cause_of)?;
        let connection = Connection { sender, slots };
        connection.slots.take(1);
        let permit = connection.permit();
        self.open.lock().push(connection);
        let list: Weak<_> = Arc::downgrade(&self.open);
        let idle = Arc::clone(&self.budget.idle);
        let slots = Arc::clone(permit.slots());
        tokio::spawn(async move {
            watch::run(wire, slots, list, idle).await;
            // The server can send nothing any more.
            drop(windows);
        });
        Ok(permit)
    }
}

impl Connection {
    fn permit(&self) -> StreamPermit {
        StreamPermit::new(self.sender.clone(), Arc::clone(&self.slots))
    }
}
