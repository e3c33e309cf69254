//! The sockets that one listener serves: a TCP socket that listens, a UDP socket, or both at one address.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, UdpSocket};

/// The sockets of one listener. Where both are there, they have the same address.
#[derive(Debug, Default)]
pub struct ListenerSockets {
    /// Accepts connections.
    pub tcp: Option<TcpListener>,
    /// Receives the packets of QUIC and of Shadowsocks.
    pub udp: Option<UdpSocket>,
}

impl ListenerSockets {
    /// Where the listener listens.
    ///
    /// # Errors
    /// There is no socket, or the system does not say its address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match (&self.tcp, &self.udp) {
            (Some(tcp), _) => tcp.local_addr(),
            (None, Some(udp)) => udp.local_addr(),
            (None, None) => Err(io::Error::new(io::ErrorKind::InvalidInput, "a listener needs a socket")),
        }
    }
}

impl From<TcpListener> for ListenerSockets {
    fn from(tcp: TcpListener) -> Self {
        Self { tcp: Some(tcp), udp: None }
    }
}
