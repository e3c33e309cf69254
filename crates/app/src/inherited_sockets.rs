//! Listening sockets that this process has from another one: from its predecessor, or from a service manager.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use hezar_gateway::ListenerKind;
use serde::{Deserialize, Serialize};

/// The name of the API's socket where a service manager names sockets.
pub(crate) const API_SOCKET: &str = "api";

/// What a socket is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SocketRole {
    /// The API.
    Api,
    /// A listener of this name.
    Listener(Box<str>),
    /// It is not said; its address decides.
    Any,
}

/// What a socket receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SocketProtocol {
    /// Connections of TCP.
    #[default]
    Tcp,
    /// Datagrams of UDP.
    Udp,
}

impl SocketProtocol {
    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// What the sockets of a listener of this kind receive.
    pub(crate) const fn of(kind: ListenerKind) -> &'static [Self] {
        match (kind.uses_tcp(), kind.uses_udp()) {
            (true, true) => &[Self::Tcp, Self::Udp],
            (false, true) => &[Self::Udp],
            (_, false) => &[Self::Tcp],
        }
    }
}

/// Where a socket is bound. A TCP and a UDP socket can have the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SocketPlace {
    pub(crate) protocol: SocketProtocol,
    pub(crate) address: SocketAddr,
}

impl SocketPlace {
    /// That of a TCP socket.
    pub(crate) const fn tcp(address: SocketAddr) -> Self {
        Self { protocol: SocketProtocol::Tcp, address }
    }

    /// Those of the sockets that a listener of this kind has at its own address.
    pub(crate) fn of_listener(kind: ListenerKind, address: SocketAddr) -> impl Iterator<Item = Self> {
        SocketProtocol::of(kind).iter().map(move |protocol| Self { protocol: *protocol, address })
    }

    /// Whether two sockets cannot be bound here and there at the same time.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        let (a, b) = (self.address, other.address);
        let (one, two) = (a.ip().to_canonical(), b.ip().to_canonical());
        // `[::]` hears IPv4 too, where the system does not say otherwise.
        let all = |ip: IpAddr, other: IpAddr| ip.is_unspecified() && (ip.is_ipv6() || other.is_ipv4());
        let is_one_port = self.protocol == other.protocol && a.port() == b.port() && a.port() != 0;
        is_one_port && (one == two || all(one, two) || all(two, one))
    }
}

impl fmt::Display for SocketPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.protocol == SocketProtocol::Udp { "/udp" } else { "" };
        write!(f, "{}{protocol}", self.address)
    }
}

/// A TCP socket that listens, or a UDP socket that is bound.
#[derive(Debug)]
pub(crate) enum BoundSocket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl BoundSocket {
    /// Binds a socket that does not block.
    ///
    /// # Errors
    /// The place is taken, or this process may not have it.
    pub(crate) fn bind(place: SocketPlace) -> io::Result<Self> {
        let socket = match place.protocol {
            SocketProtocol::Tcp => Self::Tcp(TcpListener::bind(place.address)?),
            SocketProtocol::Udp => Self::Udp(UdpSocket::bind(place.address)?),
        };
        socket.set_nonblocking()?;
        Ok(socket)
    }

    /// A socket that another process has sent.
    pub(crate) fn from_descriptor(protocol: SocketProtocol, descriptor: OwnedFd) -> Self {
        match protocol {
            SocketProtocol::Tcp => Self::Tcp(descriptor.into()),
            SocketProtocol::Udp => Self::Udp(descriptor.into()),
        }
    }

    pub(crate) const fn protocol(&self) -> SocketProtocol {
        match self {
            Self::Tcp(_) => SocketProtocol::Tcp,
            Self::Udp(_) => SocketProtocol::Udp,
        }
    }

    /// Where it is bound.
    ///
    /// # Errors
    /// The system does not say it.
    pub(crate) fn place(&self) -> io::Result<SocketPlace> {
        let address = match self {
            Self::Tcp(socket) => socket.local_addr(),
            Self::Udp(socket) => socket.local_addr(),
        };
        Ok(SocketPlace { protocol: self.protocol(), address: address? })
    }

    /// The same socket, kept once more.
    ///
    /// # Errors
    /// The process has too many descriptors.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(socket) => socket.try_clone().map(Self::Tcp),
            Self::Udp(socket) => socket.try_clone().map(Self::Udp),
        }
    }

    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.set_nonblocking(true),
            Self::Udp(socket) => socket.set_nonblocking(true),
        }
    }
}

impl AsFd for BoundSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Udp(socket) => socket.as_fd(),
        }
    }
}

/// A socket that is bound, with what is known of its use.
#[derive(Debug)]
pub(crate) struct InheritedSocket {
    pub(crate) role: SocketRole,
    /// The address that the predecessor's configuration named, such as one with port 0; absent when a service manager has bound it.
    pub(crate) configured: Option<SocketAddr>,
    /// Where it listens.
    pub(crate) place: SocketPlace,
    pub(crate) socket: BoundSocket,
}

impl InheritedSocket {
    /// A socket that somebody else has bound; it does not block from here on.
    ///
    /// # Errors
    /// It is no socket that can be used.
    pub(crate) fn new(role: SocketRole, configured: Option<SocketAddr>, socket: BoundSocket) -> io::Result<Self> {
        socket.set_nonblocking()?;
        Ok(Self { role, configured, place: socket.place()?, socket })
    }

    /// Whether it is the TCP socket for this role when the configuration names this address.
    fn serves(&self, role: &SocketRole, wanted: SocketAddr) -> bool {
        let is_there = self.place.address == wanted && self.role == SocketRole::Any;
        let is_for_role = self.role == *role && is_for(self.configured, self.place.address, wanted);
        self.place.protocol == SocketProtocol::Tcp && (is_there || is_for_role)
    }
}

/// Whether the socket of a role, which listens at an address, is the one for which a configuration names `wanted`. One that a service
/// manager has named listens where the manager says. One of a predecessor is the same as long as the configuration says the same: at
/// port 0, or in the place of which a service manager had given another.
pub(crate) fn is_for(configured: Option<SocketAddr>, address: SocketAddr, wanted: SocketAddr) -> bool {
    address == wanted || configured.is_none_or(|configured| configured == wanted)
}

/// All sockets that a process was given.
#[derive(Debug, Default)]
pub(crate) struct InheritedSockets(Vec<InheritedSocket>);

impl InheritedSockets {
    pub(crate) const fn new(sockets: Vec<InheritedSocket>) -> Self {
        Self(sockets)
    }

    /// Adds the sockets of another giver.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Takes the TCP socket for a role when the configuration names this address.
    pub(crate) fn take(&mut self, role: &SocketRole, wanted: SocketAddr) -> Option<InheritedSocket> {
        let place = self.0.iter().position(|socket| socket.serves(role, wanted))?;
        Some(self.0.swap_remove(place))
    }

    /// Takes the API's socket, and one without a role at its address.
    pub(crate) fn split_off_api(&mut self, address: Option<SocketAddr>) -> Self {
        let is_for_api = |socket: &InheritedSocket| {
            socket.role == SocketRole::Api || address.is_some_and(|address| socket.serves(&SocketRole::Api, address))
        };
        let (api, others) = std::mem::take(&mut self.0).into_iter().partition(is_for_api);
        self.0 = others;
        Self(api)
    }

    /// Takes those that are left.
    pub(crate) fn take_all(&mut self) -> Vec<InheritedSocket> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(role: SocketRole, configured: Option<&str>) -> InheritedSocket {
        let bound = BoundSocket::Tcp(TcpListener::bind("127.0.0.1:0").unwrap());
        InheritedSocket::new(role, configured.map(|text| text.parse().unwrap()), bound).unwrap()
    }

    fn listener(name: &str) -> SocketRole {
        SocketRole::Listener(name.into())
    }

    #[test]
    fn a_socket_goes_to_whom_it_belongs() {
        let any_port: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let other: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let taken = |socket: InheritedSocket, role: &SocketRole, wanted| {
            InheritedSockets::new(vec![socket]).take(role, wanted).is_some()
        };
        // By the predecessor: where it came to listen, or at port 0 for the same role.
        assert!(taken(socket(listener("a"), Some("127.0.0.1:0")), &listener("a"), any_port));
        assert!(!taken(socket(listener("a"), Some("127.0.0.1:0")), &listener("b"), any_port));
        assert!(!taken(socket(listener("a"), Some("127.0.0.1:0")), &listener("a"), other));
        let fixed = socket(listener("a"), Some("127.0.0.1:0"));
        let address = fixed.place.address;
        assert!(taken(fixed, &listener("a"), address));
        // By a service manager: by name, wherever it listens, or by address.
        assert!(taken(socket(listener("a"), None), &listener("a"), other));
        assert!(!taken(socket(listener("a"), None), &SocketRole::Api, other));
        let unnamed = socket(SocketRole::Any, None);
        let address = unnamed.place.address;
        assert!(taken(unnamed, &SocketRole::Api, address));
        assert!(!taken(socket(SocketRole::Any, None), &SocketRole::Api, other));
        // A UDP socket never serves the API.
        let bound = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = bound.local_addr().unwrap();
        let udp = InheritedSocket::new(SocketRole::Any, None, BoundSocket::Udp(bound)).unwrap();
        assert!(!taken(udp, &SocketRole::Api, address));
    }
}
