//! Datagrams of all clients of one listener: they come through one socket, and each session is an association of its own.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hezar_core::Target;
use parking_lot::Mutex;
use tokio::{net::UdpSocket, sync::mpsc};

use super::{
    super::datagram::{MAX_DATAGRAM, check_length},
    Edition, ShadowsocksServer,
    udp2017::Clients2017,
    udp2022::Sessions2022,
};
use crate::{
    Cause, Datagram,
    io::copy::copy_packet,
    protocol::address::{MAX_ADDRESS, put_socks, take_socks},
    served::{CredentialId, DatagramRequest, Keyring},
};

/// How many datagrams of a session wait for whoever carries them; more are lost, as UDP allows.
pub(super) const QUEUE: usize = 64;
/// How many sessions a listener remembers; only users make any.
const MOST_SESSIONS: usize = 16 * 1024;
/// A session whose association has ended is remembered for so long after its last packet, in seconds: as long as one of its
/// packets could be sent again.
const REMEMBERED: u64 = 61;
/// The time between two searches for sessions to forget, in seconds.
const SWEEP: u64 = 30;
/// A session whose association has ended gets the next one after so many seconds. A user that is refused does not ask
/// with every packet.
pub(super) const PAUSE: u64 = 1;
/// The buffer that the socket asks the system for, in bytes, since one socket serves everybody. The system may give less.
const SOCKET_BUFFER: usize = 4 << 20;

/// The datagrams of one listener.
pub struct ShadowsocksUdp {
    socket: Arc<UdpSocket>,
    server: ShadowsocksServer,
    table: Table,
    buffer: Box<[u8]>,
    next_sweep: u64,
}

/// What is known of the clients.
pub(super) enum Table {
    Aead2017(Clients2017),
    Aead2022(Sessions2022),
}

impl Table {
    /// Knows nobody yet.
    pub(super) fn new(server: &ShadowsocksServer) -> Self {
        match &server.0.edition {
            Edition::Aead2017(cipher) => Self::Aead2017(Clients2017::new(*cipher)),
            Edition::Aead2022(_) => Self::Aead2022(Sessions2022::default()),
        }
    }

    /// Opens a packet; `None` when it is no user's.
    pub(super) fn open<'a>(
        &'a mut self,
        server: &ShadowsocksServer,
        keyring: &Keyring,
        packet: &'a mut [u8],
        from: SocketAddr,
        now: u64,
    ) -> Option<Arrival<'a>> {
        match (self, &server.0.edition) {
            (Self::Aead2022(table), Edition::Aead2022(rules)) => table.open(rules, keyring, packet, from),
            (Self::Aead2017(table), _) => table.open(server, keyring, packet, from, now),
            (Self::Aead2022(_), Edition::Aead2017(_)) => None,
        }
    }
}

impl ShadowsocksUdp {
    /// Serves the clients whose packets come to `socket`.
    #[must_use]
    pub fn new(socket: UdpSocket, server: ShadowsocksServer) -> Self {
        let reference = socket2::SockRef::from(&socket);
        // Without them more is lost under load, and nothing else changes.
        let _ = reference.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = reference.set_send_buffer_size(SOCKET_BUFFER);
        let table = Table::new(&server);
        let buffer = vec![0; MAX_DATAGRAM].into_boxed_slice();
        Self { socket: Arc::new(socket), server, table, buffer, next_sweep: 0 }
    }

    /// Serves by other settings from now on. Sessions of those before end when they are others indeed.
    pub fn configure(&mut self, server: &ShadowsocksServer) {
        if !Arc::ptr_eq(&self.server.0, &server.0) {
            (self.server, self.table) = (server.clone(), Table::new(server));
        }
    }

    /// Takes packets of clients until one begins an association. Cancel safe. What no client has sent is passed over without
    /// a word.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn next(&mut self, keyring: &Keyring) -> io::Result<DatagramRequest> {
        loop {
            let (length, from) = match self.socket.recv_from(&mut self.buffer).await {
                Ok(received) => received,
                // Some systems tell so that an answer to a client that is gone was refused.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused) => {
                    continue;
                }
                Err(error) => return Err(error),
            };
            if let Some(request) = self.take(length, from, keyring) {
                return Ok(request);
            }
        }
    }

    /// The association that the received packet begins.
    fn take(&mut self, length: usize, from: SocketAddr, keyring: &Keyring) -> Option<DatagramRequest> {
        let now = (self.server.0.clock)();
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP;
            self.forget(now);
        }
        let packet = self.buffer.get_mut(..length)?;
        let arrival = self.table.open(&self.server, keyring, packet, from, now)?;
        arrival.deliver(&self.socket, from, now)
    }

    /// Forgets sessions that nobody carries and of which no packet can come again.
    pub(super) fn forget(&mut self, now: u64) {
        match &mut self.table {
            Table::Aead2017(table) => table.forget(now),
            Table::Aead2022(table) => table.forget(now),
        }
    }

    #[cfg(test)]
    pub(super) fn sessions(&self) -> usize {
        match &self.table {
            Table::Aead2017(table) => table.len(),
            Table::Aead2022(table) => table.len(),
        }
    }

    /// As [`Self::next`] with one packet that did not come through the socket.
    #[cfg(test)]
    pub(super) fn take_packet(
        &mut self,
        packet: &[u8],
        from: SocketAddr,
        keyring: &Keyring,
    ) -> Option<DatagramRequest> {
        self.buffer.get_mut(..packet.len())?.copy_from_slice(packet);
        self.take(packet.len(), from, keyring)
    }
}

/// A packet that has opened.
pub(super) struct Arrival<'a> {
    pub(super) credential: CredentialId,
    pub(super) session: &'a mut Session,
    pub(super) packet: Packet,
}

impl Arrival<'_> {
    /// Gives the packet to whoever carries the session, or makes an association of it.
    fn deliver(self, socket: &Arc<UdpSocket>, from: SocketAddr, now: u64) -> Option<DatagramRequest> {
        let Self { credential, session, packet } = self;
        session.last = now;
        session.answering.lock().client = from;
        let packet = match &session.queue {
            None => packet,
            Some(queue) => match queue.try_send(packet) {
                Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => return None,
                Err(mpsc::error::TrySendError::Closed(packet)) => packet,
            },
        };
        if now < session.asked + PAUSE {
            return None;
        }
        session.asked = now;
        let (sender, receiver) = mpsc::channel(QUEUE);
        sender.try_send(packet).ok()?;
        session.queue = Some(sender);
        let datagram = ServedDatagram {
            socket: Arc::clone(socket),
            received: Mutex::new(receiver),
            answering: Arc::clone(&session.answering),
        };
        let client = SocketAddr::new(from.ip().to_canonical(), from.port());
        Some(DatagramRequest { credential, client: Some(client), datagram: Box::new(datagram) })
    }
}

/// One datagram of a client.
pub(super) struct Packet {
    target: Target,
    payload: Vec<u8>,
}

impl Packet {
    /// Reads address and payload.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let (target, used) = take_socks(text).ok()??;
        Some(Self { target: target?, payload: text.get(used..)?.to_vec() })
    }
}

/// One client's session: it outlives the associations that carry it.
pub(super) struct Session {
    /// Where its packets go while somebody carries it.
    queue: Option<mpsc::Sender<Packet>>,
    answering: Arc<Mutex<Answering>>,
    /// When its last packet came, and when it was last made an association, in Unix seconds.
    last: u64,
    asked: u64,
}

/// How and where a session is answered.
struct Answering {
    client: SocketAddr,
    sealer: Box<dyn SealAnswer>,
}

/// Encrypts the answers of one session.
pub(super) trait SealAnswer: Send {
    /// The encrypted packet with this text: the address of the sender and its payload. `sender` is the same address.
    ///
    /// # Errors
    /// [`Cause::Unsupported`] never happens: keys have their ciphers' lengths, and packets are short.
    fn seal(&mut self, sender: &Target, text: [&[u8]; 2]) -> Result<Vec<u8>, Cause>;
}

impl Session {
    /// A session that nobody carries yet.
    pub(super) fn new(client: SocketAddr, sealer: Box<dyn SealAnswer>) -> Self {
        Self { queue: None, answering: Arc::new(Mutex::new(Answering { client, sealer })), last: 0, asked: 0 }
    }

    /// Whether it must be remembered.
    pub(super) fn is_remembered(&self, now: u64) -> bool {
        self.is_carried() || now < self.last + REMEMBERED
    }

    fn is_carried(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| !queue.is_closed())
    }
}

/// Whether there is room for one more session.
pub(super) const fn has_room(sessions: usize) -> bool {
    sessions < MOST_SESSIONS
}

/// The association of one session.
struct ServedDatagram {
    socket: Arc<UdpSocket>,
    received: Mutex<mpsc::Receiver<Packet>>,
    answering: Arc<Mutex<Answering>>,
}

impl Datagram for ServedDatagram {
    /// The packet is lost when the system has no room for it: all sessions share the socket, so none waits for it.
    fn poll_send_to(&self, _: &mut Context<'_>, payload: &[u8], sender: &Target) -> Poll<io::Result<()>> {
        check_length(payload)?;
        let mut address = Vec::with_capacity(MAX_ADDRESS);
        put_socks(sender, &mut address);
        let (packet, client) = {
            let mut answering = self.answering.lock();
            (answering.sealer.seal(sender, [&address, payload])?, answering.client)
        };
        // A client that cannot be reached now may come back from elsewhere.
        let _ = self.socket.try_send_to(&packet, client);
        Poll::Ready(Ok(()))
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>> {
        let packet = ready!(self.received.lock().poll_recv(cx)).ok_or(Cause::Closed)?;
        Poll::Ready(Ok((copy_packet(&packet.payload, buffer), packet.target)))
    }
}
