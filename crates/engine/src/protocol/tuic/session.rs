//! What belongs to an authenticated connection: the authentication itself, the delivery of packets, and heartbeats.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hezar_core::Stage;
use quinn::{Connection, ConnectionError, RecvStream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use uuid::Uuid;

use super::wire::{self, Packet, TOKEN};
use crate::{
    Attempt, Cause, DialError, Stream,
    quic::{DatagramQueues, QuicConnection, QuicStream, cause_of},
};

/// The time between two heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How soon after the end of a stream a server that refuses us closes the connection.
const VERDICT: Duration = Duration::from_millis(250);
/// The longest command on a stream, in bytes: a packet with its header.
const MOST_COMMAND: usize = 65_535 + 512;

/// What is kept with the connection.
#[derive(Debug)]
pub(super) struct TuicSession {
    /// Its associations.
    pub(super) datagram_queues: Arc<DatagramQueues<u16, Packet>>,
    /// Whether the server has ever sent anything, which means that it has accepted us.
    proven: AtomicBool,
}

impl TuicSession {
    /// Authenticates on a new connection. The server does not answer.
    ///
    /// # Errors
    /// [`DialError`] at the handshake stage.
    pub(super) async fn begin(
        connection: &Connection,
        id: Uuid,
        password: &str,
        attempt: &Attempt,
    ) -> Result<Self, DialError> {
        let proof = async {
            let mut token = [0; TOKEN];
            let exported = connection.export_keying_material(&mut token, id.as_bytes(), password.as_bytes());
            exported.map_err(|_| Cause::Protocol("the TLS session gives no keying material"))?;
            let mut stream = connection.open_uni().await.map_err(|error| cause_of(&error))?;
            let written = stream.write_all(&wire::authenticate(id, &token)).await;
            written.map_err(|_| connection.close_reason().map_or(Cause::Closed, |reason| cause_of(&reason)))?;
            // Nothing follows. Finishing fails only when the connection has ended.
            let _ = stream.finish();
            Ok::<_, Cause>(())
        };
        attempt.stage(Stage::Handshake, proof).await?;
        let datagram_queues: Arc<DatagramQueues<u16, Packet>> = Arc::default();
        tokio::spawn(tend(connection.clone(), Arc::clone(&datagram_queues)));
        Ok(Self { datagram_queues, proven: AtomicBool::new(false) })
    }
}

/// Delivers what the server sends in datagrams and small streams, and sends heartbeats, until the connection ends.
async fn tend(connection: Connection, datagram_queues: Arc<DatagramQueues<u16, Packet>>) {
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut streams = JoinSet::new();
    loop {
        let command = tokio::select! {
            datagram = connection.read_datagram() => match datagram {
                Ok(datagram) => datagram,
                Err(_) => break,
            },
            stream = connection.accept_uni() => match stream {
                // There are never more of these tasks than streams that the server may open.
                Ok(stream) => {
                    streams.spawn(whole(stream));
                    continue;
                }
                Err(_) => break,
            },
            Some(read) = streams.join_next() => match read {
                Ok(Some(command)) => command,
                _ => continue,
            },
            _ = heartbeat.tick() => {
                // A server that takes no datagrams gets no heartbeats.
                let _ = connection.send_datagram(Bytes::from_static(&wire::ALIVE));
                continue;
            }
        };
        if let Some(packet) = Packet::read(&command) {
            datagram_queues.deliver(packet.session, packet);
        }
    }
    datagram_queues.end();
}

async fn whole(mut stream: RecvStream) -> Option<Bytes> {
    stream.read_to_end(MOST_COMMAND).await.ok().map(Bytes::from)
}

/// A stream on a connection whose server has not sent anything yet. A server that closes the connection before it has sent
/// anything has refused our password.
pub(super) struct Unproven {
    stream: QuicStream,
    link: Arc<QuicConnection<TuicSession>>,
    /// Present after the stream has ended without a byte: waits to see whether the connection ends, too.
    ending: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

impl Unproven {
    /// Watches a stream, unless the server has accepted us already.
    ///
    /// # Errors
    /// The stream itself when there is nothing to watch.
    pub(super) fn new(stream: QuicStream, link: Arc<QuicConnection<TuicSession>>) -> Result<Self, QuicStream> {
        if link.session.proven.load(Ordering::Relaxed) { Err(stream) } else { Ok(Self { stream, link, ending: None }) }
    }

    fn blamed(&self, error: io::Error) -> io::Error {
        let refused = !self.link.session.proven.load(Ordering::Relaxed)
            && matches!(self.link.connection.close_reason(), Some(ConnectionError::ApplicationClosed(_)));
        if refused { Cause::Authentication.into() } else { error }
    }
}

impl AsyncRead for Unproven {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if this.ending.is_none() {
            if let Err(error) = ready!(Pin::new(&mut this.stream).poll_read(cx, buf)) {
                return Poll::Ready(Err(this.blamed(error)));
            }
            if buf.filled().len() == before && !this.link.session.proven.load(Ordering::Relaxed) {
                let connection = this.link.connection.clone();
                this.ending = Some(Box::pin(async move {
                    let _ = timeout(VERDICT, connection.closed()).await;
                }));
            }
        }
        if let Some(ending) = &mut this.ending {
            ready!(ending.as_mut().poll(cx));
            this.ending = None;
            if this.link.connection.close_reason().is_some() {
                return Poll::Ready(Err(this.blamed(Cause::Closed.into())));
            }
        }
        this.link.session.proven.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl Stream for Unproven {}

impl AsyncWrite for Unproven {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        Poll::Ready(result.map_err(|error| self.blamed(error)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
