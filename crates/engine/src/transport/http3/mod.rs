//! HTTP/3 connections to one server, each of which carries many requests. They are opened on use, shared, replaced when they
//! fail, and closed when they are idle ([`QuicPool`]).
//!
//! Only what a tunnel needs of HTTP/3 is implemented: requests with a body, and answers of which only the status matters. So
//! the frames are written here ([`wire`]), and what a server may make us keep in memory is bounded.

mod stream;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use hezar_core::Stage;
use http::Request;
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::{io::AsyncWriteExt, time::Instant};

pub(super) use self::stream::Http3Stream;
use self::wire::Front;
use super::http2_pool::Limits;
use crate::{
    Attempt, Cause, DialError,
    budget::WindowShare,
    quic::{Dialled, QuicPool, QuicServer, QuicStream, cause_of, cause_of_write, transport_config},
};

/// The unidirectional streams that a server may open: control, two of QPACK, and some that say nothing.
const SERVER_STREAMS: u32 = 8;
/// The most streams whose windows a connection gets. When more clients than these do not read, the others have to wait for them.
const FULL_WINDOWS: u32 = 64;
/// How many connections that turn out to take no more requests are tried before an attempt fails.
const TRIES: usize = 3;

/// The connections to one node's server.
#[derive(Debug)]
pub(super) struct Http3Pool {
    server: QuicServer,
    pool: QuicPool<Http3Session>,
    limits: Limits,
}

/// What is kept with a connection.
#[derive(Debug)]
struct Http3Session {
    life: Arc<Life>,
    /// HTTP/3 ends with its control streams.
    _control: SendStream,
    _windows: WindowShare,
}

/// How much a connection has carried, and whether it carries more.
#[derive(Debug)]
struct Life {
    born: Instant,
    used: AtomicU32,
    leaving: AtomicBool,
}

impl Life {
    /// Counts a request. Returns whether it is the last one that the connection may carry.
    fn count_request(&self, limits: &Limits) -> bool {
        let used = self.used.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        (limits.uses > 0 && used >= limits.uses) || limits.age.is_some_and(|age| self.born.elapsed() >= age)
    }
}

impl Http3Pool {
    /// An empty pool.
    pub(super) fn new(server: QuicServer, limits: Limits) -> Self {
        let pool = QuicPool::new(&server.clients.budget);
        Self { server, pool, limits }
    }

    /// Sends a request's head on a connection that is open, or on a new one; without a body when it `ends`.
    ///
    /// # Errors
    /// [`DialError`] with the stage that failed.
    pub(super) async fn request(
        &self,
        request: &Request<()>,
        ends: bool,
        attempt: &Attempt,
    ) -> Result<Http3Stream<QuicStream>, DialError> {
        let head = wire::head(request);
        let mut tries = 0..TRIES;
        loop {
            let (stream, head, link) = self.pool.stream(attempt, |_| head.clone(), || self.dial(attempt)).await?;
            let leaving = link.session.life.leaving.load(Ordering::Relaxed);
            if leaving || link.session.life.count_request(&self.limits) {
                self.pool.retire(&link);
            }
            if leaving && tries.next().is_some() {
                continue;
            }
            let mut stream = Http3Stream::new(stream, head);
            let sending = async {
                stream.flush().await?;
                if ends { stream.shutdown().await } else { Ok(()) }
            };
            attempt.stage(Stage::Transport, sending).await?;
            return Ok(stream);
        }
    }

    /// A new connection.
    async fn dial(&self, attempt: &Attempt) -> Result<(Dialled, Http3Session), DialError> {
        let mut config = transport_config(SERVER_STREAMS);
        let windows = self.server.clients.budget.windows.take(FULL_WINDOWS);
        config
            .stream_receive_window(VarInt::from_u32(windows.stream_window()))
            .receive_window(VarInt::from_u32(windows.connection_window()));
        let dialled = self.server.connect(config, attempt).await?;
        let greeting = async {
            let mut control = dialled.connection.open_uni().await.map_err(|error| cause_of(&error))?;
            control.write_all(&wire::GREETING).await.map_err(|error| cause_of_write(&error))?;
            Ok::<_, Cause>(control)
        };
        let control = attempt.stage(Stage::Transport, greeting).await?;
        let life = Arc::new(Life { born: Instant::now(), used: AtomicU32::new(0), leaving: AtomicBool::new(false) });
        tokio::spawn(watch_control_streams(dialled.connection.clone(), Arc::clone(&life)));
        Ok((dialled, Http3Session { life, _control: control, _windows: windows }))
    }

    /// The number of open connections.
    #[cfg(test)]
    pub(super) fn alive(&self) -> usize {
        self.pool.len()
    }

    /// A pool that closes connections after another idle time, for tests.
    #[cfg(test)]
    pub(super) fn closing_after(self, idle: std::time::Duration) -> Self {
        Self { pool: QuicPool::closing_after(idle), ..self }
    }
}

/// Decodes bytes as an answer, in pieces of at most this length, for the fuzz targets. Returns its payload, and whether it is
/// complete.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn decode(mut bytes: &[u8], most: usize) -> Option<(Vec<u8>, bool)> {
    use self::wire::Next;

    let (mut answer, mut payload) = (wire::ResponseReader::new(), Vec::new());
    while !bytes.is_empty() {
        let next = answer.next();
        let wanted = match next {
            Next::Ours(wanted) => wanted,
            Next::Payload(left) => usize::try_from(left).unwrap_or(usize::MAX),
        };
        let (piece, rest) = bytes.split_at(wanted.min(most.max(1)).min(bytes.len()));
        bytes = rest;
        if matches!(next, Next::Ours(_)) {
            answer.take(piece).ok()?;
        } else {
            payload.extend_from_slice(piece);
            answer.passed(piece.len());
        }
    }
    Some((payload, answer.end().is_ok()))
}

/// Reads the server's own streams until the connection ends, and notes when it takes no more requests.
async fn watch_control_streams(connection: Connection, life: Arc<Life>) {
    let mut streams = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = connection.accept_uni() => match accepted {
                Ok(stream) => streams.push(wait_until_leaving(stream)),
                Err(_) => return,
            },
            Some(leaving) = streams.next(), if !streams.is_empty() => {
                life.leaving.fetch_or(leaving, Ordering::Relaxed);
            }
        }
    }
}

/// Ends when the server says that it takes no more requests, by its control stream or by ending that; `false` for a
/// stream that ends without a word. Streams that do not concern us are held open: ending one of QPACK's ends the
/// connection, and those that are held count among the few that the server may open.
async fn wait_until_leaving(mut stream: RecvStream) -> bool {
    let mut kind = [0];
    // Types above 63 are longer, and none of ours.
    match stream.read_exact(&mut kind).await {
        Err(_) => false,
        Ok(()) if u64::from(kind[0]) == wire::CONTROL => {
            read_until_goaway(&mut stream).await;
            true
        }
        Ok(()) => std::future::pending().await,
    }
}

/// Reads a control stream to the end, or to the word that means it.
async fn read_until_goaway(stream: &mut RecvStream) {
    let (mut front, mut byte) = (Front::default(), [0]);
    while stream.read_exact(&mut byte).await.is_ok() {
        let Some((kind, mut left)) = front.take(byte[0]) else { continue };
        if kind == wire::GOAWAY {
            return;
        }
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            match stream.read_chunk(most, true).await {
                Ok(Some(chunk)) => left = left.saturating_sub(chunk.bytes.len() as u64),
                _ => return,
            }
        }
    }
}
