//! Connects over this machine's own sockets: looks names up, races their addresses, and refuses private ones.

mod cache;
mod datagram;
mod name_server;
mod own;
mod race;
mod resolver;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use async_trait::async_trait;
use hezar_core::{Host, Reach, Stage, Target};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

pub(crate) use datagram::udp_socket;
pub use name_server::NameServer;
pub(crate) use own::OwnListeners;
pub use resolver::{Resolver, ResolverConfig};

use crate::{Attempt, BoxDatagram, BoxStream, Cause, DialError, Dialer, LocalNetwork};

/// An idle connection is checked after this long, so that a vanished peer does not hold it for ever.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// The most addresses of one target that are tried one after another.
const MOST_CANDIDATES: usize = 3;

/// Which addresses a dialer may connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressPolicy {
    /// Addresses on the public Internet (see [`Reach`]) that are not this machine's own.
    PublicOnly,
    /// Every address.
    Any,
}

impl AddressPolicy {
    /// Every address if private ones are allowed, else only public ones.
    #[must_use]
    pub const fn allowing_private(allowed: bool) -> Self {
        if allowed { Self::Any } else { Self::PublicOnly }
    }

    fn allows(self, address: IpAddr) -> bool {
        self == Self::Any || (Reach::of_address(address) == Reach::Public && !own::is_of_this_machine(address))
    }
}

/// Opens TCP connections and UDP sockets of this machine.
#[derive(Clone, Debug)]
pub struct SystemDialer {
    resolver: Resolver,
    policy: AddressPolicy,
    /// Never dialled, whatever the policy.
    own: OwnListeners,
}

impl SystemDialer {
    /// A dialer under a policy.
    #[must_use]
    pub fn new(resolver: Resolver, policy: AddressPolicy) -> Self {
        Self { resolver, policy, own: OwnListeners::default() }
    }

    /// The same dialer, which refuses to dial `own`.
    pub(crate) fn never_to(self, own: OwnListeners) -> Self {
        Self { own, ..self }
    }

    /// The addresses of a target that the policy allows.
    async fn addresses(&self, target: &Target, attempt: &Attempt) -> Result<Vec<SocketAddr>, DialError> {
        let forbidden = DialError::new(Stage::Resolve, Cause::ForbiddenAddress);
        // `localhost` needs no look-up to be known.
        if self.policy == AddressPolicy::PublicOnly && target.host().reach() == Reach::Private {
            return Err(forbidden);
        }
        let name = match target.host() {
            Host::Ip(ip) => {
                let address = SocketAddr::new(*ip, target.port());
                return self
                    .permit(address)
                    .map(|()| vec![address])
                    .map_err(|cause| DialError::new(Stage::Resolve, cause));
            }
            Host::Name(name) => name,
        };
        let found = attempt.stage(Stage::Resolve, self.resolver.resolve(name)).await?;
        let (mut allowed, mut refused) = (Vec::new(), forbidden);
        for address in found.iter().map(|ip| SocketAddr::new(*ip, target.port())) {
            match self.permit(address) {
                Ok(()) => allowed.push(address),
                Err(cause @ Cause::OwnListener) => refused = DialError::new(Stage::Resolve, cause),
                Err(_) => {}
            }
        }
        if allowed.is_empty() { Err(refused) } else { Ok(allowed) }
    }

    /// Refuses an address that the policy forbids, and this process's own listeners.
    fn permit(&self, address: SocketAddr) -> Result<(), Cause> {
        if !self.policy.allows(address.ip()) {
            return Err(Cause::ForbiddenAddress);
        }
        if self.own.holds(address) { Err(Cause::OwnListener) } else { Ok(()) }
    }
}

#[async_trait]
impl Dialer for SystemDialer {
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let addresses = self.addresses(target, attempt).await?;
        let racing = async { race::first(race::interleave(&addresses), connect).await.map_err(Cause::of_own_socket) };
        Ok(Box::new(attempt.stage(Stage::Connect, racing).await?))
    }

    async fn associate(&self, attempt: &Attempt) -> Result<BoxDatagram, DialError> {
        let socket = async { datagram::SystemDatagram::open(self.clone()) };
        Ok(Box::new(attempt.stage(Stage::Connect, socket).await?))
    }

    fn local_network(&self) -> Option<&dyn LocalNetwork> {
        Some(self)
    }
}

#[async_trait]
impl LocalNetwork for SystemDialer {
    async fn candidates(&self, target: &Target, attempt: &Attempt) -> Result<Vec<SocketAddr>, DialError> {
        let mut addresses = self.addresses(target, attempt).await?;
        addresses.sort_by_key(SocketAddr::is_ipv6);
        addresses.truncate(MOST_CANDIDATES);
        Ok(addresses)
    }
}

/// One TCP connection to one address.
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    open(address).await.map_err(|error| as_missing_family(address, error))
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A tunnel carries handshakes in small pieces: waiting to fill a segment costs a round trip each time.
    socket.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
    // A system without these knobs still carries traffic.
    let _ = SockRef::from(&socket).set_tcp_keepalive(&keepalive);
    socket.connect(address).await
}

/// What a failure says about an address: a machine without IPv6 answers as if it had run out of addresses.
pub(crate) fn as_missing_family(address: SocketAddr, error: io::Error) -> io::Error {
    /// EAFNOSUPPORT (Linux).
    const NO_SUCH_FAMILY: i32 = 97;
    let missing = error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(NO_SUCH_FAMILY);
    if address.is_ipv6() && missing { io::ErrorKind::NetworkUnreachable.into() } else { error }
}
