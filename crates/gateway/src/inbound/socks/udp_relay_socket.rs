//! The client's side of an association: a UDP socket that takes datagrams from one client and sends to it alone.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hezar_core::Target;
use parking_lot::Mutex;
use tokio::{net::UdpSocket, time::sleep};

use super::wire;
use crate::{
    association::{ClientDatagrams, Packet, with_arrival_buffer},
    telemetry::ListenerMetrics,
};

/// The pause after a failure of the socket, so that a broken one does not eat the processor.
const PAUSE: Duration = Duration::from_millis(50);

/// The socket and whom it hears: datagrams from the client's address, and of these from one port, the one that the
/// client named or else the first that it used. On loopback every program of the machine has the client's address.
#[derive(Debug)]
pub(super) struct UdpRelaySocket {
    socket: UdpSocket,
    client: IpAddr,
    port: Mutex<u16>,
    metrics: ListenerMetrics,
}

impl UdpRelaySocket {
    /// Binds a socket on the address at which the client reached us.
    ///
    /// # Errors
    /// The system's: usually no more sockets.
    pub(super) async fn open(
        mut at: SocketAddr,
        client: IpAddr,
        port: u16,
        metrics: ListenerMetrics,
    ) -> io::Result<Self> {
        at.set_port(0);
        let socket = UdpSocket::bind(at).await?;
        Ok(Self { socket, client: client.to_canonical(), port: Mutex::new(port), metrics })
    }

    /// Where the client sends to.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn try_receive(&self) -> io::Result<Result<Packet, &'static str>> {
        with_arrival_buffer(|bytes| {
            let (length, from) = self.socket.try_recv_from(bytes)?;
            if !self.is_from_client(from) {
                return Ok(Err("foreign"));
            }
            Ok(wire::datagram(bytes.get(..length).unwrap_or_default()).map(|(target, payload)| {
                *self.port.lock() = from.port();
                Packet { target, payload: payload.into() }
            }))
        })
    }

    fn is_from_client(&self, from: SocketAddr) -> bool {
        let port = *self.port.lock();
        from.ip().to_canonical() == self.client && (port == 0 || port == from.port())
    }

    /// The client as this socket's family writes it.
    fn client_at(&self, port: u16) -> SocketAddr {
        let mapped = matches!(self.socket.local_addr(), Ok(SocketAddr::V6(_)));
        match self.client {
            IpAddr::V4(v4) if mapped => SocketAddr::from((v4.to_ipv6_mapped(), port)),
            ip => SocketAddr::from((ip, port)),
        }
    }
}

impl ClientDatagrams for UdpRelaySocket {
    /// Datagrams that are not to be passed on are counted and dropped. It never fails: the client ends its association elsewhere.
    async fn receive(&self) -> io::Result<Packet> {
        loop {
            let ready = self.socket.readable().await;
            match ready.and_then(|()| self.try_receive()) {
                Ok(Ok(packet)) => return Ok(packet),
                Ok(Err(reason)) => self.metrics.dropped(reason),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    async fn send(&self, from: &Target, payload: &[u8]) {
        let port = *self.port.lock();
        let bytes = wire::put_datagram(from, payload);
        let sent = port != 0 && self.socket.send_to(&bytes, self.client_at(port)).await.is_ok();
        if !sent {
            self.metrics.dropped("client");
        }
    }
}
