//! What belongs to an authenticated connection: the open HTTP/3 connection, and the delivery of datagrams to associations.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use h3::client::{Connection as Http3, SendRequest};
use hezar_core::Stage;
use quinn::{Connection, VarInt};

use super::{
    datagram::Hysteria2Datagram,
    wire::{self, Accepted, Message},
};
use crate::{
    Attempt, Cause, DialError,
    quic::{ConnectionGuard, DatagramQueues, QuicConnection, cause_of},
};

/// H3_GENERAL_PROTOCOL_ERROR (RFC 9114 §8.1). Hysteria's own client closes a connection with it that is not accepted.
const NOT_ACCEPTED: u32 = 0x101;

/// What is kept with the connection.
pub(super) struct Hysteria2Session {
    /// Whether the server carries UDP.
    pub(super) udp: bool,
    /// Its associations.
    pub(super) datagram_queues: Arc<DatagramQueues<u32, Message>>,
    // HTTP/3 ends the connection when its control stream or its last sender is dropped.
    _http3: (Http3<h3_quinn::Connection, Bytes>, SendRequest<h3_quinn::OpenStreams, Bytes>),
}

impl fmt::Debug for Hysteria2Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hysteria2Session").field("udp", &self.udp).finish_non_exhaustive()
    }
}

impl Hysteria2Session {
    /// Authenticates on a new connection. `receives` is the rate at which we can receive in bytes per second; 0 = unknown.
    ///
    /// # Errors
    /// [`DialError`] at the handshake stage; [`Cause::Authentication`] when the server answers as a web server.
    pub(super) async fn begin(
        connection: &Connection,
        auth: &str,
        receives: u64,
        attempt: &Attempt,
    ) -> Result<(Self, Accepted), DialError> {
        let greeting = async {
            // QUIC's reason for a lost connection says more than that of HTTP/3.
            let lost = || {
                let reason = connection.close_reason();
                reason.map_or(Cause::Protocol("the server does not speak HTTP/3"), |reason| cause_of(&reason))
            };
            let request = wire::auth(auth, receives, &mut rand::rng())?;
            let quic = h3_quinn::Connection::new(connection.clone());
            let (driver, mut sender) = h3::client::builder().build(quic).await.map_err(|_| lost())?;
            let mut exchange = sender.send_request(request).await.map_err(|_| lost())?;
            exchange.finish().await.map_err(|_| lost())?;
            let answer = exchange.recv_response().await.map_err(|_| lost())?;
            let accepted = wire::accepted(&answer)?;
            Ok::<_, Cause>((driver, sender, accepted))
        };
        let done = attempt.stage(Stage::Handshake, greeting).await;
        let (driver, sender, accepted) = done.inspect_err(|_| connection.close(VarInt::from_u32(NOT_ACCEPTED), b""))?;
        let session = Self { udp: accepted.udp, datagram_queues: Arc::default(), _http3: (driver, sender) };
        Ok((session, accepted))
    }
}

/// An association of the client, and what keeps its connection.
type ClientDatagram = Hysteria2Datagram<(Arc<QuicConnection<Hysteria2Session>>, ConnectionGuard)>;

/// Opens an association; the server learns of it with the first datagram.
///
/// # Errors
/// [`Cause::Unsupported`] when the server carries no UDP, or the cause for which the connection has ended.
pub(super) fn associate(
    link: Arc<QuicConnection<Hysteria2Session>>,
    lease: ConnectionGuard,
) -> Result<ClientDatagram, DialError> {
    let failed = |cause| DialError::new(Stage::Handshake, cause);
    if !link.session.udp || link.connection.max_datagram_size().is_none() {
        return Err(failed(Cause::Unsupported("UDP through this server")));
    }
    let (datagram_queue, unread) = link.session.datagram_queues.add(|n| n).ok_or_else(|| failed(link.end()))?;
    if unread {
        tokio::spawn(deliver(link.connection.clone(), Arc::clone(&link.session.datagram_queues)));
    }
    Ok(Hysteria2Datagram::new(link.connection.clone(), datagram_queue, (link, lease)))
}

/// Reads a connection's datagrams to its end.
async fn deliver(connection: Connection, datagram_queues: Arc<DatagramQueues<u32, Message>>) {
    while let Ok(datagram) = connection.read_datagram().await {
        if let Some(message) = Message::read(&datagram) {
            datagram_queues.deliver(message.session, message);
        }
    }
    datagram_queues.end();
}
