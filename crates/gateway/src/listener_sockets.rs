//! The sockets that one listener serves: a TCP socket that listens, a UDP socket, or both at one address.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, UdpSocket};

use crate::{InboundProtocol, ServeError, context::Context, quic_server::QuicServer};

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

/// The same sockets with what serves them.
pub(crate) struct ServedSockets {
    /// Accepts connections.
    pub(crate) tcp: Option<TcpListener>,
    /// Receives packets that are requests by themselves.
    pub(crate) packets: Option<UdpSocket>,
    /// Accepts connections over UDP.
    pub(crate) quic: Option<QuicServer>,
}

impl ServedSockets {
    /// What serves the sockets of a listener as its settings say.
    ///
    /// # Errors
    /// [`ServeError`]: the settings do not fit together, or a socket cannot be used.
    pub(crate) fn new(context: &Context, sockets: ListenerSockets) -> Result<Self, ServeError> {
        let ListenerSockets { tcp, udp } = sockets;
        let inbound = context.encrypted();
        let hysteria2 = inbound.as_deref().and_then(|inbound| match inbound.protocol() {
            InboundProtocol::Hysteria2(settings) => Some((inbound, settings)),
            _ => None,
        });
        let Some((inbound, settings)) = hysteria2 else { return Ok(Self { tcp, packets: udp, quic: None }) };
        let quic = udp.map(|udp| QuicServer::new(&context.config(), settings, inbound, udp)).transpose()?;
        Ok(Self { tcp, packets: None, quic })
    }
}
