//! Datagrams over a UDP socket of this machine, without any node.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::FutureExt;
use hezar_core::{Host, Target};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{io::ReadBuf, net::UdpSocket};

use super::SystemDialer;
use crate::{Attempt, Cause, Datagram, io::name_lookup::NameLookup};

/// A name in a datagram's address may take this long to be looked up.
const LOOKUP: Duration = Duration::from_secs(5);

/// One socket for both address families where the system has them.
pub(super) struct SystemDatagram {
    socket: UdpSocket,
    /// Whether it carries both address families; else only IPv4.
    dual: bool,
    dialer: SystemDialer,
    lookup: NameLookup,
}

impl SystemDatagram {
    /// Binds a socket to a port that the system chooses.
    pub(super) fn open(dialer: SystemDialer) -> io::Result<Self> {
        let (socket, dual) = udp_socket()?;
        Ok(Self { socket: UdpSocket::from_std(socket)?, dual, dialer, lookup: NameLookup::default() })
    }
}

/// A socket on a port that the system chooses, for both address families (`true`) or only for IPv4.
///
/// # Errors
/// The error of the system.
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

impl SystemDatagram {
    /// The address of a target, which the dialer's policy allows.
    fn poll_address(&self, cx: &mut Context<'_>, target: &Target) -> Poll<io::Result<SocketAddr>> {
        if let Host::Ip(ip) = target.host() {
            let address = SocketAddr::new(*ip, target.port());
            return Poll::Ready(self.dialer.permit(address).map(|()| address).map_err(io::Error::from));
        }
        self.lookup.poll(cx, target, || {
            let (dialer, target, dual) = (self.dialer.clone(), target.clone(), self.dual);
            async move { look_up(&dialer, &target, dual).await.map_err(io::Error::from) }.boxed()
        })
    }
}

/// The address of a name that such a socket sends to: IPv4 if there is one, since it works from more machines.
async fn look_up(dialer: &SystemDialer, target: &Target, dual: bool) -> Result<SocketAddr, Cause> {
    let addresses = dialer.addresses(target, &Attempt::within(LOOKUP)).await.map_err(|error| error.cause)?;
    let v4 = addresses.iter().find(|address| address.is_ipv4());
    v4.or(if dual { addresses.first() } else { None }).copied().ok_or(Cause::NoRoute)
}

impl Datagram for SystemDatagram {
    fn poll_send_to(&self, cx: &mut Context<'_>, payload: &[u8], target: &Target) -> Poll<io::Result<()>> {
        let address = match ready!(self.poll_address(cx, target))? {
            SocketAddr::V4(v4) if self.dual => SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port())),
            SocketAddr::V6(_) if !self.dual => return Poll::Ready(Err(Cause::NoRoute.into())),
            address => address,
        };
        let sent = ready!(self.socket.poll_send_to(cx, payload, address));
        Poll::Ready(sent.map(drop).map_err(|error| Cause::of_own_socket(error).into()))
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<(usize, Target)>> {
        loop {
            let mut received = ReadBuf::new(buffer);
            let from = ready!(self.socket.poll_recv_from(cx, &mut received))?;
            let ip: IpAddr = from.ip().to_canonical();
            // A datagram from port 0 cannot be answered, so it is dropped.
            if let Ok(target) = Target::try_from(SocketAddr::new(ip, from.port())) {
                return Poll::Ready(Ok((received.filled().len(), target)));
            }
        }
    }
}
