//! The session of one client: the requests that come over its connection, as streams and as datagrams.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use parking_lot::Mutex;
use quinn::Connection;
use tokio::{
    runtime::Handle,
    sync::mpsc::{Receiver, Sender, channel},
    time::{Instant, timeout},
};

use super::{
    Http3,
    stream::{AnsweredStream, ClientStream},
};
use crate::{
    protocol::hysteria2::{
        datagram::Hysteria2Datagram,
        wire::{self, Message},
    },
    quic::DatagramQueues,
    served::{
        CredentialId, DatagramRequest, InboundRequest, InboundSession, SessionItem, StrangerReason, StreamRequest,
        read_head,
    },
};

/// How long a client may take to say what a stream is for.
const REQUEST: Duration = Duration::from_secs(10);
/// The most streams of which that is not known yet.
const MOST_UNREAD: usize = 64;
/// The most associations of a client at a time; datagrams of further ones are dropped.
const MOST_ASSOCIATIONS: usize = 256;
/// The most associations that a client may begin within a second.
const MOST_BEGUN: u32 = 256;
/// The most datagrams that wait in one association.
const MOST_WAITING: usize = 64;
/// The most associations that wait to be served.
const MOST_UNSERVED: usize = 32;
/// How long a connection outlives its last user, so that what was sent last arrives.
const LINGER: Duration = Duration::from_secs(1);

/// The connection of a client that has authenticated. Its session, its streams and its associations keep it open.
pub(super) struct Client {
    connection: Connection,
    credential: CredentialId,
    associations: Arc<DatagramQueues<u32, Message>>,
    /// HTTP/3 ends the connection when it is dropped.
    http3: Mutex<Option<Http3>>,
    /// Counts the clients of the server.
    _place: Arc<()>,
}

impl Client {
    /// The present round-trip time of its connection.
    pub(super) fn round_trip(&self) -> Duration {
        self.connection.rtt()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let (http3, connection) = (self.http3.lock().take(), self.connection.clone());
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let _ = timeout(LINGER, connection.closed()).await;
                drop(http3);
            });
        }
    }
}

/// The requests of one client.
pub(super) struct ServerSession {
    client: Arc<Client>,
    unread: FuturesUnordered<BoxFuture<'static, Option<StreamRequest>>>,
    associations: Receiver<DatagramRequest>,
}

impl ServerSession {
    /// Begins to serve a client that has authenticated.
    pub(super) fn begin(connection: Connection, http3: Http3, credential: CredentialId, place: Arc<()>) -> Self {
        let http3 = Mutex::new(Some(http3));
        let client = Arc::new(Client { connection, credential, associations: Arc::default(), http3, _place: place });
        let (begun, associations) = channel(MOST_UNSERVED);
        tokio::spawn(deliver(client.connection.clone(), Arc::downgrade(&client), begun));
        Self { client, unread: FuturesUnordered::new(), associations }
    }
}

#[async_trait]
impl InboundSession for ServerSession {
    async fn next(&mut self) -> Option<SessionItem> {
        loop {
            let request = tokio::select! {
                accepted = self.client.connection.accept_bi(), if self.unread.len() < MOST_UNREAD => {
                    let stream = ClientStream::new(accepted.ok()?, Arc::clone(&self.client));
                    self.unread.push(Box::pin(read_request(stream, self.client.credential)));
                    continue;
                }
                Some(request) = self.unread.next() => request.map(InboundRequest::Stream),
                Some(request) = self.associations.recv() => Some(InboundRequest::Datagrams(request)),
                _ = self.client.connection.closed() => return None,
            };
            if let Some(request) = request {
                return Some(SessionItem::Request(request));
            }
        }
    }
}

/// Reads what a stream is for; one that does not say it, or not in time, is reset.
async fn read_request(stream: ClientStream, credential: CredentialId) -> Option<StreamRequest> {
    let read = read_head(Box::new(stream), wire::MOST_REQUEST, |bytes| {
        wire::take_request(bytes).map_err(|_| StrangerReason::Protocol)
    });
    let (target, stream) = timeout(REQUEST, read).await.ok()?.ok()?.ok()?;
    Some(StreamRequest { credential, target, stream: Box::new(AnsweredStream::new(stream)) })
}

/// Reads a connection's datagrams to its end; the first one of an association begins it.
async fn deliver(connection: Connection, client: Weak<Client>, begun: Sender<DatagramRequest>) {
    let (mut second, mut count) = (Instant::now(), 0);
    while let Ok(datagram) = connection.read_datagram().await {
        let (Some(message), Some(client)) = (Message::read(&datagram), client.upgrade()) else { continue };
        let Some(first) = client.associations.deliver(message.session, message) else { continue };
        if second.elapsed() >= Duration::from_secs(1) {
            (second, count) = (Instant::now(), 0);
        }
        if count >= MOST_BEGUN {
            continue;
        }
        let queue = client.associations.add_numbered(first.session, MOST_ASSOCIATIONS, MOST_WAITING);
        let Some(queue) = queue else { continue };
        count += 1;
        client.associations.deliver(first.session, first);
        let (credential, connection) = (client.credential, client.connection.clone());
        let datagram = Box::new(Hysteria2Datagram::new(connection, queue, client));
        // Whoever serves the requests may be busy, or not there any more: the datagram is lost, as UDP allows.
        let _ = begun.try_send(DatagramRequest { credential, client: None, datagram });
    }
    if let Some(client) = client.upgrade() {
        client.associations.end();
    }
}
