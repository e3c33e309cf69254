//! The TCP/IP stack at our end of a tunnel. It takes and gives IP packets as bytes, and its sockets are polled.

use std::{
    collections::{HashSet, VecDeque},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use rand::RngExt;
use smoltcp::{
    iface::{Config, Interface, SocketHandle, SocketSet},
    phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken},
    socket::{Socket, tcp, udp},
    time::Instant as StackInstant,
    wire::{HardwareAddress, IpCidr, IpEndpoint},
};
use tokio::time::Instant;

use crate::Cause;

/// The most packets that wait on either side of the stack. Further ones are dropped, as a router drops them.
const MOST_PACKETS: usize = 512;
/// The most sockets of one tunnel.
const MOST_SOCKETS: usize = 8192;
/// The receive buffer and the send buffer of a stream, in bytes. Pages of them that were never used take no memory.
const RECEIVE: usize = 256 * 1024;
const SEND: usize = 128 * 1024;
/// The most datagrams that wait in an association, and the most bytes of them.
const DATAGRAMS: usize = 64;
const DATAGRAM_BYTES: usize = 64 * 1024;
/// How long the other side may leave our bytes without an acknowledgement.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a stream that was dropped may take to end.
const FAREWELL: Duration = Duration::from_secs(30);
/// The first dynamic port (RFC 6335 §6).
const FIRST_PORT: u16 = 49152;

/// Packets between the stack and the tunnel.
struct Queue {
    received: VecDeque<Vec<u8>>,
    sent: VecDeque<Vec<u8>>,
    mtu: usize,
}

/// One received packet.
struct Received(Vec<u8>);

/// Room for one packet to send.
struct Room<'a>(&'a mut VecDeque<Vec<u8>>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut packet = vec![0; length];
        let result = write(&mut packet);
        self.0.push_back(packet);
        result
    }
}

impl Device for Queue {
    type RxToken<'a> = Received;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _: StackInstant) -> Option<(Received, Room<'_>)> {
        let packet = self.received.pop_front()?;
        Some((Received(packet), Room(&mut self.sent)))
    }

    fn transmit(&mut self, _: StackInstant) -> Option<Room<'_>> {
        (self.sent.len() < MOST_PACKETS).then_some(Room(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

/// The stack.
pub(super) struct Stack {
    interface: Interface,
    pub(super) sockets: SocketSet<'static>,
    queue: Queue,
    next_port: u16,
    /// The sockets of dropped streams, and when each must have ended.
    leaving: Vec<(SocketHandle, Instant)>,
    /// How many streams and associations are in use.
    held: usize,
    /// Why the tunnel has ended. Only the first one who asks gets the cause itself.
    pub(super) over: bool,
    started: Instant,
}

/// The local port of a socket.
fn port_of(socket: &Socket<'_>) -> Option<u16> {
    match socket {
        Socket::Tcp(socket) => socket.local_endpoint().map(|endpoint| endpoint.port),
        Socket::Udp(socket) => Some(socket.endpoint().port),
    }
}

impl Stack {
    /// A stack with these addresses, at most one of each family.
    pub(super) fn new(addresses: &[IpAddr], mtu: u16) -> Self {
        let mut queue = Queue { received: VecDeque::new(), sent: VecDeque::new(), mtu: usize::from(mtu) };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = rand::rng().random();
        let mut interface = Interface::new(config, &mut queue, StackInstant::ZERO);
        for address in addresses {
            let prefix = if address.is_ipv4() { 32 } else { 128 };
            // Neither call fails, since the lists have room for one entry of each family. The next hop of the route does not
            // matter, because this medium has no neighbours to look up.
            interface.update_ip_addrs(|own| {
                let _ = own.push(IpCidr::new((*address).into(), prefix));
            });
            let _ = match address {
                IpAddr::V4(own) => interface.routes_mut().add_default_ipv4_route(*own).map(drop),
                IpAddr::V6(own) => interface.routes_mut().add_default_ipv6_route(*own).map(drop),
            };
        }
        Self {
            interface,
            sockets: SocketSet::new(Vec::new()),
            queue,
            next_port: rand::rng().random_range(FIRST_PORT..=u16::MAX),
            leaving: Vec::new(),
            held: 0,
            over: false,
            started: Instant::now(),
        }
    }

    fn now(&self) -> StackInstant {
        StackInstant::from_micros(i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    /// Whether the stack has an address in the family of the target.
    pub(super) fn speaks(&self, target: IpAddr) -> bool {
        self.interface
            .ip_addrs()
            .iter()
            .any(|own| own.address().version() == smoltcp::wire::IpAddress::from(target).version())
    }

    /// The next free local port. There are twice as many ports as sockets, so there is one.
    fn port(&mut self) -> u16 {
        let used: HashSet<u16> = self.sockets.iter().filter_map(|(_, socket)| port_of(socket)).collect();
        loop {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
            if !used.contains(&port) {
                return port;
            }
        }
    }

    fn has_room(&self) -> Result<(), Cause> {
        let sockets = self.sockets.iter().count();
        let full = || Cause::ServerFailure("the tunnel carries too many streams");
        (sockets < MOST_SOCKETS).then_some(()).ok_or_else(full)
    }

    /// Begins a stream to `target`.
    ///
    /// # Errors
    /// [`Cause::TargetUnreachable`] when the tunnel has no address of that family.
    pub(super) fn connect(&mut self, target: SocketAddr) -> Result<SocketHandle, Cause> {
        self.has_room()?;
        let buffer = |length| tcp::SocketBuffer::new(vec![0; length]);
        let mut socket = tcp::Socket::new(buffer(RECEIVE), buffer(SEND));
        socket.set_nagle_enabled(false);
        socket.set_timeout(Some(SILENCE.into()));
        socket.set_keep_alive(Some(SILENCE.into()));
        socket.set_congestion_control(tcp::CongestionControl::Cubic);
        let port = self.port();
        socket
            .connect(self.interface.context(), IpEndpoint::from(target), port)
            .map_err(|_| Cause::TargetUnreachable("the tunnel has no such address family"))?;
        self.held += 1;
        Ok(self.sockets.add(socket))
    }

    /// Opens an association.
    ///
    /// # Errors
    /// [`Cause::ServerFailure`] when there are too many.
    pub(super) fn associate(&mut self) -> Result<SocketHandle, Cause> {
        self.has_room()?;
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; DATAGRAMS], vec![0; DATAGRAM_BYTES]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        let port = self.port();
        socket.bind(port).map_err(|_| Cause::ServerFailure("no port in the tunnel"))?;
        self.held += 1;
        Ok(self.sockets.add(socket))
    }

    /// The longest payload of a datagram to an address.
    pub(super) const fn datagram_room(&self, target: IpAddr) -> usize {
        self.queue.mtu.saturating_sub(if target.is_ipv4() { 28 } else { 48 })
    }

    /// Closes a dropped stream. What was written is still sent.
    pub(super) fn leave(&mut self, handle: SocketHandle) {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        // There are bytes that nobody will read, so the stream is reset and the other side stops.
        if socket.recv_queue() > 0 {
            socket.abort();
        } else {
            socket.close();
        }
        self.leaving.push((handle, Instant::now() + FAREWELL));
        self.held = self.held.saturating_sub(1);
    }

    /// Closes a dropped association.
    pub(super) fn forget(&mut self, handle: SocketHandle) {
        self.sockets.remove(handle);
        self.held = self.held.saturating_sub(1);
    }

    /// Whether streams or associations are in use or have not ended yet.
    pub(super) const fn is_used(&self) -> bool {
        self.held > 0 || !self.leaving.is_empty()
    }

    /// Takes a packet from the tunnel. It is dropped when too many wait.
    pub(super) fn receive(&mut self, packet: &[u8]) {
        if self.queue.received.len() < MOST_PACKETS {
            self.queue.received.push_back(packet.to_vec());
        }
    }

    /// Does everything that can be done now, and appends packets for the tunnel to `out`. Returns the time until the next call.
    pub(super) fn poll(&mut self, out: &mut Vec<Vec<u8>>) -> Option<Duration> {
        let now = self.now();
        self.interface.poll(now, &mut self.queue, &mut self.sockets);
        out.extend(self.queue.sent.drain(..));
        let instant = Instant::now();
        let sockets = &mut self.sockets;
        self.leaving.retain(|(handle, end)| {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(*handle);
            if matches!(socket.state(), tcp::State::Closed | tcp::State::TimeWait) {
                sockets.remove(*handle);
                return false;
            }
            if instant >= *end {
                socket.abort();
            }
            true
        });
        self.interface.poll_delay(now, &self.sockets).map(Into::into)
    }

    /// Ends every stream and association because the tunnel has ended, and wakes whoever waits.
    pub(super) fn end(&mut self) {
        self.over = true;
        for (_, socket) in self.sockets.iter_mut() {
            match socket {
                Socket::Tcp(socket) => socket.abort(),
                Socket::Udp(socket) => socket.close(),
            }
        }
    }
}
