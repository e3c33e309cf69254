//! Datagrams over a UDP socket of this machine, without any node.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use async_trait::async_trait;
use hezar_core::Target;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::SystemDialer;
use crate::{Attempt, Cause, Datagram};

/// A name in a datagram's address may take this long to be looked up.
const LOOKUP: Duration = Duration::from_secs(5);

/// One socket for both address families where the system has them.
#[derive(Debug)]
pub(super) struct SystemDatagram {
    socket: UdpSocket,
    dual: bool,
    dialer: SystemDialer,
}

impl SystemDatagram {
    /// Binds a socket to a port that the system chooses.
    pub(super) fn open(dialer: SystemDialer) -> io::Result<Self> {
        let (socket, dual) = udp_socket()?;
        Ok(Self { socket: UdpSocket::from_std(socket)?, dual, dialer })
    }
}

/// A socket on a port that the system chooses, for both address families (`true`) or only for IPv4.
///
/// # Errors
/// The system's own.
pub(crate) fn udp_socket() -> io::Result<(std::net::UdpSocket, bool)> {
    let (socket, dual) = match bind_dual() {
        Ok(socket) => (socket, true),
        Err(_) => (std::net::UdpSocket::bind("0.0.0.0:0")?, false),
    };
    socket.set_nonblocking(true)?;
    Ok((socket, dual))
}

/// A socket that also carries IPv4, as IPv4-mapped addresses (RFC 3493 §3.7).
fn bind_dual() -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_only_v6(false)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())?;
    Ok(socket.into())
}

#[async_trait]
impl Datagram for SystemDatagram {
    async fn send_to(&self, payload: &[u8], target: &Target) -> io::Result<()> {
        let addresses = self.dialer.addresses(target, &Attempt::within(LOOKUP)).await;
        let addresses = addresses.map_err(|error| io::Error::from(error.cause))?;
        // Without IPv6 only an IPv4 address can be sent to; with it, IPv4 still works from more machines.
        let address = addresses.iter().find(|a| a.is_ipv4()).or(if self.dual { addresses.first() } else { None });
        let address = match address {
            Some(SocketAddr::V4(v4)) if self.dual => SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port())),
            Some(address) => *address,
            None => return Err(Cause::NoRoute.into()),
        };
        self.socket.send_to(payload, address).await.map(drop).map_err(|error| Cause::of_own_socket(error).into())
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, Target)> {
        loop {
            let (length, from) = self.socket.recv_from(buffer).await?;
            let ip: IpAddr = from.ip().to_canonical();
            // A datagram from port 0 cannot be answered; there is nothing to tell about it.
            if let Ok(target) = Target::try_from(SocketAddr::new(ip, from.port())) {
                return Ok((length, target));
            }
        }
    }
}
