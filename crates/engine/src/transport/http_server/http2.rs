//! The server's side of HTTP/2: gives out the requests of one connection, within bounds.

use std::{future::poll_fn, sync::Arc, time::Duration};

use bytes::Bytes;
use h2::server::{Builder, Connection};
use http::Request;
use tokio::{
    sync::{Notify, Semaphore, mpsc},
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{HttpExchange, RequestBody, Responder};
use crate::{
    BoxStream,
    budget::{WindowBudget, WindowShare},
};

/// The requests that one connection may have open at the same time. Some clients open no second connection when it is full.
const STREAMS: u32 = 256;
/// The most exchanges of one connection that live here: a client that resets its requests as soon as they are sent leaves more of them
/// behind than it has open.
const EXCHANGES: usize = 2 * STREAMS as usize;
/// The exchanges that wait to be taken.
const WAITING: usize = 4;
/// What may be sent ahead on a stream, and on a connection, that is not known to be a client's, in bytes: what HTTP/2 begins with.
const WINDOW: u32 = 65_535;
/// How many windows of a whole mebibyte a client's connection takes out of the budget: room for 32 streams of 256 KiB whose nodes
/// are slow, before such streams stop the other ones.
const WINDOWS: u32 = 8;
/// The streams that share these windows.
const WINDOW_STREAMS: u32 = 32;
/// The most bytes that the clients of one listener together may send ahead, beside what each of them may at least.
const MAX_WINDOWS: u64 = 256 << 20;
/// What a client's connection may send ahead at least: several times a stream's window, since one stream whose node takes nothing would
/// stop all the others.
const LEAST_WINDOW: u32 = 4 * WINDOW;
/// The bytes of one stream's download that wait in the buffer of the connection.
const SEND_BUFFER: usize = 64 * 1024;
/// The longest head of a request, in bytes.
const MOST_HEAD: u32 = 16 * 1024;
/// How long the client may take until its settings have come.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often is looked whether the connection is idle.
const LOOK: Duration = Duration::from_secs(30);
/// After how many idle looks a connection ends: 5 minutes, as long as clients keep theirs.
const IDLE: u32 = 10;
/// The same while there was no request yet.
const IDLE_AT_FIRST: u32 = 2;
/// How long an orderly end may take.
const GOODBYE: Duration = Duration::from_secs(5);

/// What all connections of one listener share.
#[derive(Clone, Debug)]
pub(crate) struct Http2Limits {
    /// The bound of what clients may send ahead.
    pub(crate) windows: Arc<WindowBudget>,
}

impl Default for Http2Limits {
    fn default() -> Self {
        Self { windows: Arc::new(WindowBudget::new(MAX_WINDOWS)) }
    }
}

/// One connection. Its task ends with it.
pub(crate) struct Http2Server {
    exchanges: mpsc::Receiver<HttpExchange>,
    signals: Arc<Signals>,
    _wire: AbortOnDropHandle<()>,
}

/// What the task of a connection is told.
#[derive(Debug, Default)]
struct Signals {
    trusted: Notify,
    go_away: Notify,
}

/// Serves a connection whose next bytes are the client's preface.
pub(crate) fn serve(io: BoxStream, limits: Http2Limits) -> Http2Server {
    let (sender, exchanges) = mpsc::channel(WAITING);
    let signals = Arc::<Signals>::default();
    let wire = Wire {
        exchanges: sender,
        open: Arc::new(Semaphore::new(EXCHANGES)),
        signals: Arc::clone(&signals),
        limits,
        share: None,
    };
    Http2Server { exchanges, signals, _wire: AbortOnDropHandle::new(tokio::spawn(wire.run(io))) }
}

impl Http2Server {
    /// The next request; `None` when the connection is over. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<HttpExchange> {
        self.exchanges.recv().await
    }

    /// Says that the connection is a client's, which may send more ahead than a stranger.
    pub(crate) fn trust(&self) {
        self.signals.trusted.notify_one();
    }

    /// Asks the client for another connection. The requests that are open go on.
    pub(super) fn go_away(&self) {
        self.signals.go_away.notify_one();
    }
}

/// The task of a connection.
struct Wire {
    exchanges: mpsc::Sender<HttpExchange>,
    open: Arc<Semaphore>,
    signals: Arc<Signals>,
    limits: Http2Limits,
    share: Option<WindowShare>,
}

impl Wire {
    async fn run(mut self, io: BoxStream) {
        let mut builder = Builder::new();
        builder
            .max_concurrent_streams(STREAMS)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_send_buffer_size(SEND_BUFFER)
            .max_header_list_size(MOST_HEAD);
        let Ok(Ok(mut connection)) = timeout(HANDSHAKE, builder.handshake(io)).await else { return };
        let (mut idle, mut most) = (0, IDLE_AT_FIRST);
        while idle < most {
            tokio::select! {
                accepted = self.accept(&mut connection) => match accepted {
                    Some(()) => (idle, most) = (0, IDLE),
                    None => return,
                },
                () = self.signals.trusted.notified() => self.widen(&mut connection),
                () = self.signals.go_away.notified() => connection.graceful_shutdown(),
                () = sleep(LOOK) => {
                    idle = if connection.has_streams() { 0 } else { idle + 1 };
                    if idle > 0 {
                        self.narrow(&mut connection);
                    }
                }
            }
        }
        connection.graceful_shutdown();
        let _ = timeout(GOODBYE, poll_fn(|cx| connection.poll_closed(cx))).await;
    }

    /// Gives out the next request, once there is room for it; `None` when the connection is over. Cancel safe.
    async fn accept(&self, connection: &mut Connection<BoxStream, Bytes>) -> Option<()> {
        let place = async {
            let room = self.exchanges.reserve().await.ok()?;
            Some((room, Arc::clone(&self.open).acquire_owned().await.ok()?))
        };
        let (room, permit) = tokio::select! {
            place = place => place?,
            // The requests that are there go on meanwhile.
            _ = poll_fn(|cx| connection.poll_closed(cx)) => return None,
        };
        let (request, respond) = connection.accept().await?.ok()?;
        let (head, body) = request.into_parts();
        let (request, body) = (Request::from_parts(head, ()), RequestBody::Http2(body));
        room.send(HttpExchange { request, body, responder: Responder::http2(respond, permit) });
        Some(())
    }

    /// Lets the client send more ahead, as far as the budget goes.
    fn widen(&mut self, connection: &mut Connection<BoxStream, Bytes>) {
        if self.share.is_none() {
            let share = self.limits.windows.take(WINDOWS);
            let whole = share.connection_window().max(LEAST_WINDOW);
            set_windows(connection, whole / WINDOW_STREAMS, whole);
            self.share = Some(share);
        }
    }

    /// An idle connection needs no room.
    fn narrow(&mut self, connection: &mut Connection<BoxStream, Bytes>) {
        if self.share.take().is_some() {
            set_windows(connection, WINDOW, WINDOW);
        }
    }
}

fn set_windows(connection: &mut Connection<BoxStream, Bytes>, stream: u32, whole: u32) {
    connection.set_target_window_size(whole.max(WINDOW));
    // It fails while the client has not confirmed the change before: then the streams keep their windows.
    let _ = connection.set_initial_window_size(stream.max(WINDOW));
}
