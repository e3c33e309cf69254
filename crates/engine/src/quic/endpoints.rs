//! The UDP sockets of this process's QUIC connections.

use std::{
    io,
    sync::{Arc, Weak},
    thread::available_parallelism,
};

use parking_lot::Mutex;
use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, Runtime};
use socket2::SockRef;

use super::driver::DriverRuntime;
use crate::net::udp_socket;

/// The most sockets that connections share. Each is read by one task.
const MOST_SHARED: usize = 8;

/// The requested receive buffer of a socket in bytes; the system may grant less.
const RECEIVE_BUFFER: usize = 4 << 20;
/// The requested send buffer of a socket in bytes; the system may grant less.
const SEND_BUFFER: usize = 2 << 20;

/// The longest packet that is received on a socket of one connection: the size of an Ethernet frame.
const OWN_PAYLOAD: u16 = 1500;

/// Connections without a disguise share a few sockets, because the receive buffer of a socket takes more memory than a
/// connection. A socket lives as long as a connection uses it.
#[derive(Debug, Default)]
pub(crate) struct SharedEndpoints(Mutex<Shared>);

#[derive(Debug, Default)]
struct Shared {
    endpoints: Vec<Weak<Endpoint>>,
    next: usize,
}

impl SharedEndpoints {
    /// One of the shared endpoints, in turn.
    ///
    /// # Errors
    /// When the system gives no socket.
    pub(crate) fn shared(&self) -> io::Result<Arc<Endpoint>> {
        let mut shared = self.0.lock();
        let most = available_parallelism().map_or(1, |n| n.get().min(MOST_SHARED));
        shared.endpoints.resize_with(most, Weak::new);
        shared.next = (shared.next + 1) % most;
        let place = shared.next;
        let Some(slot) = shared.endpoints.get_mut(place) else {
            return open(plain()?, EndpointConfig::default());
        };
        if let Some(endpoint) = slot.upgrade() {
            return Ok(endpoint);
        }
        let endpoint = open(plain()?, EndpointConfig::default())?;
        *slot = Arc::downgrade(&endpoint);
        Ok(endpoint)
    }
}

/// An endpoint over a socket that is not shared.
pub(super) fn own(socket: Arc<dyn AsyncUdpSocket>) -> io::Result<Arc<Endpoint>> {
    let mut config = EndpointConfig::default();
    // The allowed maximum is 65527.
    let _ = config.max_udp_payload_size(OWN_PAYLOAD);
    open(socket, config)
}

/// A new socket of this machine as quinn uses it.
pub(super) fn plain() -> io::Result<Arc<dyn AsyncUdpSocket>> {
    let (socket, _) = udp_socket()?;
    bound(socket)
}

/// A bound socket as quinn uses it.
pub(super) fn bound(socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
    let options = SockRef::from(&socket);
    let _ = options.set_recv_buffer_size(RECEIVE_BUFFER);
    let _ = options.set_send_buffer_size(SEND_BUFFER);
    DriverRuntime.wrap_udp_socket(socket)
}

fn open(socket: Arc<dyn AsyncUdpSocket>, config: EndpointConfig) -> io::Result<Arc<Endpoint>> {
    Ok(Arc::new(Endpoint::new_with_abstract_socket(config, None, socket, Arc::new(DriverRuntime))?))
}
