//! The server's side of Hysteria 2: a web server with HTTP/3 for whoever shows no credential, and a proxy for clients.

mod reception;
mod session;
mod stream;
#[cfg(test)]
mod tests;
mod web;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use quinn::Incoming;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use self::{reception::Reception, session::ServerSession};
use crate::{
    quic::{Promise, QuicListener, lift_limits},
    served::{BoxSession, Keyring, WebAnswer},
};

/// HTTP/3 on a server's connection.
type Http3 = h3::server::Connection<h3_quinn::Connection, Bytes>;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The most handshakes at a time.
const MOST_HANDSHAKES: usize = 1024;
/// From so many handshakes on, whoever comes has to show first that its address is its own (RFC 9000 §8.1.2).
const RETRY_FROM: usize = 64;
/// The longest head of a web request, in bytes as HTTP/3 counts them (RFC 9114 §4.2.2).
const MOST_HEAD: u64 = 16 << 10;

/// How a server shares its bandwidth, in bytes per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hysteria2ServerSettings {
    /// The most that one client is sent: also the rate at which it is sent, where it can receive as much (Hysteria calls it Brutal).
    /// `None` = congestion control finds the rate of each client, whatever it says.
    pub sends: Option<u64>,
    /// The rate that clients are told to keep to when they send; `None` = congestion control finds it.
    pub receives: Option<u64>,
}

/// A server that accepts Hysteria 2 clients on one UDP socket.
pub struct Hysteria2Server {
    shared: Arc<Shared>,
    handshakes: Arc<Semaphore>,
}

/// What the connections of one server share.
struct Shared {
    listener: QuicListener,
    settings: Hysteria2ServerSettings,
    web: Arc<dyn WebAnswer>,
    /// Is held once by this, and once by each client.
    clients: Arc<()>,
}

impl Hysteria2Server {
    /// Serves clients that `listener` accepts. `web` answers all requests of HTTP/3 that authenticate nobody.
    #[must_use]
    pub fn new(listener: QuicListener, settings: Hysteria2ServerSettings, web: Arc<dyn WebAnswer>) -> Self {
        let shared = Arc::new(Shared { listener, settings, web, clients: Arc::default() });
        Self { shared, handshakes: Arc::new(Semaphore::new(MOST_HANDSHAKES)) }
    }

    /// The next connection, before its handshake; `None` when the server is closed. Cancel safe.
    pub async fn accept(&self) -> Option<Hysteria2Connection> {
        loop {
            let incoming = self.shared.listener.accept().await?;
            let under_way = MOST_HANDSHAKES.saturating_sub(self.handshakes.available_permits());
            if under_way >= RETRY_FROM && !incoming.remote_address_validated() {
                // An address that has not been shown to be the client's can always be asked for that.
                let _ = incoming.retry();
                continue;
            }
            let Ok(handshake) = Arc::clone(&self.handshakes).try_acquire_owned() else {
                incoming.refuse();
                continue;
            };
            return Some(Hysteria2Connection { incoming, handshake, shared: Arc::clone(&self.shared) });
        }
    }

    /// Accepts no connection any more; those that are open go on.
    pub fn stop_accepting(&self) {
        self.shared.listener.stop_accepting();
    }

    /// Ends all connections, and lets go of the socket, so that another listener can read from it.
    pub async fn close(&self) {
        self.shared.listener.close().await;
    }
}

impl fmt::Debug for Hysteria2Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = &self.shared;
        f.debug_struct("Hysteria2Server").field("settings", &shared.settings).finish_non_exhaustive()
    }
}

/// A connection that was accepted; nobody knows yet whose it is.
pub struct Hysteria2Connection {
    incoming: Incoming,
    handshake: OwnedSemaphorePermit,
    shared: Arc<Shared>,
}

impl Hysteria2Connection {
    /// Where it comes from. Until the handshake is done, the address may be somebody else's.
    #[must_use]
    pub fn client(&self) -> SocketAddr {
        self.incoming.remote_address()
    }

    /// Does the handshake, and answers web requests until one authenticates a client. `None` when the connection is over before that.
    pub async fn open(self, keyring: &Arc<Keyring>) -> Option<BoxSession> {
        let Self { incoming, handshake, shared } = self;
        let promise = Promise::default();
        let config = shared.listener.server_config(&promise, Arc::strong_count(&shared.clients));
        let greeting = async {
            let connection = incoming.accept_with(config).ok()?.await.ok()?;
            let quic = h3_quinn::Connection::new(connection.clone());
            let mut builder = h3::server::builder();
            let http3 = builder.send_grease(false).max_field_section_size(MOST_HEAD).build(quic).await.ok()?;
            Some((connection, http3))
        };
        let (connection, mut http3): (_, Http3) = timeout(HANDSHAKE, greeting).await.ok().flatten()?;
        drop(handshake);
        let reception = Reception { shared: &shared, keyring, promise: &promise };
        let credential = reception.receive(&connection, &mut http3).await?;
        let place = Arc::clone(&shared.clients);
        lift_limits(&connection, Arc::strong_count(&place).saturating_sub(1));
        Some(Box::new(ServerSession::begin(connection, http3, credential, place)))
    }
}

impl fmt::Debug for Hysteria2Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hysteria2Connection").field("client", &self.client()).finish_non_exhaustive()
    }
}
